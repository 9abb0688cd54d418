"""The calipers as graphics on the unchanged source image: a softcopy presentation state (PS3.3 A.33)."""

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import groupby
from typing import Final

import numpy as np
from highdicom.color import CIELabColor
from highdicom.pr import GraphicLayer, GraphicObject, TextObject
from PIL import ImageCms
from pydicom.dataset import Dataset
from pydicom.uid import ColorSoftcopyPresentationStateStorage, GrayscaleSoftcopyPresentationStateStorage

from dicom_node.report.beats import Column, columns
from dicom_node.report.context import ReportContext
from dicom_node.report.header import reference, result_header
from dicom_node.report.panel import DISCLAIMER, summary
from dicom_node.report.quantities import BY_KEY, PHASES, label_text
from inference.types import CycleMeasurement, StripResult

SERIES_NUMBER: Final = 9005
BAR_PX: Final = 5.0
LAYERS: Final = {
    "diastole": GraphicLayer("DIASTOLE", 1, "End diastole", CIELabColor(77.4, -20.5, -35.0)),
    "systole": GraphicLayer("SYSTOLE", 2, "End systole", CIELabColor(76.1, 21.7, 75.2)),
}
"""In the colours of the overlay."""
RESULTS: Final = GraphicLayer("RESULTS", 3, "What the measurements come to")
SUMMARY_BOX: Final = (0.01, 0.01, 0.3, 0.3)
"""Left, top, right and bottom as fractions of the displayed area."""
ICC_DATE: Final = slice(24, 36)
"""The bytes of an ICC profile with its creation time (ICC.1:2010, 7.2)."""


def presentation_state(source: Dataset, measured: Sequence[StripResult], context: ReportContext) -> Dataset:
    """Return a Color or Grayscale Softcopy Presentation State with the graphics of all measured strips.

    `measured` is in the order of frames; `source` is the normalised header.
    """
    ds = result_header(source, context, kind="presentation_state")
    ds.Modality, ds.SeriesNumber = "PR", SERIES_NUMBER
    ds.SeriesDescription = "M-mode LV measurements (graphics)"
    ds.BodyPartExamined = "HEART"  # an unpaired body part, so Laterality is not required (PS3.3 C.7.3.1)
    ds.ContentLabel, ds.ContentDescription = "MMODE_LV", " ".join(DISCLAIMER)
    ds.ContentCreatorName = ""
    ds.PresentationCreationDate, ds.PresentationCreationTime = ds.ContentDate, ds.ContentTime
    _shown(ds, source)
    ds.GraphicLayerSequence = [*LAYERS.values(), RESULTS]
    ds.GraphicAnnotationSequence = [
        annotation
        for frame, strips in groupby(measured, key=lambda each: each.frame)
        for annotation in _annotations(source, frame, list(strips), context)
    ]
    return ds


def _shown(ds: Dataset, source: Dataset) -> None:
    """Refer to the whole image with its own gray or colours (PS3.3 C.11.11, C.10.4, C.11.6, C.11.15)."""
    series = Dataset()
    series.SeriesInstanceUID, series.ReferencedImageSequence = source.SeriesInstanceUID, [reference(source)]
    ds.ReferencedSeriesSequence = [series]
    area = Dataset()
    area.DisplayedAreaTopLeftHandCorner = [1, 1]
    area.DisplayedAreaBottomRightHandCorner = [int(source.Columns), int(source.Rows)]
    area.PresentationSizeMode, area.PresentationPixelAspectRatio = "SCALE TO FIT", [1, 1]
    ds.DisplayedAreaSelectionSequence = [area]
    if str(source.get("PhotometricInterpretation")).startswith("MONOCHROME"):
        ds.SOPClassUID = GrayscaleSoftcopyPresentationStateStorage
        inverse = source.PhotometricInterpretation == "MONOCHROME1"
        ds.PresentationLUTShape = "INVERSE" if inverse else "IDENTITY"
    else:
        ds.SOPClassUID = ColorSoftcopyPresentationStateStorage
        ds.ICCProfile, ds.ColorSpace = _srgb(), "SRGB"


@cache
def _srgb() -> bytes:
    """Return an sRGB profile whose creation time is zeroed, so that equal results have equal bytes."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[ICC_DATE] = bytes(ICC_DATE.stop - ICC_DATE.start)
    return bytes(profile) + b"\0" * (len(profile) % 2)


def _annotations(
    source: Dataset, frame: int, strips: Sequence[StripResult], context: ReportContext
) -> Iterator[Dataset]:
    for phase, layer in LAYERS.items():
        lines = [
            line
            for strip in strips
            for index in strip.used
            for line in _lines(strip.cycles[index], phase, source)
        ]
        texts = [text for strip in strips for text in _labels(strip, phase)]
        yield _annotation(source, frame, layer, lines, texts)
    text = "\r\n".join(line for strip in strips for line in summary(strip, context.model))
    box = TextObject(text, "DISPLAY", bounding_box=SUMMARY_BOX, text_justification="LEFT")
    yield _annotation(source, frame, RESULTS, [], [box])


def _annotation(
    source: Dataset,
    frame: int,
    layer: GraphicLayer,
    lines: Sequence[GraphicObject],
    texts: Sequence[TextObject],
) -> Dataset:
    """Return one item of the Graphic Annotation Module (PS3.3 C.10.5).

    Not highdicom's GraphicAnnotation, which rejects the retired ultrasound classes of old machines.
    """
    item = Dataset()
    item.ReferencedImageSequence, item.GraphicLayer = [reference(source, frame)], layer.GraphicLayer
    item.TextObjectSequence = list(texts)
    if lines:
        item.GraphicObjectSequence = list(lines)
    return item


def _lines(cycle: CycleMeasurement, phase: str, source: Dataset) -> Iterator[GraphicObject]:
    """Yield the line of one phase and the bar at each of its four borders."""
    column = _column(cycle, phase)
    yield _line([(column.x, column.rows[0]), (column.x, column.rows[-1])])
    left, right = max(column.x - BAR_PX, 0.0), min(column.x + BAR_PX, float(source.Columns))
    for row in column.rows:
        yield _line([(left, row), (right, row)])


def _line(points: Sequence[tuple[float, float]]) -> GraphicObject:
    return GraphicObject("POLYLINE", np.array(points), "PIXEL")


def _labels(strip: StripResult, phase: str) -> Iterator[TextObject]:
    """Yield a label for each length of a phase of the chosen beat, beside the middle of its caliper."""
    cycle = strip.cycles[strip.chosen]
    column = _column(cycle, phase)
    for key, upper, lower in zip(PHASES[phase], column.rows[:-1], column.rows[1:], strict=True):
        text = f"{label_text(key, cycle, strip.withheld)} {BY_KEY[key].unit_label}"
        anchor = (column.x + BAR_PX, (upper + lower) / 2)
        yield TextObject(text, "PIXEL", anchor_point=anchor, anchor_point_visible=False)


def _column(cycle: CycleMeasurement, phase: str) -> Column:
    return next(column for column in columns(cycle) if column.phase == phase)
