"""`echonode measure`: measures DICOM files without a node, and prints a table or JSON."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from pydicom import Dataset
from rich.console import Console
from rich.table import Table

from inference.analyse import analyse, load_model
from inference.errors import TooLarge, WeightsMismatch
from inference.image.decoded import refusal
from inference.image.reading import UNREADABLE, read_image
from inference.types import LENGTHS, CycleMeasurement, Landmarks, ModelIdentity, StripResult

MAGIC = b"DICM"
SHOWN = {**dict.fromkeys(LENGTHS, 2), "EF_percent": 0, "HR_bpm": 0}
"""The columns of the table, with their decimals."""
CAPTION = "lengths in cm; ?: a border is too doubtful; --json gives every number with its 95 % interval"


def run_measure(
    paths: Sequence[Path], *, as_json: bool, overlays: Path | None, weights: str, device: str
) -> int:
    """Measure files and print the results; return 1 when a file is unreadable, else 0."""
    try:
        with Console(stderr=True).status("loading the networks"):
            model = load_model(weights, device)
    except WeightsMismatch as error:
        Console(stderr=True).print(str(error))
        return 1
    images, unreadable = [], 0
    for path in dicom_files(paths):
        try:
            dataset = read_image(path)
        except TooLarge as error:
            images.append(image_entry(path, Dataset(), refusal(error)))
            continue
        except UNREADABLE as error:
            Console(stderr=True).print(f"{path}: cannot be read: {type(error).__name__}")
            unreadable += 1
            continue
        results = analyse(dataset, model)
        images += [image_entry(path, dataset, result) for result in results]
        if overlays is not None:
            write_overlay(overlays, path, dataset, results, model.identity)
    document = {"model": vars(model.identity), "images": images}
    if as_json:
        print(json.dumps(document, indent=2))  # noqa: T201 - the document
    else:
        print_table(images)
    return 1 if unreadable else 0


def dicom_files(paths: Sequence[Path]) -> Iterator[Path]:
    """Yield the named files, and every DICOM file inside the named folders."""
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        yield from (inside for inside in sorted(path.rglob("*")) if inside.is_file() and has_magic(inside))


def has_magic(path: Path) -> bool:
    """Tell whether a file has the DICOM prefix (PS3.10 7.1)."""
    with path.open("rb") as file:
        return file.read(132)[128:] == MAGIC


def image_entry(path: Path, dataset: Dataset, result: StripResult) -> Mapping[str, Any]:
    """Return the entry of one strip in `images` of the `measure --json` document."""
    entry: dict[str, Any] = {
        "file": str(path),
        "sop_instance_uid": str(dataset.get("SOPInstanceUID", "")),
        "status": result.status,
        "reason": result.reason,
        "detail": result.detail,
    }
    if result.region is not None:
        entry |= {
            "frame": result.frame,
            "region_px": list(result.region.xyxy_px),
            "cm_per_px": result.region.calibration.cm_per_px_y,
            "s_per_px": result.region.calibration.s_per_px_x,
        }
    if result.refused_frames:
        entry["refused_frames"] = [vars(each) for each in result.refused_frames]
    if result.measured:
        entry["cycles"] = [cycle_entry(cycle, index, result) for index, cycle in enumerate(result.cycles)]
        entry["measurements"] = {
            name: {"value": value.value, "ci95": list(value.ci95)}
            for name, value in result.measurements.items()
        }
    if result.withheld:
        entry["withheld"] = list(result.withheld)
    return entry


def cycle_entry(cycle: CycleMeasurement, index: int, result: StripResult) -> Mapping[str, Any]:
    """Return the entry of one cycle: its box, landmarks and those lengths that are not withheld."""
    return {
        "box_px": list(cycle.box.xyxy),
        "probability": cycle.box.probability,
        "most_probable": index == result.chosen,
        "averaged": index in result.used,
        "landmarks_px": points(cycle.landmarks),
        **{name: cycle.values[name] for name in SHOWN if name not in result.withheld},
    }


def points(landmarks: Landmarks) -> Mapping[str, Any]:
    """Return the landmarks as JSON lists, in image pixels."""
    phases = {"diastole": landmarks.diastole, "systole": landmarks.systole}
    return {phase: [list(point) for point in four] for phase, four in phases.items()}


def write_overlay(
    folder: Path, path: Path, dataset: Dataset, results: Sequence[StripResult], model: ModelIdentity
) -> None:
    """Write one PNG per measured frame, named after the file."""
    from dicom_node.report.overlay import draw_overlay  # noqa: PLC0415 - highdicom's package is slow to load
    from inference.image.pixels import frame_rgb  # noqa: PLC0415 - as above

    for frame in sorted({result.frame for result in results if result.measured}):
        shown = [result for result in results if result.measured and result.frame == frame]
        folder.mkdir(parents=True, exist_ok=True)
        picture = Image.fromarray(draw_overlay(frame_rgb(dataset, frame), shown, model))
        picture.save(folder / f"{path.stem}_{frame}.png")


def print_table(images: Sequence[Mapping[str, Any]]) -> None:
    """Print the results, entries of `images`, as a table."""
    headings = ("file", "status", *(name.removesuffix("_cm") for name in LENGTHS), "EF %", "HR")
    table = Table(*headings, caption=CAPTION)
    for image in images:
        if image["status"] != "measured":
            table.add_row(Path(image["file"]).name, image["reason"])
            continue
        values = {name: each["value"] for name, each in image["measurements"].items()}
        numbers = [f"{values[name]:.{SHOWN[name]}f}" if name in values else "?" for name in SHOWN]
        table.add_row(Path(image["file"]).name, "measured", *numbers)
    Console().print(table)
