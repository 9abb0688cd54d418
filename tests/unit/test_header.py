"""The header of a received object, whatever the order of its elements."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import FileDataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGLosslessSV1
from support import builders, lossless_jpeg, unordered

from dicom_node.errors import Unparsable
from dicom_node.network.bounded_reader import MAX_HEADER_BYTES
from dicom_node.network.header import read_header
from inference.image.pixels import frame_rgb
from inference.image.reading import read_image
from inference.image.regions import mmode_regions
from store.errors import InvalidUID

GRAY = builders.texture(48, 64)
SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, JPEGLosslessSV1]


def image(syntax: str, **attributes: object) -> FileDataset:
    """Return an image in this transfer syntax, its pixels in several fragments where they are compressed."""
    ds = builders.us_image(GRAY, **attributes)
    ds.file_meta.TransferSyntaxUID = syntax
    if syntax == JPEGLosslessSV1:
        ds.PixelData = encapsulate([lossless_jpeg.encoded(GRAY)], fragments_per_frame=4)
        ds["PixelData"].VR, ds["PixelData"].is_undefined_length = "OB", True
    return ds


def written(ds: FileDataset, folder: Path, data: bytes) -> Path:
    """Return the path of a file with the meta information of `ds` and this data set."""
    whole = builders.file_bytes(ds)
    meta = 132 + 12 + int.from_bytes(whole[140:144], "little")  # after the group length, which counts it
    path = folder / "image.dcm"
    path.write_bytes(whole[:meta] + data)
    return path


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("name", unordered.ORDERS)
@pytest.mark.parametrize("padding", [0, 5, 4000])
def test_elements_in_any_order(name: str, syntax: str, padding: int, tmp_path: Path) -> None:
    """Identity is found wherever it stands, and so are regions and pixels; what follows does not matter."""
    ds = image(syntax)
    path = written(ds, tmp_path, unordered.encoded(ds, unordered.ORDERS[name]) + bytes(padding))

    header = read_header(path)
    read = read_image(path)

    assert (header.sop_class_uid, header.sop_instance_uid) == (ds.SOPClassUID, ds.SOPInstanceUID)
    assert (header.study_uid, header.series_uid) == (ds.StudyInstanceUID, ds.SeriesInstanceUID)
    assert len(mmode_regions(read)) == 1
    assert np.array_equal(frame_rgb(read)[..., 0], GRAY)


def test_trailing_padding(tmp_path: Path) -> None:
    """Data Set Trailing Padding, more of it than a header may have, in a file out of order."""
    ds = image(ExplicitVRLittleEndian)
    data = unordered.encoded(ds, unordered.ORDERS["identity last"])
    path = written(ds, tmp_path, unordered.trailing_padding(MAX_HEADER_BYTES + 2) + data)

    assert read_header(path).sop_instance_uid == ds.SOPInstanceUID
    assert np.array_equal(frame_rgb(read_image(path))[..., 0], GRAY)


def test_large_pixels_before_the_identity(tmp_path: Path) -> None:
    """Pixels are skipped, not read, native or in fragments."""
    pixels = np.zeros((4000, 5000), np.uint8)
    native = builders.us_image(pixels)
    coded = builders.us_image(pixels)
    coded.PixelData = encapsulate([bytes(MAX_HEADER_BYTES + 2)] * 2)
    coded["PixelData"].VR, coded["PixelData"].is_undefined_length = "OB", True
    coded.file_meta.TransferSyntaxUID = JPEGLosslessSV1
    for ds in (native, coded):
        data = unordered.encoded(ds, unordered.ORDERS["pixels first"])
        assert read_header(written(ds, tmp_path, data)).sop_instance_uid == ds.SOPInstanceUID


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_what_is_missing_is_still_missing(syntax: str, tmp_path: Path) -> None:
    """A file without one of its UIDs is refused as before, with padding behind it or garbage."""
    ds = image(syntax)
    del ds.StudyInstanceUID
    for order, rest in [("backwards", bytes(100)), ("pixels first", b"\xff" * 100), ("pixels first", b"")]:
        path = written(ds, tmp_path, unordered.encoded(ds, unordered.ORDERS[order]) + rest)
        with pytest.raises(InvalidUID, match="StudyInstanceUID"):
            read_header(path)


def test_garbage_is_no_data_set(tmp_path: Path) -> None:
    """Bytes that are none stay unparsable, however they begin."""
    ds = image(ExplicitVRLittleEndian)
    for garbage in (b"\xff" * 5000, b"\xe0\x7f\x10\x00OB\0\0" + b"\xff" * 5000, bytes(5000)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydicom guesses at the VR
            with pytest.raises(Unparsable):
                read_header(written(ds, tmp_path, garbage))
