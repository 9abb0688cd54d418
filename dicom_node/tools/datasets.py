"""`echonode dataset …`: import of labels of other tools, and check of data sets."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from inference.labelled import LabelledStrip
from inference.phantom.strip import make_phantom
from inference.training.datasets.contact_sheet import contact_sheet
from inference.training.datasets.read import read_dataset
from inference.training.datasets.summary import Summary, summarise
from inference.training.datasets.write import write_dataset
from inference.training.imports.coco_export import label_file, picture_folders, read_coco
from inference.training.imports.label_studio import is_label_studio, read_label_studio
from inference.training.imports.meis import import_meis
from inference.training.imports.placement import Imported, Placement, Placements, Skipped, read_table
from inference.training.imports.tracings import Choices, strips_of

TABLE = "calibration.csv"


def placements(default: Placement, table: Path | None, beside: Path) -> Placements:
    """Return the default and those of a table; None: of `calibration.csv` in `beside`, if it exists."""
    if table is None and (beside / TABLE).is_file():
        table = beside / TABLE
    return Placements(default=default, by_name=read_table(table) if table else {})


def from_meis(folder: Path, out: Path, known: Placements, split: str) -> None:
    """Write one split of the MEIS release as a data set."""
    _import(out, import_meis(folder, known, split))


def from_coco(
    source: Path,
    out: Path,
    known: Placements,
    *,
    pictures: Path | None,
    category: str | None,
    unlabelled_are_negatives: bool,
    origin: str,
) -> None:
    """Write a COCO export of CVAT or Label Studio as a data set."""
    labels = label_file(source)
    choices = Choices(
        placements=known,
        folders=(pictures,) if pictures else picture_folders(labels),
        unlabelled_are_negatives=unlabelled_are_negatives,
        source=origin,
    )
    traced = read_label_studio(labels) if is_label_studio(labels) else read_coco(labels, category)
    _import(out, strips_of(traced, choices))


def check(folder: Path, sheet: Path | None, max_drawn: int) -> None:
    """Read a data set, print a summary, and draw up to `max_drawn` of its strips into the file `sheet`."""
    strips = read_dataset(folder)
    step = max(1, -(-len(strips) // max_drawn))
    shown = [strip for index, strip in enumerate(strips) if index % step == 0]
    _print(folder, summarise(strips))
    if sheet is not None:
        title = f"{folder.resolve().name}: {len(shown)} of {len(strips)} strips"
        sheet.parent.mkdir(parents=True, exist_ok=True)
        contact_sheet(shown, title).save(sheet, "PNG")
        _console().print(f"{sheet}: look at it")


def phantoms_as_dataset(
    out: Path, *, count: int, seed: int, kind: str | None, manners: Collection[str] = ()
) -> None:
    """Write phantoms of consecutive seeds as a data set; `kind` None: of all kinds."""
    _import(out, (make_phantom(each, kind, manners) for each in range(seed, seed + count)))


def _import(out: Path, imported: Iterable[Imported]) -> None:
    """Write the strips as a data set; print a summary and the number of skipped pictures by reason."""
    reasons: Counter[str] = Counter()

    def strips() -> Iterator[LabelledStrip]:
        for each in imported:
            if isinstance(each, Skipped):
                reasons[each.reason] += 1
            else:
                yield each

    write_dataset(out, strips())
    _print(out, summarise(read_dataset(out)))
    for reason, count in reasons.most_common():
        _console().print(f"skipped {count}: {reason}")


def _print(folder: Path, summary: Summary) -> None:
    console = _console()
    total = sum(summary.kinds.values())
    kinds = ", ".join(f"{count} {kind}" for kind, count in summary.kinds.items())
    console.print(f"{folder}: {total} strips ({kinds}), {summary.cycles} cycles")
    console.print(f"wall curves on {summary.with_walls} strips")
    table = Table("value", "mean", "from", "to")
    for name, spread in summary.values.items():
        table.add_row(name, *(f"{value:.2f}" for value in (spread.mean, spread.least, spread.greatest)))
    if summary.values:
        console.print(table)
    if summary.nominal:
        console.print(f"{summary.nominal} strips have a nominal scale: their centimetres mean nothing")


def _console() -> Console:
    """Return a console that prints paths unchanged on one line."""
    return Console(highlight=False, markup=False, soft_wrap=True)
