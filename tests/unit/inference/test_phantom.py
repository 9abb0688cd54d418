"""Phantoms: always the same for a seed, and true."""

from functools import cache

import numpy as np
import pytest

from inference.image.pixels import strip
from inference.image.regions import mmode_regions
from inference.labelled import mean_values
from inference.measure.formulas import lengths_cm
from inference.measure.plausibility import check_cycle
from inference.phantom.dicom import as_dataset, strip_origin, truth_document
from inference.phantom.lookalikes import LOOKALIKES, WEIGHTS
from inference.phantom.muscle import LEAST_STEP_dB, SEEN_dB
from inference.phantom.neighbours import LEAST_PERICARDIUM_dB
from inference.phantom.parameters import Draw
from inference.phantom.render import LEAST_SHOWN, MOST_SHOWN, background, exposed
from inference.phantom.scene import Layer, Scene, brightest_dB, dimmest_dB
from inference.phantom.strip import make_phantom, timeline
from inference.phantom.ventricle import left_ventricle
from inference.training.data import TEST_SEEDS, TRAINING_SEEDS, VALIDATION_SEEDS


@pytest.mark.parametrize("kind", ["LV", *LOOKALIKES])
def test_a_seed_is_a_phantom(kind: str) -> None:
    """The same seed and kind give the same pixels; another seed gives others."""
    once, again, other = make_phantom(11, kind), make_phantom(11, kind), make_phantom(12, kind)

    assert np.array_equal(once.pixels, again.pixels)
    assert once.cycles == again.cycles
    assert once.pixels.shape != other.pixels.shape or not np.array_equal(once.pixels, other.pixels)


@pytest.mark.parametrize("seed", range(30, 42))
def test_the_truth_is_a_possible_heart_inside_the_strip(seed: int) -> None:
    """Every labelled beat lies on the strip, in order, and passes the node's own plausibility rules."""
    phantom = make_phantom(seed, "LV")
    height, width = phantom.pixels.shape
    for cycle in phantom.cycles:
        x0, y0, x1, y1 = cycle.box_px
        points = [*cycle.landmarks_px.diastole, *cycle.landmarks_px.systole]

        assert -0.5 <= x0 < x1 <= width - 0.5
        assert -0.5 <= y0 < y1 <= height - 0.5
        assert all(x0 <= x <= x1 and y0 <= y <= y1 for x, y in points)
        check_cycle(
            cycle.landmarks_px,
            lengths_cm(cycle.landmarks_px, phantom.calibration),
            rr_s=(x1 - x0) * phantom.calibration.s_per_px_x,
            s_per_px=phantom.calibration.s_per_px_x,
        )


kept = cache(make_phantom)
"""Phantoms that several tests look at; drawing one takes a tenth of a second."""


def contrast(seed: int) -> list[float]:
    """Mean gray of the true septum less that of the true cavity at each end diastole of a phantom."""
    phantom = kept(seed, "LV")
    differences = []
    for cycle in phantom.cycles:
        (x, outer), (_, inner), (_, opposite), _ = cycle.landmarks_px.diastole
        column = phantom.pixels[:, round(x)].astype(float)
        septum = column[round(outer) + 1 : round(inner)].mean()
        cavity = column[round(inner + 0.2 * (opposite - inner)) : round(opposite - 0.2 * (opposite - inner))]
        differences.append(septum - cavity.mean())
    return differences


def test_the_walls_are_where_the_truth_says() -> None:
    """The true septum is brighter than the true cavity in nearly every beat of many phantoms."""
    differences = [difference for seed in range(200, 225) for difference in contrast(seed)]

    assert np.mean(np.array(differences) > 0) > 0.9


def heart(seed: int) -> Scene:
    """A left ventricle before it is drawn."""
    draw = Draw(np.random.default_rng(seed))
    return left_ventricle(draw, timeline(draw))


def below(scene: Scene, border: int) -> int:
    """Index of the layer that begins at one of the four borders."""
    assert scene.walls_cm is not None
    (found,) = [
        k for k, each in enumerate(scene.layers) if np.array_equal(each.top_cm, scene.walls_cm[border])
    ]
    return found


def test_borders_can_be_seen() -> None:
    """A border that nobody can see has no truth: a step in every phase, and a line where it is small."""
    for scene in map(heart, range(300, 450)):
        septum, wall, last = (scene.layers[below(scene, border)] for border in (0, 2, 3))
        right, cavity = scene.layers[below(scene, 0) - 1], scene.layers[below(scene, 1)]
        before = scene.layers[below(scene, 2) - 1]
        outer = next(
            each for each in scene.layers[below(scene, 3) :] if each.level_dB >= LEAST_PERICARDIUM_dB
        )

        assert dimmest_dB(septum) - brightest_dB(right) >= LEAST_STEP_dB - 1e-6
        assert dimmest_dB(wall) - cavity.level_dB >= LEAST_STEP_dB - 0.5
        assert septum.level_dB - right.level_dB + septum.edge_dB >= SEEN_dB - 1e-6
        assert wall.level_dB - before.level_dB + wall.edge_dB >= SEEN_dB - 1e-6
        assert outer.level_dB >= brightest_dB(wall) + LEAST_STEP_dB
        assert last is outer or last.level_dB == cavity.level_dB


def test_some_septa_are_two_lines_about_a_core_as_dark_as_blood() -> None:
    """As on real strips; most are brighter inside than that."""
    dark = []
    for scene in map(heart, range(300, 400)):
        septum = below(scene, 0)
        inside = scene.layers[septum : below(scene, 1)]
        cavity = scene.layers[below(scene, 1)]
        dark.append(min(layer.level_dB for layer in inside) < cavity.level_dB + 6)

    assert 3 <= sum(dark) <= 40


