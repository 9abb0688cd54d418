"""A fake of the two steps that need networks and highdicom, for tests of everything around them.

The ImageComments of an image say what the fake analysis makes of it: "refuse" finds no cycle,
"raise" is a bug, "slow" takes a second; see `do` for what a hostile image may do to its process;
anything else is measured.
"""

import ctypes
import io
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydicom import Dataset, dcmwrite

from dicom_node.identity import derived_uid
from dicom_node.report.context import ReportContext
from dicom_node.report.objects import ReportObject
from dicom_node.settings import Settings
from dicom_node.study.image_analyzer import ImageAnalyzer
from inference.errors import NoCycle, WeightsMismatch
from inference.types import ModelIdentity, StripResult, Value
from support import builders

MODEL = ModelIdentity(name="fake", version="1", sha256="5" * 64)


class BuggyError(Exception):
    """What the fake analysis raises when it is told to."""


def fake_analyzer(settings: Settings | None = None) -> ImageAnalyzer:  # noqa: ARG001 - the signature of `load_analyzer`
    """Return the fake as the pipeline wants it."""
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
    do(told)
    ef = Value(value=61.5, ci95=(58.0, 65.0))
    return [StripResult(status="measured", measurements={"EF_percent": ef})]


def do(told: str) -> None:
    """Do to this process what ImageComments, or the comment behind "report ", says."""
    deed, _, marker = told.partition(" ")
    if deed == "slow":
        time.sleep(1)
    if deed == "hang":
        hang(Path(marker))
    if deed == "bomb":
        np.ones(10 << 30, np.uint8)
    if deed == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)


def hang(marker: Path) -> None:
    """Make the marker, then never return from C, with the interpreter held; where it was there, go on."""
    if not marker.exists():
        marker.touch()
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
            SeriesInstanceUID=derived_uid(str(source.StudyInstanceUID), kind),
            SOPInstanceUID=derived_uid(
                str(source.SOPInstanceUID), context.model.sha256, kind, str(context.revision)
            ),
            ContentDate=context.at.strftime("%Y%m%d"),
            ContentTime=context.at.strftime("%H%M%S.%f"),
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
