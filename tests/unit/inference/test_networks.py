"""The two networks are the patent's, and their training material is what it should be."""

import inspect

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from inference.networks.detector import SeedBoxes, build_detector, detect, seed_boxes
from inference.networks.landmark_network import RegressionNet, meeting_points, peak, widest_and_narrowest
from inference.networks.landmarks import HEADS, TEST_TIME_CROPS, build_landmark_net, locate
from inference.networks.preprocessing import CROP_SIZE_PX, to_unit
from inference.phantom.strip import make_phantom
from inference.training.sampling import range_extended_crop, time_window
from inference.types import LANDMARK_ORDER, CycleBox

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


@pytest.mark.parametrize("head", HEADS)
def test_landmarks_are_unit_positions(head: str) -> None:
    """Whatever the crop, both heads answer with positions between 0 and 1, and one logit each."""
    reading = build_landmark_net(head).eval()(torch.randn(2, 1, *CROP_SIZE_PX) * 5)

    assert reading.points.shape == (2, len(LANDMARK_ORDER), 2)
    assert bool(((reading.points >= 0) & (reading.points <= 1)).all())
    assert reading.lv_logit.shape == (2,)


def test_the_patents_head_stays_under_sixty_lines() -> None:
    """It is selectable as long as it costs little."""
    assert len(inspect.getsource(RegressionNet).splitlines()) < 60


def test_a_position_is_the_mean_about_the_highest_cell() -> None:
    """A weaker rival far away does not draw the position between the two."""
    logits = torch.full((1, 40), -20.0)
    logits[0, 10], logits[0, 11], logits[0, 30] = 5.0, 5.0, 4.9

    assert float(peak(logits)[0]) == pytest.approx(11 / 40, abs=1e-3)


def test_landmarks_lie_where_traced_borders_meet_their_phase() -> None:
    """Between two columns the depth is interpolated; each phase has an x of its own."""
    rows, columns = torch.full((1, 4, 80, 48), -30.0), torch.full((1, 2, 48), -30.0)
    for border in range(4):
        for column in range(48):
            rows[0, border, 10 * border + column // 4, column] = 30.0
    columns[0, 0, 8] = columns[0, 1, 40] = 30.0

    points = meeting_points(rows, columns)[0][0]

    assert points[:4, 0].tolist() == pytest.approx([8.5 / 48] * 4)
    assert points[4:, 0].tolist() == pytest.approx([40.5 / 48] * 4)
    assert points[:4, 1].tolist() == pytest.approx([(10 * b + 2.5) / 80 for b in range(4)], abs=1e-4)
    assert points[4:, 1].tolist() == pytest.approx([(10 * b + 10.5) / 80 for b in range(4)], abs=1e-4)


def test_phases_are_the_extremes_of_the_cavity_nearby() -> None:
    """A column beside the widest or the narrowest one is put right; no extreme further away counts."""
    cavity = torch.full((1, 48), 0.5)
    cavity[0, 9], cavity[0, 38], cavity[0, 20], cavity[0, 30] = 0.6, 0.3, 0.9, 0.1
    when = torch.tensor([[8.5 / 48, 40.0 / 48]])

    moved = widest_and_narrowest(cavity, when)

    assert moved[0].tolist() == pytest.approx([9.5 / 48, 38.5 / 48], abs=0.003)


def test_two_rival_borders_make_a_reading_uncertain() -> None:
    """The least certain landmark counts, and only where its phase is."""
    rows, columns = torch.full((3, 4, 80, 48), -30.0), torch.full((3, 2, 48), -30.0)
    rows[:, :, 20, :], columns[:, 0, 8], columns[:, 1, 40] = 30.0, 30.0, 30.0
    rows[1, 2, 60, 39:42] = 30.0
    rows[2, 2, 60, 20:30] = 30.0

    assert meeting_points(rows, columns)[1].tolist() == pytest.approx([1.0, 0.5, 1.0], abs=1e-3)


@pytest.mark.parametrize("head", HEADS)
def test_every_cycle_gets_samples_of_its_landmarks(head: str) -> None:
    """Each cycle is seen in several resampled crops, all within reach of its box."""
    phantom, network = make_phantom(1, "LV"), build_landmark_net(head).eval()
    boxes = [
        CycleBox(x0=c.box_px[0], y0=c.box_px[1], x1=c.box_px[2], y1=c.box_px[3], probability=1.0)
        for c in phantom.cycles
    ]

    found = locate(network, phantom.strip, boxes, CPU)

    assert len(found) == len(boxes) > 0
    for samples, box in zip(found, boxes, strict=True):
        width = box.x1 - box.x0
        assert samples.points_px.shape == (len(TEST_TIME_CROPS), 8, 2)
        assert samples.points_px[..., 0].min() > box.x0 - 0.3 * width
        assert samples.points_px[..., 0].max() < box.x1 + 0.3 * width
        assert 0 <= samples.mean_lv_probability <= 1
        assert 0 <= samples.mean_certainty <= 1
    assert locate(network, phantom.strip, [], CPU) == []


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

    part, kept = time_window(np.random.default_rng(seed), pixels, boxes, most_px=250)

    assert 150 <= part.shape[1] <= 250
    assert all(box[0] >= -0.5 and box[2] <= part.shape[1] - 0.5 for box in kept)
    starts = {int(part[0, round(box[0])]) for box in kept}
    assert starts <= {0, 100, 200}
