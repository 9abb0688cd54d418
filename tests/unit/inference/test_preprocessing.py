"""What goes into the networks, and the way back to image pixels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.networks.preprocessing import (
    CROP_SIZE_PX,
    DETECTOR_HEIGHT_PX,
    crop,
    detector_image,
    from_unit,
    to_unit,
    whiten,
)

boxes = st.tuples(st.floats(-50, 200), st.floats(-50, 200), st.floats(5, 300), st.floats(5, 300)).map(
    lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])
)


@given(boxes, st.integers(60, 500), st.integers(60, 900), st.floats(0.002, 0.02))
def test_size_restoration_undoes_the_resizing(
    box: tuple[float, float, float, float], height: int, width: int, s_per_px: float
) -> None:
    """A box that goes into detector coordinates and back is where it was."""
    _, scale = detector_image(np.zeros((height, width), np.uint8), s_per_px)

    assert scale.to_strip(scale.to_input(box)) == pytest.approx(box, abs=1e-6)


def test_a_beat_is_as_wide_on_every_machine() -> None:
    """Strips of the same seconds become detector images of the same size, whatever their pixels."""
    slow, _ = detector_image(np.zeros((300, 400), np.uint8), 0.010)
    fast, _ = detector_image(np.zeros((150, 1000), np.uint8), 0.004)

    assert slow.shape == fast.shape == (DETECTOR_HEIGHT_PX, 320)


def test_whitening_takes_out_brightness_and_gain() -> None:
    """An image and the same image darker and flatter become the same numbers; a flat one becomes zeros."""
    image = np.random.default_rng(0).integers(0, 255, (40, 60)).astype(np.uint8)

    white = whiten(image)

    assert abs(float(white.mean())) < 1e-5
    assert float(white.std()) == pytest.approx(1.0, abs=1e-5)
    assert np.allclose(white, whiten((image // 2 + 40).astype(np.uint8)), atol=0.05)
    assert not whiten(np.full((5, 5), 9, np.uint8)).any()


@given(boxes)
def test_unit_positions_come_back(box: tuple[float, float, float, float]) -> None:
    """Points expressed in a crop and put back are where they were."""
    points = np.array([[box[0] + 1, box[1] + 2], [box[2], box[3]]])

    assert from_unit(to_unit(points, box), box) == pytest.approx(points, abs=1e-9)


def test_a_crop_shows_what_its_box_covers() -> None:
    """A bright line lies in the crop where its unit position says, also when the box leaves the strip."""
    strip = np.zeros((200, 300), np.uint8)
    strip[80, :] = 255
    for box in ((50.0, 40.0, 150.0, 140.0), (-30.0, -20.0, 90.0, 140.0), (220.0, 60.0, 340.0, 230.0)):
        seen = crop(strip, box)

        row = (80 - box[1]) / (box[3] - box[1]) * CROP_SIZE_PX[0]
        column = int(np.argmax(seen.max(axis=0)))
        assert seen.shape == CROP_SIZE_PX
        assert abs(float(np.argmax(seen[:, column])) + 0.5 - row) <= 1.5
