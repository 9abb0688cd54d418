"""The result objects of one source image: structured reports, presentation state, overlays."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import get_args

from pydicom.dataset import Dataset

from dicom_node.report.context import ReportContext
from dicom_node.report.corrections import Correction, Corrections
from dicom_node.report.header import file_bytes
from dicom_node.report.objects import ReportObject
from dicom_node.report.overlay import draw_overlay
from dicom_node.report.presentation import presentation_state
from dicom_node.report.refusals import refusal_of
from dicom_node.report.secondary_capture import secondary_capture
from dicom_node.report.source import normalised_header
from dicom_node.report.sr import structured_report
from dicom_node.settings.fields import SRTemplate
from inference.image.pixels import frame_rgb
from inference.types import StripResult
from store.rows.results import Kind


def build_results(
    source: Dataset,
    results: Sequence[StripResult],
    context: ReportContext,
) -> list[ReportObject]:
    """Return the objects of one source image: reports, a presentation state, and an overlay per frame.

    Equal arguments give equal bytes: nothing is random and no clock is read. Without a measured strip
    the list is empty; with `overlay_refusals` it then holds, for refused strips, overlays and the TID 1500
    report.

    Args:
        source: the image, with its pixels.
        results: of its M-mode strips.
        context: model, revision, predecessors, time and plan.

    Raises:
        UnreportableSource: the source lacks a UID.
        InferenceError: the pixels of a frame cannot be decoded.
    """
    shown = (each for each in results if each.measured or refusal_of(each))
    strips = sorted(shown, key=lambda each: each.frame)
    measured = [each for each in strips if each.measured]
    if not measured and not (strips and context.plan.overlay_refusals):
        return []
    corrections = Corrections()
    header = normalised_header(source, context.plan.default_charset, corrections)
    made = [
        *_reports(header, strips, context),
        *_graphics(header, measured, context),
        *_overlays(source, header, strips if context.plan.overlay_refusals else measured, context),
    ]
    return [_finished(kind, ds, tuple(corrections)) for kind, ds in made]


def _reports(
    header: Dataset,
    strips: Sequence[StripResult],
    context: ReportContext,
) -> Iterator[tuple[Kind, Dataset]]:
    """Yield a report per template of the plan; without a measured strip only TID 1500, with the reasons."""
    for template in get_args(SRTemplate):
        if template in context.plan.kinds and (template == "tid1500" or any(s.measured for s in strips)):
            yield (
                template,
                structured_report(template, header, strips, context, context.predecessors.get(template)),
            )


def _graphics(
    header: Dataset, measured: Sequence[StripResult], context: ReportContext
) -> Iterator[tuple[Kind, Dataset]]:
    if measured and "presentation_state" in context.plan.kinds:
        yield "presentation_state", presentation_state(header, measured, context)


def _overlays(
    source: Dataset, header: Dataset, strips: Sequence[StripResult], context: ReportContext
) -> Iterator[tuple[Kind, Dataset]]:
    if "overlay" not in context.plan.kinds:
        return
    syntax = source.file_meta.TransferSyntaxUID
    for frame, shown in groupby(strips, key=lambda each: each.frame):
        picture = draw_overlay(frame_rgb(source, frame), list(shown), context.model)
        yield "overlay", secondary_capture(header, picture, context, frame=frame, source_syntax=syntax)


def _finished(kind: Kind, ds: Dataset, corrections: tuple[Correction, ...]) -> ReportObject:
    return ReportObject(
        kind=kind,
        sop_instance_uid=str(ds.SOPInstanceUID),
        sop_class_uid=str(ds.SOPClassUID),
        data=file_bytes(ds),
        corrections=corrections,
    )
