"""The commands `echonode dataset …`: import labels as data sets, check data sets."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from inference.training.imports.placement import Placement

dataset_app = typer.Typer(
    help="Make training data sets of other tools' labels, and check them.", no_args_is_help=True
)
import_app = typer.Typer(help="Turn labels of another layout into a data set.", no_args_is_help=True)
dataset_app.add_typer(import_app, name="import")


class Split(StrEnum):
    """Which half of the MEIS release."""

    train = "train"
    test = "test"


Out = Annotated[Path, typer.Option(help="Folder for the data set; must not hold one.")]
CmPerPx = Annotated[float | None, typer.Option("--cm-per-px", help="Centimetres per pixel of depth.")]
SPerPx = Annotated[float | None, typer.Option("--s-per-px", help="Seconds per pixel of time.")]
Region = Annotated[
    tuple[int, int, int, int] | None,
    typer.Option(help="First and last column and row of the strip in every picture: x0 y0 x1 y1."),
]
Calibration = Annotated[
    Path | None,
    typer.Option(
        help="CSV table: file_name, cm_per_px_y, s_per_px_x, x0, y0, x1, y1, kind. "
        "Without: calibration.csv beside the labels, if there is one.",
        exists=True,
        dir_okay=False,
    ),
]


@import_app.command("meis")
def import_meis(
    folder: Annotated[Path, typer.Argument(help="The unpacked release.", exists=True, file_okay=False)],
    out: Out,
    *,
    split: Annotated[Split, typer.Option(help="Its published halves.")] = Split.train,
    cm_per_px: CmPerPx = None,
    s_per_px: SPerPx = None,
    region: Region = None,
    calibration: Calibration = None,
) -> None:
    """The MEIS release (wall masks): left ventricles with beats, aortas as negatives."""
    from dicom_node.tools.datasets import from_meis, placements

    default = _default(cm_per_px, s_per_px, region)
    with invalid_is_exit_one():
        from_meis(folder, out, placements(default, calibration, folder), split.value)


@import_app.command("coco")
def import_coco(
    source: Annotated[Path, typer.Argument(help="Exported folder, or its label file.", exists=True)],
    out: Out,
    *,
    cm_per_px: CmPerPx = None,
    s_per_px: SPerPx = None,
    region: Region = None,
    calibration: Calibration = None,
    images: Annotated[
        Path | None, typer.Option(help="Where the pictures are.", exists=True, file_okay=False)
    ] = None,
    category: Annotated[
        str | None, typer.Option(help="Category with the eight keypoints, if there are several.")
    ] = None,
    unlabelled_are_negatives: Annotated[
        bool, typer.Option("--unlabelled-are-negatives", help="Pictures without labels show no cycle.")
    ] = False,
    source_name: Annotated[str, typer.Option("--source", help="Where the pictures come from, noted.")] = "",
) -> None:
    """Cycle boxes and keypoints drawn in CVAT (COCO Keypoints 1.0) or Label Studio (JSON or COCO)."""
    from dicom_node.tools.datasets import from_coco, placements

    default = _default(cm_per_px, s_per_px, region)
    with invalid_is_exit_one():
        from_coco(
            source,
            out,
            placements(default, calibration, source if source.is_dir() else source.parent),
            pictures=images,
            category=category,
            unlabelled_are_negatives=unlabelled_are_negatives,
            origin=source_name,
        )


@dataset_app.command("check")
def check(
    folder: Annotated[Path, typer.Argument(help="The data set.", exists=True, file_okay=False)],
    *,
    out: Annotated[Path | None, typer.Option(help="Draw a contact sheet (PNG) of its strips.")] = None,
    count: Annotated[int, typer.Option(min=1, help="Strips on the contact sheet at most.")] = 24,
) -> None:
    """Read everything in a data set, print what it holds, draw it."""
    from dicom_node.tools.datasets import check as check_dataset

    with invalid_is_exit_one():
        check_dataset(folder, out, count)


@contextmanager
def invalid_is_exit_one() -> Iterator[None]:
    """Exit with 1 and the error's message when a data set or labels cannot be read or written."""
    from inference.training.datasets.errors import InvalidDataset

    try:
        yield
    except (InvalidDataset, OSError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error


def _default(
    cm_per_px: float | None, s_per_px: float | None, region: tuple[int, int, int, int] | None
) -> "Placement":
    """Return the calibration and region that the options give for all pictures."""
    from inference.training.imports.placement import Placement
    from inference.types import Calibration as Scale

    if (cm_per_px is None) != (s_per_px is None):
        raise typer.BadParameter("--cm-per-px and --s-per-px belong together")
    if cm_per_px is None or s_per_px is None:
        return Placement(region_px=region)
    try:
        return Placement(calibration=Scale(cm_per_px_y=cm_per_px, s_per_px_x=s_per_px), region_px=region)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
