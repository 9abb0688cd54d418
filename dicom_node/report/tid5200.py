"""The content tree of an Echocardiography Procedure Report (PS3.16 TID 5200)."""

from collections.abc import Sequence

import numpy as np
from highdicom.sr import (
    CodeContentItem,
    ContainerContentItem,
    ContentItem,
    ImageContentItem,
    NumContentItem,
    ScoordContentItem,
    TextContentItem,
    UIDRefContentItem,
)
from pydicom.dataset import Dataset

from dicom_node.identity import MANUFACTURER, MODEL_NAME
from dicom_node.report import codes
from dicom_node.report.header import Production
from dicom_node.report.quantities import QUANTITIES, Quantity, calipers, known
from inference.types import CycleMeasurement, ModelIdentity, Point, StripResult


def echo_report(
    source: Dataset, results: Sequence[StripResult], production: Production
) -> ContainerContentItem:
    """Return the root container: one measurement group of the left ventricle per measured strip."""
    root = ContainerContentItem(codes.ADULT_ECHO_REPORT, is_content_continuous=False, template_id="5200")
    root.ContentSequence = [
        CodeContentItem(codes.LANGUAGE, codes.ENGLISH, "HAS CONCEPT MOD"),
        *_device_observer(production.installation_uid),
        _findings(source, results, production.model),
    ]
    return root


def _device_observer(installation_uid: str) -> list[ContentItem]:
    """Return TID 1002 with TID 1004: a device observed, no person did."""
    context = "HAS OBS CONTEXT"
    return [
        CodeContentItem(codes.OBSERVER_TYPE, codes.DEVICE, context),
        UIDRefContentItem(codes.DEVICE_UID, installation_uid, context),
        TextContentItem(codes.DEVICE_NAME, MANUFACTURER, context),
        TextContentItem(codes.DEVICE_MANUFACTURER, MANUFACTURER, context),
        TextContentItem(codes.DEVICE_MODEL, MODEL_NAME, context),
        TextContentItem(codes.DEVICE_SERIAL, installation_uid, context),
    ]


def _findings(source: Dataset, results: Sequence[StripResult], model: ModelIdentity) -> ContainerContentItem:
    """Return TID 5202 with the left ventricle as its site."""
    findings = ContainerContentItem(codes.FINDINGS, is_content_continuous=False, relationship_type="CONTAINS")
    findings.ContentSequence = [
        CodeContentItem(codes.FINDING_SITE, codes.LEFT_VENTRICLE, "HAS CONCEPT MOD"),
        *(_measurement_group(source, result, model) for result in results),
    ]
    return findings


def _measurement_group(source: Dataset, result: StripResult, model: ModelIdentity) -> ContainerContentItem:
    group = ContainerContentItem(
        codes.MEASUREMENT_GROUP, is_content_continuous=False, relationship_type="CONTAINS"
    )
    group.ContentSequence = [
        CodeContentItem(codes.IMAGE_MODE, codes.M_MODE, "HAS CONCEPT MOD"),
        TextContentItem(codes.ALGORITHM_NAME, model.name, "HAS CONCEPT MOD"),
        TextContentItem(codes.ALGORITHM_VERSION, model.version, "HAS CONCEPT MOD"),
        TextContentItem(codes.ALGORITHM_PARAMETERS, f"weights sha256 {model.sha256}", "HAS CONCEPT MOD"),
        *(
            _measurement(source, result, quantity, value)
            for quantity in QUANTITIES
            if (value := known(result, quantity)) is not None
        ),
    ]
    return group


def _measurement(source: Dataset, result: StripResult, quantity: Quantity, value: float) -> NumContentItem:
    """Return one NUM (TID 5203, TID 300): modifiers, selection of the mean, where it was measured."""
    item = NumContentItem(
        quantity.concept, quantity.rounded(value), quantity.unit, relationship_type="CONTAINS"
    )
    children: list[ContentItem] = []
    if quantity.method is not None:
        children.append(CodeContentItem(codes.MEASUREMENT_METHOD, quantity.method, "HAS CONCEPT MOD"))
    if len(result.used) > 1:
        children.append(CodeContentItem(codes.DERIVATION, codes.MEAN, "HAS CONCEPT MOD"))
        children.append(CodeContentItem(codes.SELECTION_STATUS, codes.MEAN_CHOSEN, "HAS PROPERTIES"))
    lines = _lines(result, quantity)
    children += [_coordinates(source, result.frame, line) for line in lines]
    if not lines:
        children.append(_image(source, result.frame, "INFERRED FROM"))
    item.ContentSequence = children
    return item


def _lines(result: StripResult, quantity: Quantity) -> list[tuple[Point, Point]]:
    """Return the line that was measured in each used cycle; none for a calculated value."""
    cycles = [result.cycles[index] for index in result.used]
    if quantity.key == "HR_bpm":
        return [_beat(cycle) for cycle in cycles]
    lines = [calipers(cycle.landmarks).get(quantity.key) for cycle in cycles]
    return [line for line in lines if line is not None]


def _beat(cycle: CycleMeasurement) -> tuple[Point, Point]:
    """Return the horizontal line over one beat, whose length in seconds gives the heart rate."""
    middle = (cycle.box.y0 + cycle.box.y1) / 2
    return (cycle.box.x0, middle), (cycle.box.x1, middle)


def _coordinates(source: Dataset, frame: int, line: tuple[Point, Point]) -> ScoordContentItem:
    """Return a two-point POLYLINE on the source frame.

    An SR counts from the top left *corner* of the top left pixel (PS3.3 C.18.6.1.2), we count from
    its centre.
    """
    points = np.array(line) + 0.5
    item = ScoordContentItem(
        codes.SOURCE_OF_MEASUREMENT, "POLYLINE", points, relationship_type="INFERRED FROM"
    )
    item.ContentSequence = [_image(source, frame, "SELECTED FROM")]
    return item


def _image(source: Dataset, frame: int, relationship: str) -> ImageContentItem:
    """Return the source image; its frame is named when it has several (PS3.3 10.3)."""
    return ImageContentItem(
        codes.SOURCE_OF_MEASUREMENT,
        source.SOPClassUID,
        source.SOPInstanceUID,
        referenced_frame_numbers=[frame + 1] if int(source.get("NumberOfFrames") or 1) > 1 else None,
        relationship_type=relationship,
    )
