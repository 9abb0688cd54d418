"""A fake of the two steps that need networks and highdicom, for tests of everything around them.

The ImageComments of an image say what the fake analysis makes of it: "refuse" finds no cycle,
"raise" is a bug, "slow" takes a second; see `do` for what a hostile image may do to its process;
anything else is measured.
"""

import ctypes
import io
import mmap
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydicom import Dataset, dcmwrite

from dicom_node.identity import MANUFACTURER, MODEL_NAME
from dicom_node.report.context import ReportContext
from dicom_node.report.objects import ReportObject
from dicom_node.report.uids import result_uid, series_uid
from dicom_node.settings import Settings
from dicom_node.study.image_analyzer import ImageAnalyzer
from inference.errors import NoCycle, PixelDataError, WeightsMismatch
from inference.types import ModelIdentity, StripResult, Value
from support import builders, hostile_child

MODEL = ModelIdentity(name="fake", version="1", sha256="5" * 64)


MARKER: list[mmap.mmap] = []
"""One byte that outlives the giving up of the file system."""


class BuggyError(Exception):
    """What the fake analysis raises when it is told to."""


def fake_analyzer(settings: Settings | None = None) -> ImageAnalyzer:
    """Return the fake as the pipeline wants it; `inference.weights` may be a folder for `hang`."""
    if settings is not None and settings.inference.weights:
        open_marker(Path(settings.inference.weights) / "hangs")
    return ImageAnalyzer(analyse=analyse, build_results=build_results, model=MODEL)


def mismatched(settings: Settings) -> ImageAnalyzer:
    """Fail as networks do that are not what their record says."""
    raise WeightsMismatch(f"no weights in {settings.inference.weights!r}")


def analyse(dataset: Dataset) -> list[StripResult]:
    """Do what ImageComments says."""
    told = dataset.get("ImageComments", "")
    if told == "raise":
        raise BuggyError(f"told to, by {dataset.PatientName}")
    if told == "refuse":
        return [StripResult(status="not_measured", reason=NoCycle.reason, detail="told to")]
    try:
        do(told)
    except PixelDataError as error:
        return [StripResult(status="not_measured", reason=error.reason, detail=str(error))]
    ef = Value(value=61.5, ci95=(58.0, 65.0))
    return [StripResult(status="measured", measurements={"EF_percent": ef})]


def do(told: str) -> None:
    """Do to this process what ImageComments, or the comment behind "report ", says."""
    deed, _, with_ = told.partition(" ")
    if deed == "slow":
        time.sleep(1)
    if deed == "hang":
        hang()
    if deed == "bomb":
        np.ones(10 << 30, np.uint8)
    if deed == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if deed in hostile_child.DEEDS:
        hostile_child.DEEDS[deed](with_)


def open_marker(path: Path) -> None:
    """Share a byte with the test, while files can still be opened."""
    path.write_bytes(b"0") if not path.exists() else None
    with path.open("r+b") as file:
        MARKER.append(mmap.mmap(file.fileno(), 1))


def hang() -> None:
    """Set the marker, then never return from C, with the interpreter held; where it is set, go on."""
    if MARKER[-1][:] != b"1":
        MARKER[-1][:] = b"1"
        ctypes.PyDLL(None).sleep(3600)


def build_results(
    source: Dataset,
    results: Sequence[StripResult],  # noqa: ARG001 - the signature of the real one
    context: ReportContext,
) -> list[ReportObject]:
    """Return an SR and an overlay whose bytes depend on every argument."""
    do(source.get("ImageComments", "").removeprefix("report "))
    made = []
    for kind, build in (("tid5200", builders.vendor_sr), ("overlay", builders.secondary_capture)):
        ds = build(
            StudyInstanceUID=source.StudyInstanceUID,
            SeriesInstanceUID=series_uid(kind, str(source.StudyInstanceUID), str(source.SeriesInstanceUID)),
            SOPInstanceUID=result_uid(
                kind, str(source.SOPInstanceUID), context, "0" if kind == "overlay" else ""
            ),
            ContentDate=context.at.strftime("%Y%m%d"),
            ContentTime=context.at.strftime("%H%M%S.%f"),
            Manufacturer=MANUFACTURER,
            ManufacturerModelName=MODEL_NAME,
            DeviceUID=context.installation_uid,
            ImageComments=str(context.predecessors.get("tid5200")),
        )
        file = io.BytesIO()
        dcmwrite(file, ds, enforce_file_format=True)
        made.append(
            ReportObject(
                kind=kind,
                sop_instance_uid=str(ds.SOPInstanceUID),
                sop_class_uid=str(ds.SOPClassUID),
                data=file.getvalue(),
            )
        )
    return made
