"""Study results as DICOM objects: reports, pictures, graphics. The only place that knows highdicom."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import get_args

from pydicom.dataset import Dataset

from dicom_node.report.header import Production, file_bytes
from dicom_node.report.objects import Predecessor, ReportObject, UnreportableSource
from dicom_node.report.overlay import draw_overlay
from dicom_node.report.plan import ReportPlan
from dicom_node.report.presentation import presentation_state
from dicom_node.report.secondary_capture import secondary_capture
from dicom_node.report.source import normalised_header
from dicom_node.report.sr import structured_report
from dicom_node.settings import SRTemplate
from dicom_node.study.image_result import judged
from inference.image.pixels import frame_rgb
from inference.types import ModelIdentity, StripResult
from store.rows.results import Kind

__all__ = ["Predecessor", "ReportObject", "UnreportableSource", "build_results", "draw_overlay"]


def build_results(
    source: Dataset,
    results: Sequence[StripResult],
    *,
    model: ModelIdentity,
    revision: int,
    predecessors: Mapping[Kind, Predecessor],
    installation_uid: str,
    at: datetime,
    plan: ReportPlan,
) -> list[ReportObject]:
    """Return the objects of one source image: reports, graphics, and a picture per frame.

    Equal arguments give equal bytes: nothing is random and no clock is read. Without a measured
    strip there is nothing to report and the list is empty, unless refusals are wanted: then a strip
    that was looked at in vain gets its picture, and its reason in TID 1500.

    Args:
        source: the image, with its pixels.
        results: what became of its strips.
        model: what made the numbers.
        revision: of the study, from 1.
        predecessors: the reports that these replace.
        installation_uid: a UID that stays with this installation; the observer of the report.
        at: when the result was made, aware. Written as a local time in the source's offset from
            UTC; where the source states none, in the offset of `at` itself.
        wanted: which kinds of objects, and in which manner.

    Raises:
        UnreportableSource: the source lacks a UID, or its patient cannot be named.
        InferenceError: the pixels of a measured frame cannot be decoded.
    """
    strips = sorted((each for each in results if each.measured or judged(each)), key=lambda each: each.frame)
    measured = [each for each in strips if each.measured]
    if not measured and not (strips and plan.overlay_refusals):
        return []
    header = normalised_header(source, plan.default_charset)
    production = Production(
        model=model, revision=revision, installation_uid=installation_uid, at=at, plan=plan
    )
    made = [
        *_reports(header, strips, production, predecessors),
        *_graphics(header, measured, production),
        *_overlays(source, header, strips if plan.overlay_refusals else measured, production),
    ]
    return [_finished(kind, ds) for kind, ds in made]


def _reports(
    header: Dataset,
    strips: Sequence[StripResult],
    production: Production,
    predecessors: Mapping[Kind, Predecessor],
) -> Iterator[tuple[Kind, Dataset]]:
    """Yield a report per wanted template; without a number only TID 1500 has something to say."""
    for template in get_args(SRTemplate):
        if template in production.plan.kinds and (template == "tid1500" or any(s.measured for s in strips)):
            yield (
                template,
                structured_report(template, header, strips, production, predecessors.get(template)),
            )


def _graphics(
    header: Dataset, measured: Sequence[StripResult], production: Production
) -> Iterator[tuple[Kind, Dataset]]:
    if measured and "presentation_state" in production.plan.kinds:
        yield "presentation_state", presentation_state(header, measured, production)


def _overlays(
    source: Dataset, header: Dataset, strips: Sequence[StripResult], production: Production
) -> Iterator[tuple[Kind, Dataset]]:
    if "overlay" not in production.plan.kinds:
        return
    syntax = source.file_meta.TransferSyntaxUID
    for frame, shown in groupby(strips, key=lambda each: each.frame):
        picture = draw_overlay(frame_rgb(source, frame), list(shown), production.model)
        yield "overlay", secondary_capture(header, picture, production, frame=frame, source_syntax=syntax)


def _finished(kind: Kind, ds: Dataset) -> ReportObject:
    return ReportObject(
        kind=kind,
        sop_instance_uid=str(ds.SOPInstanceUID),
        sop_class_uid=str(ds.SOPClassUID),
        data=file_bytes(ds),
    )