@pytest.mark.parametrize("seed", range(300, 312))
def test_blood_lies_between_the_walls_of_the_right_ventricle(seed: int) -> None:
    """Two walls that touch at some column would be one."""
    scene = heart(seed)
    septum = below(scene, 0)
    wall, blood, top_cm = scene.layers[septum - 2], scene.layers[septum - 1], scene.layers[septum].top_cm

    assert (blood.top_cm < top_cm).all()
    assert (wall.top_cm <= blood.top_cm).all()


def test_the_gain_shows_both_walls() -> None:
    """The dimmest wall is not black and the brightest not white, whatever the gain was left at."""
    levels_dB = np.repeat(np.array([-42.0, -14.0], dtype=np.float32), 8)[:, None]
    muscle = [Layer(top_cm=np.zeros(1), level_dB=level, muscle=True) for level in (-42.0, -14.0)]

    shown = np.array([exposed(Draw(np.random.default_rng(n)), levels_dB, muscle, np.inf) for n in range(200)])

    assert (shown[:, 0] >= LEAST_SHOWN - 1e-4).all()
    assert (shown[:, -1] <= MOST_SHOWN + 1e-4).all()


def test_noise_does_not_drown_the_walls() -> None:
    """Receiver noise and reverberation stay below the dimmest wall, also at the depth where they are most."""
    muscle = [Layer(top_cm=np.zeros(1), level_dB=-42.0, muscle=True)]

    for seed in range(200):
        power = background(Draw(np.random.default_rng(seed)), (60, 300), muscle, np.inf)

        assert 10 * np.log10(power.mean(axis=1).max()) < -42.0 - 2


@pytest.mark.parametrize("seed", range(300, 324))
def test_muscle_swells_into_the_cavity(seed: int) -> None:
    """In systole a wall thickens by what its inner border moves, and little more."""
    phantom = make_phantom(seed, "LV")
    cm = phantom.calibration.cm_per_px_y
    for cycle in phantom.cycles:
        d, s = cycle.landmarks_px.diastole, cycle.landmarks_px.systole
        septum_px = (d[0][1] - d[1][1]) - (s[0][1] - s[1][1])
        wall_px = (s[3][1] - s[2][1]) - (d[3][1] - d[2][1])
        moved_px = s[1][1] - d[1][1], d[2][1] - s[2][1]

        assert (septum_px - abs(moved_px[0])) * cm < 0.45
        assert (wall_px - abs(moved_px[1])) * cm < 0.45


def profiles(seed: int, border: int) -> list[np.ndarray]:
    """Gray from 12 px above to 12 px below one true border at each end diastole of a phantom."""
    phantom = kept(seed, "LV")
    height = phantom.pixels.shape[0]
    around = [
        (round(c.landmarks_px.diastole[border][0]), c.landmarks_px.diastole[border][1])
        for c in phantom.cycles
    ]
    return [
        np.interp(y + np.arange(-12, 13), np.arange(height), phantom.pixels[:, x].astype(float))
        for x, y in around
    ]


@pytest.mark.parametrize(("border", "step"), [(1, -1), (3, 1)])
def test_truth_lies_on_the_drawn_border(border: int, step: int) -> None:
    """On average the picture falls off at the true septum inner border and rises at the pericardium."""
    mean = np.mean([each for seed in range(200, 240) for each in profiles(seed, border)], axis=0)

    steepest = int(np.argmax(step * np.diff(mean))) - 11.5
    assert abs(steepest) <= 2


@pytest.mark.parametrize("kind", LOOKALIKES)
def test_lookalikes_have_no_cycle_to_find(kind: str) -> None:
    """What is no left ventricle has no truth to measure."""
    assert make_phantom(3, kind).cycles == ()


def test_the_dicom_phantom_reads_back_as_its_strip() -> None:
    """The region and pixels that the node extracts from a phantom file are the phantom's."""
    phantom = make_phantom(5, "LV")
    dataset = as_dataset(phantom)

    (region,) = mmode_regions(dataset)
    found = strip(dataset, region)

    assert (region.x0, region.y0) == strip_origin(phantom)
    assert region.calibration.cm_per_px_y == pytest.approx(phantom.calibration.cm_per_px_y)
    assert np.abs(found.pixels.astype(int) - phantom.pixels).max() <= 1


def test_truth_beside_a_file_is_in_image_pixels() -> None:
    """Boxes and landmarks of the JSON lie inside the region of the image."""
    phantom = make_phantom(5, "LV")
    document, (x, y) = truth_document(phantom), strip_origin(phantom)

    first, cycle = document["cycles"][0], phantom.cycles[0]
    assert first["box_px"] == pytest.approx([v + o for v, o in zip(cycle.box_px, (x, y, x, y), strict=True)])
    assert first["landmarks_px"]["diastole"][0][1] == pytest.approx(cycle.landmarks_px.diastole[0][1] + y)
    assert document["measurements"]["LVIDd_cm"] == mean_values(phantom)["LVIDd_cm"]


def test_seeds_of_training_validation_and_test_never_meet() -> None:
    """A million seeds lie between the ranges; no command draws that many."""
    assert TRAINING_SEEDS < VALIDATION_SEEDS < TEST_SEEDS
    assert VALIDATION_SEEDS - TRAINING_SEEDS >= 1_000_000
    assert sum(WEIGHTS.values()) == pytest.approx(1.0)
    assert set(WEIGHTS) == set(LOOKALIKES)
