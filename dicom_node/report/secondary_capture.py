"""The overlay as a Secondary Capture Image (PS3.3 A.8)."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLSNearLossless,
    SecondaryCaptureImageStorage,
)

from dicom_node import __version__
from dicom_node.identity import MANUFACTURER, MODEL_NAME
from dicom_node.report import codes
from dicom_node.report.context import ReportContext
from dicom_node.report.header import code_item, reference, result_header
from dicom_node.report.source_attributes import FILLER_NUMBER, ORDER_COMMENTS

SERIES_NUMBER = 9003
LOSSY_SYNTAXES: Final = frozenset({JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless})


def secondary_capture(
    source: Dataset,
    picture: NDArray[np.uint8],
    context: ReportContext,
    *,
    frame: int,
    source_syntax: UID,
) -> Dataset:
    """Return `picture` as an image object of the source's study.

    Args:
        source: the normalised header of the source image.
        picture: (rows, columns, 3) uint8 RGB: the source frame drawn on, possibly with rows added below.
        context: model, revision and time.
        frame: the source frame, from 0.
        source_syntax: the transfer syntax of the received source, which may be a lossy one.
    """
    ds = result_header(source, context, kind="overlay", part=str(frame))
    ds.SOPClassUID, ds.Modality = SecondaryCaptureImageStorage, "US"
    ds.SeriesNumber, ds.SeriesDescription = SERIES_NUMBER, "M-mode LV measurements (overlay)"
    ds.ConversionType, ds.ImageType = "WSD", ["DERIVED", "SECONDARY"]
    ds.SecondaryCaptureDeviceManufacturer = MANUFACTURER
    ds.SecondaryCaptureDeviceManufacturerModelName = MODEL_NAME
    ds.SecondaryCaptureDeviceSoftwareVersions = __version__
    ds.DateOfSecondaryCapture, ds.TimeOfSecondaryCapture = ds.ContentDate, ds.ContentTime
    # An unpaired body part, so Laterality is not required (PS3.3 C.7.3.1).
    ds.BodyPartExamined, ds.PatientOrientation = "HEART", ""
    if comments := _comments(source, context):
        ds.ImageComments = "; ".join(comments)
    _describe_derivation(ds, source, frame)
    _describe_quality(ds, source, source_syntax)
    _set_pixels(ds, picture)
    return ds


def _comments(source: Dataset, context: ReportContext) -> list[str]:
    """Return what the picture is to say of its revision, and an accession number that SH cannot hold."""
    comments = []
    if context.revision > 1:
        comments = [f"Revision {context.revision}: replaces the earlier pictures of this series"]
    if FILLER_NUMBER in source:
        comments.append(f"AccessionNumber of the source image: {source[FILLER_NUMBER].value}")
    return comments + ([source[ORDER_COMMENTS].value] if ORDER_COMMENTS in source else [])


def _describe_derivation(ds: Dataset, source: Dataset, frame: int) -> None:
    item = reference(source, frame)
    item.PurposeOfReferenceCodeSequence = [code_item(codes.SOURCE_IMAGE)]
    ds.SourceImageSequence = [item]
    ds.DerivationDescription = "M-mode calipers and results of an automatic measurement drawn on the image"
    # The calibration of the source stays valid: rows are added below only.
    if "SequenceOfUltrasoundRegions" in source:
        ds.add(source["SequenceOfUltrasoundRegions"])


def _describe_quality(ds: Dataset, source: Dataset, source_syntax: UID) -> None:
    """Set what is burned in, and whether the source was ever compressed with loss (PS3.3 C.7.6.1.1.5)."""
    ds.BurnedInAnnotation = "NO" if source.get("BurnedInAnnotation") == "NO" else "YES"
    ds.RecognizableVisualFeatures = "NO"
    for keyword in ("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod"):
        if source.get(keyword):
            ds.add(source[keyword])
    if source_syntax in LOSSY_SYNTAXES:
        ds.LossyImageCompression = "01"


def _set_pixels(ds: Dataset, picture: NDArray[np.uint8]) -> None:
    ds.Rows, ds.Columns = picture.shape[:2]
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PlanarConfiguration = 3, "RGB", 0
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0
    data = picture.tobytes()
    ds.add_new("PixelData", "OB", data + b"\0" * (len(data) % 2))
