"""Content items that the templates share: language, observer, numbers and their sources."""

from collections.abc import Sequence

import numpy as np
from highdicom.sr import (
    AlgorithmIdentification,
    CodeContentItem,
    CodedConcept,
    ContainerContentItem,
    ContentItem,
    DeviceObserverIdentifyingAttributes,
    ImageContentItem,
    NumContentItem,
    ObserverContext,
    ScoordContentItem,
)
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from dicom_node.identity import MANUFACTURER, MODEL_NAME
from dicom_node.report import codes
from dicom_node.report.header import frame_number
from dicom_node.report.quantities import Quantity, calipers
from dicom_node.report.reported import ReportedValue
from inference.types import CycleMeasurement, ModelIdentity, Patient, Point

MODIFIER, PROPERTY = "HAS CONCEPT MOD", "HAS PROPERTIES"


def language() -> CodeContentItem:
    """Return TID 1204: the language is English."""
    return CodeContentItem(codes.LANGUAGE, codes.ENGLISH, MODIFIER)


def observer(installation_uid: str) -> ObserverContext:
    """Return TID 1002 with TID 1004: the observer is a device."""
    device = DeviceObserverIdentifyingAttributes(
        uid=installation_uid,
        name=MANUFACTURER,
        manufacturer_name=MANUFACTURER,
        model_name=MODEL_NAME,
        serial_number=installation_uid,
    )
    return ObserverContext(observer_type=codes.DEVICE, observer_identifying_attributes=device)


def algorithm(model: ModelIdentity, *parameters: str, family: Code | None = None) -> AlgorithmIdentification:
    """Return TID 4019: name and version of the model, its digest, and further parameters."""
    return AlgorithmIdentification(
        name=model.name,
        version=model.version,
        parameters=[f"weights sha256 {model.sha256}", *parameters],
        family=family,
    )


def container(concept: Code, children: Sequence[ContentItem]) -> ContainerContentItem:
    """Return a container that is not the root."""
    item = ContainerContentItem(concept, is_content_continuous=False, relationship_type="CONTAINS")
    item.ContentSequence = list(children)
    return item


def patient_characteristics(patient: Patient) -> list[ContentItem]:
    """Return TID 5201 with height, weight and body surface area; an empty list if none is known."""
    known: list[ContentItem] = []
    if patient.height_m is not None:
        known.append(_number(codes.HEIGHT, round(100 * patient.height_m, 1), codes.CENTIMETRE))
    if patient.weight_kg is not None:
        known.append(_number(codes.WEIGHT, round(patient.weight_kg, 1), codes.KILOGRAM))
    if patient.body_surface_m2 is not None:
        surface = _number(codes.BODY_SURFACE_AREA, round(patient.body_surface_m2, 2), codes.SQUARE_METRE)
        formula = CodeContentItem(codes.BODY_SURFACE_FORMULA, codes.HAYCOCK, "INFERRED FROM")
        surface.ContentSequence = [formula]
        known.append(surface)
    return [container(codes.PATIENT_CHARACTERISTICS, known)] if known else []


def number(reported: ReportedValue, concept: Code, children: Sequence[ContentItem]) -> NumContentItem:
    """Return one NUM item, rounded to the reported precision, or with the reason why it has no value."""
    quantity = reported.quantity
    item = _number(concept, quantity.rounded(reported.value or 0.0), quantity.unit)
    item.ContentSequence = list(children)
    if reported.value is None:  # the reason takes the place of the value (PS3.3 C.18.1, PS3.16 CID 42)
        item.MeasuredValueSequence = []
        item.NumericValueQualifierCodeSequence = [CodedConcept.from_code(codes.INDETERMINATE)]
    return item


def method(quantity: Quantity) -> list[ContentItem]:
    """Return the measurement method of a calculated value; an empty list for a measured one."""
    if quantity.method is None:
        return []
    return [CodeContentItem(codes.MEASUREMENT_METHOD, quantity.method, MODIFIER)]


def derivation(reported: ReportedValue) -> list[ContentItem]:
    """Return Derivation "Mean" for the mean of several beats, else an empty list."""
    return [CodeContentItem(codes.DERIVATION, codes.MEAN, MODIFIER)] if reported.is_mean else []


def selection(reported: ReportedValue) -> list[ContentItem]:
    """Return Selection Status "Mean value chosen" for the mean of several beats, else an empty list."""
    if not reported.is_mean:
        return []
    return [CodeContentItem(codes.SELECTION_STATUS, codes.MEAN_CHOSEN, PROPERTY)]


def sources(source: Dataset, frame: int, reported: ReportedValue) -> list[ContentItem]:
    """Return the calipers of a measured value, one per beat; for a calculated one, the image."""
    lines = measured_lines(reported)
    if not lines:
        return [_image(source, frame, "INFERRED FROM")]
    return [_coordinates(source, frame, line) for line in lines]


def measured_lines(reported: ReportedValue) -> list[tuple[Point, Point]]:
    """Return the measured line in each beat, in image pixels; an empty list for a calculated value."""
    if reported.quantity.key == "HR_bpm":
        return [_beat(cycle) for cycle in reported.beats]
    lines = [calipers(cycle.landmarks).get(reported.quantity.key) for cycle in reported.beats]
    return [line for line in lines if line is not None]


def _beat(cycle: CycleMeasurement) -> tuple[Point, Point]:
    """Return the horizontal line across a cycle box, whose length in seconds is the RR interval."""
    middle = (cycle.box.y0 + cycle.box.y1) / 2
    return (cycle.box.x0, middle), (cycle.box.x1, middle)


def _number(concept: Code, value: float, unit: Code) -> NumContentItem:
    return NumContentItem(concept, value, unit, relationship_type="CONTAINS")


def _coordinates(source: Dataset, frame: int, line: tuple[Point, Point]) -> ScoordContentItem:
    """Return a two-point POLYLINE on the source frame.

    `line` counts from the centre of the top left pixel, an SCOORD from its top left corner
    (PS3.3 C.18.6.1.2).
    """
    points = np.array(line) + 0.5
    item = ScoordContentItem(
        codes.SOURCE_OF_MEASUREMENT, "POLYLINE", points, relationship_type="INFERRED FROM"
    )
    item.ContentSequence = [_image(source, frame, "SELECTED FROM")]
    return item


def _image(source: Dataset, frame: int, relationship: str) -> ImageContentItem:
    """Return a reference to the source image, with the frame number if it is multi-frame."""
    number = frame_number(source, frame)
    return ImageContentItem(
        codes.SOURCE_OF_MEASUREMENT,
        source.SOPClassUID,
        source.SOPInstanceUID,
        referenced_frame_numbers=None if number is None else [number],
        relationship_type=relationship,
    )
