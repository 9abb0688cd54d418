"""The two networks are the patent's, and their training material is what it should be."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from inference.cycles import SeedBoxes, build_detector, detect, seed_boxes
from inference.landmarks import LANDMARK_ORDER, RESAMPLED, LandmarkNet, locate
from inference.phantom.strip import make_phantom
from inference.preprocess import CROP_SIZE_PX, to_unit
from inference.training.data import points
from inference.training.fit_cycles import example
from inference.training.fit_landmarks import examples
from inference.training.optimise import optimise
from inference.training.sampling import range_extended_crop, time_window
from inference.types import CycleBox

CPU = torch.device("cpu")
SIZES = [(100.0, 110.0), (20.0, 50.0), (50.0, 80.0)]


def test_seed_boxes_are_maximum_minimum_and_mean_of_the_training_cycles() -> None:
    """Patent [0054]: width and height are taken each for itself."""
    boxes = np.array([[0, 0, 10, 100], [5, 5, 45, 65], [0, 10, 40, 30.0]])

    assert seed_boxes(boxes) == [(40.0, 100.0), (10.0, 20.0), (30.0, 60.0)]


def test_anchors_have_exactly_the_seed_sizes() -> None:
    """Each position of the feature map proposes the three seed boxes, centred."""
    (cell,) = SeedBoxes(SIZES).cell_anchors

    assert [(float(b[2] - b[0]), float(b[3] - b[1])) for b in cell] == SIZES
    assert torch.equal(cell[:, :2], -cell[:, 2:])
    assert SeedBoxes(SIZES).num_anchors_per_location() == [3]


def test_the_detector_gives_boxes_of_the_image_most_probable_first() -> None:
    """Boxes come back in image pixels, inside the region, sorted, without heavy overlaps."""
    torch.manual_seed(0)
    strip = make_phantom(1, "LV").strip

    found = detect(build_detector(SIZES).eval(), strip, CPU)

    assert [c.probability for c in found] == sorted((c.probability for c in found), reverse=True)
    for c in found:
        assert -1 <= c.x0 < c.x1 <= strip.pixels.shape[1]
        assert -1 <= c.y0 < c.y1 <= strip.pixels.shape[0]


def test_landmarks_are_unit_positions() -> None:
    """Whatever the crop, a sigmoid keeps all sixteen numbers between 0 and 1."""
    out = LandmarkNet().eval()(torch.randn(2, 1, *CROP_SIZE_PX) * 5)

    assert out.shape == (2, len(LANDMARK_ORDER), 2)
    assert bool(((out >= 0) & (out <= 1)).all())


def test_every_cycle_gets_samples_of_its_landmarks() -> None:
    """Each cycle is seen in several resampled crops, all within reach of its box."""
    phantom = make_phantom(1, "LV")
    boxes = [
        CycleBox(x0=c.box_px[0], y0=c.box_px[1], x1=c.box_px[2], y1=c.box_px[3], probability=1.0)
        for c in phantom.cycles
    ]

    found = locate(LandmarkNet().eval(), phantom.strip, boxes, CPU)

    assert len(found) == len(boxes) > 0
    for samples, box in zip(found, boxes, strict=True):
        width = box.x1 - box.x0
        assert samples.points_px.shape == (len(RESAMPLED), 8, 2)
        assert samples.points_px[..., 0].min() > box.x0 - 0.3 * width
        assert samples.points_px[..., 0].max() < box.x1 + 0.3 * width
    assert locate(LandmarkNet().eval(), phantom.strip, [], CPU) == []


@given(st.integers(0, 2**32 - 1))
def test_range_extended_crops_hold_all_landmarks_and_keep_the_patents_range(seed: int) -> None:
    """Sizes 0.9 to 1.1, centre in the middle half of the length, all eight points inside."""
    rng = np.random.default_rng(seed)
    box = (100.0, 50.0, 200.0, 150.0)
    marks = np.array([(120.0, y) for y in (62, 75, 125, 138)] + [(158.0, y) for y in (60, 80, 115, 136)])

    crop = range_extended_crop(rng, box, marks)

    unit = to_unit(marks, crop)
    assert 0 < unit.min() < unit.max() < 1
    assert 0.9 <= (crop[2] - crop[0]) / 100 <= 1.1
    assert 0.9 <= (crop[3] - crop[1]) / 100 <= 1.1
    assert 125 <= (crop[0] + crop[2]) / 2 <= 175


@given(st.integers(0, 2**32 - 1))
def test_a_time_window_keeps_only_whole_cycles(seed: int) -> None:
    """Boxes that a window cuts are no cycles any more; the others move with it."""
    boxes = np.array([[0.0, 10, 90, 50], [100, 10, 190, 50], [200, 10, 290, 50]])
    pixels = np.tile(np.arange(300) % 256, (60, 1)).astype(np.uint8)

    part, kept = time_window(np.random.default_rng(seed), pixels, boxes)

    assert part.shape[1] >= 150
    assert all(box[0] >= -0.5 and box[2] <= part.shape[1] - 0.5 for box in kept)
    starts = {int(part[0, round(box[0])]) for box in kept}
    assert starts <= {0, 100, 200}


def test_training_examples_fit_the_networks() -> None:
    """Targets of both networks are in the range that their losses expect."""
    rng, phantom = np.random.default_rng(0), make_phantom(1, "LV")

    image, target = example(rng, phantom)
    crops, unit = examples(rng, [(phantom, cycle) for cycle in phantom.cycles])

    assert image.shape[0] == 1
    assert bool((target["boxes"][:, 2:] > target["boxes"][:, :2]).all())
    assert crops.shape[1:] == (1, *CROP_SIZE_PX)
    assert bool(((unit > 0) & (unit < 1)).all())
    assert points(phantom.cycles[0].landmarks_px).shape == (8, 2)


def test_a_loss_that_is_no_number_stops_training_and_names_the_seeds() -> None:
    """Training never goes on from a broken step."""
    layer = torch.nn.Linear(1, 1)

    with pytest.raises(ValueError, match=r"phantoms \[42\]"):
        optimise(
            layer,
            iter([torch.tensor([[float("nan")]])] * 3),
            lambda batch: layer(batch).sum(),
            steps=3,
            learning_rate=1e-3,
            seeds_of=lambda _: [42],
        )
