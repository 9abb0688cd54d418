"""The screen over a strip: what a machine draws leaves the heart readable and tells nothing of it."""

import numpy as np
import pytest

from inference.phantom.overlay.canvas import Canvas
from inference.phantom.overlay.ecg import black_bar, made_up_r_waves, shape
from inference.phantom.overlay.ranges import CHANCES, RANGES
from inference.phantom.overlay.video import channel, gray_map
from inference.phantom.overlay.writing import table
from inference.phantom.parameters import Draw
from inference.phantom.scene import Timeline
from inference.phantom.screen import DRAWINGS, draw_over, dress

GRAY = 128
SHAPE = (260, 520)
S_PER_PX = 0.008


def timeline(*, gap: tuple[int, int] | None = None) -> Timeline:
    """Four seconds of strip."""
    return Timeline(t_s=np.arange(SHAPE[1]) * S_PER_PX, s_per_px=S_PER_PX, gap_px=gap)


def flat_canvas(seed: int, *, gap: tuple[int, int] | None = None) -> Canvas:
    """A canvas over a strip of one gray."""
    pixels = np.full(SHAPE, GRAY, dtype=np.uint8)
    return Canvas.over(Draw(np.random.default_rng(seed)), pixels, timeline(gap=gap))


def dressed(seed: int, *, gap: tuple[int, int] | None = None) -> np.ndarray:
    """A strip of one gray after everything the screen does to it."""
    pixels = np.full(SHAPE, GRAY, dtype=np.uint8)
    return dress(Draw(np.random.default_rng(seed)), pixels, timeline(gap=gap), 72.0)


@pytest.mark.parametrize("seed", range(12))
def test_a_dressed_strip_keeps_its_shape_and_depends_on_the_seed_alone(seed: int) -> None:
    """The same draw gives the same pixels, in the shape that came in; another draw gives others."""
    pixels = dressed(seed)

    assert pixels.shape == SHAPE
    assert pixels.dtype == np.uint8
    assert np.array_equal(pixels, dressed(seed))
    assert not np.array_equal(pixels, dressed(seed + 100))


def test_the_screen_does_not_touch_the_pixels_it_was_given() -> None:
    """Dressing draws on a copy."""
    pixels = np.full(SHAPE, GRAY, dtype=np.uint8)

    for seed in range(20):
        dress(Draw(np.random.default_rng(seed)), pixels, timeline(), 72.0)

    assert (pixels == GRAY).all()


def test_drawings_leave_nearly_all_of_a_strip_alone() -> None:
    """On average less than 6 % of the pixels are drawn over, and hardly any strip loses a third."""
    shares = []
    for seed in range(150):
        canvas = flat_canvas(seed)
        draw_over(canvas, 72.0)
        shares.append(float((np.array(canvas.image) != GRAY).mean()))

    assert 0.005 < np.mean(shares) < 0.06
    assert np.quantile(shares, 0.99) < 0.3


@pytest.mark.parametrize("seed", range(8))
def test_the_sweep_gap_stays_dark(seed: int) -> None:
    """Whatever is drawn, the bar where new columns overwrite old ones is dark at its middle."""
    gap = (200, 212)
    canvas = flat_canvas(seed, gap=gap)

    draw_over(canvas, 72.0)

    assert np.array(canvas.image)[:, gap[0] + 1 : gap[1]].max() <= 45
    assert np.median(dressed(seed, gap=gap)[:, 205:208]) <= 80


def test_a_table_hides_no_more_than_a_corner() -> None:
    """At most 30 % of the width, 45 % of the height, and always at the left or right."""
    for seed in range(40):
        canvas = flat_canvas(seed)
        table(canvas)
        rows, columns = np.nonzero(np.array(canvas.image) != GRAY)

        assert np.ptp(columns) < 0.3 * SHAPE[1] + 1
        assert np.ptp(rows) < 0.45 * SHAPE[0] + 1
        assert columns.min() < 10 or columns.max() > SHAPE[1] - 10


def test_an_ecg_says_nothing_of_the_phase() -> None:
    """Its R waves fall evenly on every phase of a heart of the very same rate."""
    phases = np.concatenate([made_up_r_waves(flat_canvas(seed), 72.0) * 72 / 60 % 1 for seed in range(400)])

    counts, _ = np.histogram(phases, bins=8, range=(0, 1))
    assert counts.min() > 0.75 * counts.mean()


def test_an_ecg_peaks_at_its_r_waves() -> None:
    """In most shapes the trace is farthest from its base line within 60 ms of an R wave."""
    r_s = np.array([0.5, 1.4, 2.2, 3.3])
    near = []
    for seed in range(60):
        peak_s = float(np.argmax(np.abs(shape(flat_canvas(seed), r_s)))) * S_PER_PX
        near.append(np.abs(r_s - peak_s).min() < 0.06)

    assert np.mean(near) > 0.7


@pytest.mark.parametrize("head", [True, False])
def test_the_black_bar_of_an_ecg_ends_where_the_heart_begins(head: bool) -> None:
    """However far the bar would reach, the rows of the heart keep their gray, the rest turns black."""
    first, last = 60, 200
    pixels = np.full(SHAPE, GRAY, dtype=np.uint8)
    canvas = Canvas.over(Draw(np.random.default_rng(0)), pixels, timeline(), (first, last))

    black_bar(canvas, head=head, edge_px=SHAPE[0] / 2)

    rows = np.array(canvas.image)[:, 0]
    assert (rows[first + 1 : last] == GRAY).all()
    assert rows[0 if head else -1] == 0


@pytest.mark.parametrize("seed", range(30))
def test_no_gray_map_inverts(seed: int) -> None:
    """Brighter echoes are never shown darker, and black and white stay far apart."""
    table_of_grays = gray_map(flat_canvas(seed)).astype(int)

    assert (np.diff(table_of_grays) >= 0).all()
    assert table_of_grays[-1] - table_of_grays[0] > 130


@pytest.mark.parametrize("middle", [0.55, 0.8, 1.0])
def test_tints_run_from_black_to_white(middle: float) -> None:
    """A tinted channel never falls and changes neither black nor white."""
    values = channel(middle)

    assert (values[0], values[-1], len(values)) == (0, 255, 256)
    assert (np.diff(values) >= 0).all()


def test_the_table_of_chances_and_ranges_is_sound() -> None:
    """Every drawing has a chance, drawings that hide something are likelier absent, no range is empty."""
    assert set(DRAWINGS) <= set(CHANCES)
    assert all(CHANCES[name] < 0.5 for name in DRAWINGS)
    assert all(0 <= chance <= 1 for chance in CHANCES.values())
    assert all(low < high for low, high in RANGES.values())
