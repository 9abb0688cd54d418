"""What an analysis process answers is believed as far as it can be: about its own image, in our own words.

The schema has seen to types, sizes and finite numbers.
"""

import math
from collections.abc import Iterator, Sequence
from io import BytesIO
from typing import Final

from pydicom.filereader import dcmread
from pydicom.uid import (
    ColorSoftcopyPresentationStateStorage,
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    ExplicitVRLittleEndian,
    GrayscaleSoftcopyPresentationStateStorage,
    SecondaryCaptureImageStorage,
    SimplifiedAdultEchoSRStorage,
)

from dicom_node.identity import is_own
from dicom_node.network.header import KEYWORDS, PARSER_ERRORS
from dicom_node.report.context import ReportContext
from dicom_node.report.objects import ReportObject
from dicom_node.report.uids import result_uid, series_uid
from dicom_node.study.image_result import ImageResult
from dicom_node.study.sandbox.channel import BadReply
from inference.errors import InferenceError
from inference.measure.withholding import FOLLOWS_FROM
from inference.types import StripResult
from store.rows.instances import Instance

MOST_STRIPS: Final = 1000
LONGEST_DETAIL: Final = 1000
SOP_CLASSES: Final = {
    "tid5200": {ComprehensiveSRStorage},
    "tid1500": {Comprehensive3DSRStorage},
    "tid5300": {SimplifiedAdultEchoSRStorage},
    "overlay": {SecondaryCaptureImageStorage},
    "presentation_state": {
        ColorSoftcopyPresentationStateStorage,
        GrayscaleSoftcopyPresentationStateStorage,
    },
}
"""By kind of object."""


def check_result(result: ImageResult, image: Instance) -> None:
    """Check the measurements of one image.

    Raises:
        BadReply: they are another image's, or no result that the analysis can come to.
    """
    if result.image.sop_instance_uid != image.sop_instance_uid:
        raise BadReply("answered for another image")
    if not 0 < len(result.strips) <= MOST_STRIPS or not all(map(_is_possible, result.strips)):
        raise BadReply("sent a result that no analysis comes to")


def _is_possible(strip: StripResult) -> bool:
    """Tell whether status, reason and numbers of a strip agree with each other."""
    texts = [strip.detail, *(each.detail for each in strip.refused_frames)]
    reasons = {each.reason for each in strip.refused_frames}
    if not strip.measured:
        reasons.add(str(strip.reason))
    return (
        strip.status in ("measured", "not_measured")
        and (strip.reason is None) == strip.measured
        and bool(strip.measurements) == strip.measured
        and set(strip.withheld) <= FOLLOWS_FROM.keys() - strip.measurements.keys()
        and strip.frame >= 0
        and all(0 <= index < len(strip.cycles) for index in strip.used)
        and 0 <= strip.chosen < max(len(strip.cycles), 1)
        and reasons <= _reasons()
        and all(len(text) <= LONGEST_DETAIL for text in texts)
        and all(map(math.isfinite, _numbers(strip)))
    )


def _reasons() -> set[str]:
    return {InferenceError.reason, *(each.reason for each in InferenceError.__subclasses__())}


def _numbers(strip: StripResult) -> Iterator[float]:
    for each in strip.measurements.values():
        yield from (each.value, *each.ci95)
    for cycle in strip.cycles:
        yield from (*cycle.values.values(), *cycle.spread.values(), *cycle.doubt.values())


def check_objects(objects: Sequence[ReportObject], result: ImageResult, context: ReportContext) -> None:
    """Check the result objects of one image: each is the one that was asked for, of this study.

    Raises:
        BadReply: one is not.
    """
    image, frames = result.image, {str(strip.frame) for strip in result.strips}
    seen: set[str] = set()
    for each in objects:
        parts = frames if each.kind == "overlay" else {""}
        expected = {result_uid(each.kind, image.sop_instance_uid, context, part) for part in parts}
        if each.sop_instance_uid not in expected - seen or each.kind not in context.plan.kinds:
            raise BadReply("sent a result object that it was not asked for")
        seen.add(each.sop_instance_uid)
        if each.sop_class_uid not in SOP_CLASSES[each.kind] or not _is_what_it_says(each, image):
            raise BadReply("sent a result object of another image")


def _is_what_it_says(made: ReportObject, image: Instance) -> bool:
    """Tell whether the file in a result object has the UIDs that it should, and is one of ours."""
    try:
        ds = dcmread(BytesIO(made.data), stop_before_pixels=True, specific_tags=list(KEYWORDS))
        meta = ds.file_meta
        found = (ds.SOPInstanceUID, ds.SOPClassUID, ds.StudyInstanceUID, ds.SeriesInstanceUID)
        also = (meta.MediaStorageSOPInstanceUID, meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID)
    except PARSER_ERRORS:
        return False
    series = series_uid(made.kind, image.study_uid, image.series_uid)
    return (
        found == (made.sop_instance_uid, made.sop_class_uid, image.study_uid, series)
        and also == (made.sop_instance_uid, made.sop_class_uid, ExplicitVRLittleEndian)
        and is_own(ds)
    )
