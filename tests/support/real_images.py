"""Real M-mode pictures as DICOM images, where they lie beside this repository."""

from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import FileDataset

from inference.evaluation.pictures import read_pictures
from support.builders import mmode_region, us_image, with_jpeg

REAL_IMAGES = Path(__file__).parents[3] / "shared" / "real"


def real_image(name: str, **attributes: Any) -> FileDataset:
    """Wrap a real M-mode picture into an Ultrasound Image, calibrated by the figures of truth.json.

    A JPEG file stays the JPEG it is; a picture without a scale gets no region. Skips the calling
    test where the pictures are absent.
    """
    path = REAL_IMAGES / name
    if not path.is_file():
        pytest.skip(f"real image {name} is not in ../shared/real")
    picture = next(one for one in read_pictures(REAL_IMAGES) if one.name == name)
    scale, regions = picture.calibration, []
    if scale is not None and picture.region_px is not None:
        regions = [mmode_region(*picture.region_px, cm_per_px=scale.cm_per_px_y, s_per_px=scale.s_per_px_x)]
    ds = us_image(picture.rgb(), regions, **attributes)
    return with_jpeg(ds, [path.read_bytes()]) if path.suffix == ".jpg" else ds
