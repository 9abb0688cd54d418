"""Phantoms in manners that hide borders: what is hidden, what is still seen, and that the truth stays."""

import numpy as np
import pytest
from numpy.typing import NDArray

from inference.phantom.fragments import fragments, while_moving
from inference.phantom.lookalikes import LOOKALIKES
from inference.phantom.manners import (
    BROAD_PERICARDIUM,
    CHORDAL_LINES,
    DARK_SEPTUM,
    DROPOUT,
    GREY_MAP,
    MANNERS,
    PLAIN,
    RV_LINES,
    SHARES,
    SPECULAR,
    some_manners,
)
from inference.phantom.parameters import Draw
from inference.phantom.strip import make_phantom, make_phantom_in_some_manners

SEEDS = range(500, 530)


def step(seed: int, manners: tuple[str, ...], border: int, *, reach_px: int = 4) -> NDArray[np.float64]:
    """Return at each column the mean gray below a border minus that above it."""
    strip = make_phantom(seed, "LV", manners)
    assert strip.walls_px is not None
    height, width = strip.pixels.shape
    rows = np.clip(np.round(strip.walls_px[border]).astype(int), reach_px, height - reach_px - 1)
    columns, gray = np.arange(width), strip.pixels.astype(float)
    below = np.mean([gray[rows + k, columns] for k in range(1, reach_px + 1)], axis=0)
    above = np.mean([gray[rows - k, columns] for k in range(1, reach_px + 1)], axis=0)
    return np.asarray(below - above)


def mean_step(manners: tuple[str, ...], border: int) -> float:
    """Return the mean contrast of a border over the seeds, without regard to its sign."""
    return float(np.mean([abs(step(seed, manners, border)).mean() for seed in SEEDS]))


@pytest.mark.parametrize("kind", ["LV", *LOOKALIKES])
def test_a_seed_in_a_manner_is_a_phantom(kind: str) -> None:
    """The same pixels each time, every manner at once, for every kind; the names go with the truth."""
    once, again = (make_phantom(7, kind, MANNERS) for _ in range(2))

    assert np.array_equal(once.pixels, again.pixels)
    assert once.manners == tuple(sorted(MANNERS))


def test_without_a_manner_nothing_changes() -> None:
    """A phantom without any has none, and its hearts are those that its seed always had."""
    assert make_phantom(3, "LV").manners == ()
    assert np.array_equal(make_phantom(3, "LV").pixels, make_phantom(3, "LV", ()).pixels)


@pytest.mark.parametrize("name", MANNERS)
def test_each_manner_shows(name: str) -> None:
    """It changes the picture."""
    for seed in SEEDS[:4]:
        plain, drawn = make_phantom(seed, "LV"), make_phantom(seed, "LV", (name,))
        assert plain.pixels.shape != drawn.pixels.shape or not np.array_equal(plain.pixels, drawn.pixels)


def test_a_dark_septum_hides_its_left_border_but_not_its_right() -> None:
    """Its left border has a third of the usual contrast at most; the right one keeps its own."""
    assert mean_step((DARK_SEPTUM,), 1) < 0.5 * mean_step((), 1)
    assert mean_step((DARK_SEPTUM,), 0) > 0.6 * mean_step((), 0)


def test_the_left_border_of_a_dark_septum_is_seen_in_places() -> None:
    """Its brightest tenth of columns is brighter than the blood behind it, by what a person sees."""
    seen = 0
    for seed in SEEDS:
        strip = make_phantom(seed, "LV", (DARK_SEPTUM,))
        assert strip.walls_px is not None
        rows = np.clip(np.round(strip.walls_px[1]).astype(int), 1, strip.pixels.shape[0] - 12)
        columns, gray = np.arange(strip.pixels.shape[1]), strip.pixels.astype(float)
        at = np.max([gray[rows + k, columns] for k in (-1, 0, 1)], axis=0)
        behind = np.mean([gray[rows + k, columns] for k in range(5, 11)], axis=0)
        seen += np.quantile(at - behind, 0.9) > 8
    assert seen >= 0.85 * len(SEEDS)


def test_a_broad_pericardium_smears_its_border() -> None:
    """The gray rises over more rows before the white than it does elsewhere: its step is less."""
    assert mean_step((BROAD_PERICARDIUM,), 3) < 0.93 * mean_step((), 3)


def test_a_wall_drops_out_for_a_part_of_the_beat() -> None:
    """The least contrast over time falls, the greatest does not."""
    borders = [step(seed, (DROPOUT,), border) for seed in SEEDS for border in (0, 2)]
    usual = [step(seed, (), border) for seed in SEEDS for border in (0, 2)]
    least, usual_least = (np.mean([np.quantile(each, 0.1) for each in some]) for some in (borders, usual))
    most, usual_most = (np.mean([np.quantile(each, 0.9) for each in some]) for some in (borders, usual))

    assert least < 0.8 * usual_least
    assert most > 0.8 * usual_most


@pytest.mark.parametrize("name", [CHORDAL_LINES, RV_LINES, SPECULAR, GREY_MAP])
def test_the_truth_is_a_possible_heart(name: str) -> None:
    """Borders in their order at every column, inside the strip, cycles in it."""
    for seed in SEEDS[:6]:
        strip = make_phantom(seed, "LV", (name,))
        assert strip.walls_px is not None
        assert (np.diff(strip.walls_px, axis=0) > 0).all()
        assert strip.walls_px.max() < strip.pixels.shape[0]


@pytest.mark.parametrize("share", [0.1, 0.3, 0.9])
def test_fragments_are_a_share_of_the_columns(share: float) -> None:
    """As many as asked for, in pieces, and more of them where they are favoured."""
    draw, favoured = Draw(np.random.default_rng(1)), np.repeat([0.0, 3.0], 500)

    level = fragments(draw, share=share, length_px=10, level_dB=-30.0, favoured=favoured)

    assert np.isfinite(level).mean() == pytest.approx(share, abs=0.02)
    assert np.isfinite(level[500:]).sum() > np.isfinite(level[:500]).sum()


def test_a_border_is_favoured_while_it_moves() -> None:
    """Standing still it is seen less than moving."""
    border = np.concatenate([np.zeros(100), np.linspace(0, 1, 100)])

    favoured = while_moving(border)

    assert favoured[150] > favoured[50]


def test_training_mixes_the_manners() -> None:
    """By seed: a quarter without any, the others in the stated shares, together at times."""
    drawn = [some_manners(seed) for seed in range(2000)]

    for name, share in SHARES.items():
        found = np.mean([name in each for each in drawn])
        assert found == pytest.approx((1 - PLAIN) * share, abs=0.04), name
    assert any(len(each) > 2 for each in drawn)
    assert make_phantom_in_some_manners(11).manners == tuple(sorted(some_manners(11)))
