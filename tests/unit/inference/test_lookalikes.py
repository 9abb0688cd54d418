"""Look-alikes: what makes each of them no left ventricle is really drawn."""

import numpy as np
import pytest

from inference.phantom.lookalikes import LOOKALIKES
from inference.phantom.lookalikes.aorta import aortic_root
from inference.phantom.lookalikes.mitral import leaflets, near_the_annulus
from inference.phantom.lookalikes.pieces import body_size, ejection, strokes
from inference.phantom.lookalikes.ranges import MITRAL, RANGES
from inference.phantom.motion import rhythm
from inference.phantom.parameters import Draw
from inference.phantom.render import render
from inference.phantom.scene import Line, Timeline
from inference.phantom.ventricle import moving_walls

TIME = Timeline(t_s=np.linspace(0.0, 3.6, 1200), s_per_px=3.6 / 1199)


def drawn(seed: int) -> Draw:
    """Draws that belong to one seed."""
    return Draw(np.random.default_rng(seed))


@pytest.mark.parametrize("form", MITRAL)
@pytest.mark.parametrize("seed", range(6))
def test_mitral_leaflets_cross_the_cavity_in_diastole_only(form: str, seed: int) -> None:
    """The anterior leaflet travels over a third of the cavity once open, and is shut in systole."""
    draw = drawn(seed)
    walls, _ = moving_walls(draw, TIME, 1.0)
    valve = leaflets(draw, MITRAL[form], walls, TIME.t_s)

    share = (valve.anterior_cm - walls.septum_inner) / walls.cavity_cm
    systole = np.zeros(len(TIME.t_s), dtype=bool)
    for r, rr in zip(walls.beats.r_s[:-1], walls.beats.rr_s, strict=True):
        stop = r + min(0.34 * np.sqrt(rr), 0.6 * rr)
        systole |= (TIME.t_s > r + 0.111) & (TIME.t_s < stop - 0.001)

    assert np.ptp(share[(valve.opened > 0) & ~systole]) > 0.33
    assert share.min() > 0
    assert share.max() < 1
    assert np.abs(valve.opened[systole]).max(initial=0.0) < 1e-9


@pytest.mark.parametrize("seed", range(8))
def test_a_cut_near_the_annulus_moves_less_and_never_narrows(seed: int) -> None:
    """The damped posterior wall lies at or behind the one it is made of, and behind its own inner border."""
    walls, _ = moving_walls(drawn(seed), TIME, 1.0)
    basal = near_the_annulus(walls, moves=0.3)

    assert np.ptp(basal.posterior_inner) == pytest.approx(0.3 * np.ptp(walls.posterior_inner))
    assert (basal.posterior_inner >= walls.posterior_inner - 1e-9).all()
    assert (basal.posterior_outer > basal.posterior_inner).all()


@pytest.mark.parametrize("seed", range(8))
def test_aortic_walls_move_together_and_the_atrium_is_still(seed: int) -> None:
    """Front and back wall move in parallel within 15 %; the far atrial wall hardly moves."""
    draw = drawn(seed)
    walls, _ = moving_walls(draw, TIME, 1.0)
    root = aortic_root(draw, walls, 1.0)

    assert np.corrcoef(root.front, root.back_inner)[0, 1] > 0.999
    assert np.ptp(root.back_inner) / np.ptp(root.front) == pytest.approx(0.975, abs=0.126)
    assert np.ptp(root.atrial_wall) <= 0.26 * np.ptp(walls.contraction)
    assert (root.back < root.atrial_wall).all()


@pytest.mark.parametrize("seed", range(5))
def test_semilunar_valves_open_like_a_box(seed: int) -> None:
    """Between shut and open lies little time, and most of the beat the valve is shut."""
    draw = drawn(seed)
    opened = ejection(draw, rhythm(draw, float(TIME.t_s.max())), TIME.t_s)

    moving = (opened > 0.02) & (opened < 0.55)
    assert opened.min() == 0
    assert opened.max() > 0.6
    assert moving.mean() < 0.25
    assert (opened == 0).mean() > 0.3


@pytest.mark.parametrize("kind", ["TAPSE", "MAPSE", "apical"])
@pytest.mark.parametrize("seed", range(5))
def test_an_apical_field_moves_one_way(kind: str, seed: int) -> None:
    """No two well-moving structures of an apical strip move against each other."""
    scene = LOOKALIKES[kind](drawn(seed), TIME)

    motions = [layer.top_cm for layer in scene.layers]
    largest = max(np.ptp(motion) for motion in motions)
    moving = [motion for motion in motions if np.ptp(motion) > 0.4 * largest]
    assert len(moving) >= 2
    assert np.corrcoef(moving).min() > 0.5


@pytest.mark.parametrize("seed", range(20))
def test_the_posterior_wall_is_out_of_range(seed: int) -> None:
    """The strip without a posterior wall ends before the posterior endocardium at every column."""
    draw = drawn(seed)
    walls, _ = moving_walls(draw, TIME, body_size(draw))
    scene = LOOKALIKES["no_posterior_wall"](drawn(seed), TIME)

    assert scene.depth_cm < walls.posterior_inner.min()


@pytest.mark.parametrize("kind", LOOKALIKES)
@pytest.mark.parametrize("seed", range(4))
def test_every_kind_is_a_picture_without_beats(kind: str, seed: int) -> None:
    """Every kind has finite borders, something to see, and nothing to measure."""
    draw = drawn(seed)
    scene = LOOKALIKES[kind](draw, TIME)
    shown = render(draw, scene, TIME, 200)

    assert scene.kind == kind
    assert scene.beats == []
    assert scene.walls_cm is None
    assert 0 < scene.depth_cm < 30
    assert all(np.isfinite(layer.top_cm).all() for layer in scene.layers)
    assert all(np.isfinite(line.y_cm).all() for line in scene.lines)
    assert shown.shape == (200, len(TIME.t_s))
    assert np.ptp(shown) > 5


def test_a_fast_stroke_is_drawn_without_gaps() -> None:
    """A line that jumps gets echoes between its columns there, and nowhere else."""
    y = np.where(np.arange(100) < 50, 2.0, 3.0)
    line = Line(y_cm=y, level_dB=np.zeros(100), sigma_cm=0.1)

    whole = strokes(line, 3.0)
    depths = np.array([part.y_cm[49] for part in whole])
    assert np.diff(np.sort(np.append(depths, whole[0].y_cm[50]))).max() < 0.8
    assert all(np.isnan(part.level_dB[[10, 90]]).all() for part in whole[1:])
    assert all(part.level_dB[49] == -3 for part in whole[1:])


def test_the_table_of_ranges_is_sound() -> None:
    """Every range goes upwards; mitral forms share the whole and never open less than a chordal level."""
    assert all(low <= high for low, high in RANGES.values())
    assert sum(form.chance for form in MITRAL.values()) == pytest.approx(1.0)
    assert all(form.excursion[0] >= 0.35 for form in MITRAL.values())
