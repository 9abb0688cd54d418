"""Study results as DICOM objects: a structured report and a picture. The only place that knows highdicom."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Literal

from pydicom.dataset import Dataset

from dicom_node.report.header import Production, file_bytes
from dicom_node.report.overlay import draw_overlay
from dicom_node.report.secondary_capture import secondary_capture
from dicom_node.report.source import IncompleteSourceError, normalised_header
from dicom_node.report.sr import Predecessor, structured_report
from inference.pixels import frame_rgb
from inference.types import ModelIdentity, StripResult

__all__ = ["IncompleteSourceError", "Predecessor", "ReportObject", "build_results", "draw_overlay"]


@dataclass(frozen=True, kw_only=True)
class ReportObject:
    """One finished DICOM file, Explicit VR Little Endian."""

    kind: Literal["sr", "overlay"]
    sop_instance_uid: str
    sop_class_uid: str
    data: bytes


def build_results(
    source: Dataset,
    results: Sequence[StripResult],
    *,
    model: ModelIdentity,
    revision: int,
    predecessor: Predecessor | None,
    installation_uid: str,
    at: datetime,
) -> list[ReportObject]:
    """Return the SR of one source image and one overlay per frame that was measured on.

    Equal arguments give equal bytes: nothing is random and no clock is read. Without a measured
    strip there is nothing to report and the list is empty.

    Args:
        source: the image, with its pixels.
        results: what became of its strips.
        model: what made the numbers.
        revision: of the study, from 1.
        predecessor: the SR that this one replaces.
        installation_uid: a UID that stays with this installation; the observer of the report.
        at: when the result was made, aware. Written as a local time in the source's offset from
            UTC; where the source states none, in the offset of `at` itself.

    Raises:
        IncompleteSourceError: the source lacks a UID.
        InferenceError: the pixels of a measured frame cannot be decoded.
    """
    measured = sorted((result for result in results if result.measured), key=lambda result: result.frame)
    if not measured:
        return []
    header = normalised_header(source)
    production = Production(model=model, revision=revision, installation_uid=installation_uid, at=at)
    report = structured_report(header, measured, production, predecessor)
    pictures = [
        _overlay(source, header, frame, list(strips), production)
        for frame, strips in groupby(measured, key=lambda result: result.frame)
    ]
    return [_finished("sr", report), *(_finished("overlay", picture) for picture in pictures)]


def _overlay(
    source: Dataset, header: Dataset, frame: int, strips: Sequence[StripResult], production: Production
) -> Dataset:
    picture = draw_overlay(frame_rgb(source, frame), strips, production.model)
    syntax = source.file_meta.TransferSyntaxUID
    return secondary_capture(header, picture, production, frame=frame, source_syntax=syntax)


def _finished(kind: Literal["sr", "overlay"], ds: Dataset) -> ReportObject:
    return ReportObject(
        kind=kind,
        sop_instance_uid=str(ds.SOPInstanceUID),
        sop_class_uid=str(ds.SOPClassUID),
        data=file_bytes(ds),
    )
