"""Thresholds and intervals from strips whose scores and errors are known."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom
from support.measured_strips import cycle

from inference.measure.formulas import derived
from inference.measure.intervals import QUANTITIES, with_intervals
from inference.phantom.manners import MANNERS
from inference.training.calibrate import CalibrationPlan, acceptance_figures, errors, phantom_ids
from inference.training.candidates import Candidate, CandidateCycle
from inference.training.residuals import ValidationStrip, fit_residuals, left_out_coverage
from inference.training.thresholds import (
    MOST_COVERAGE_LOST,
    MOST_FALSE,
    SURE,
    choose,
    least_certainty,
    most_allowed,
    thresholds_with_shares,
)
from inference.types import LENGTHS, CycleMeasurement

BEAT = cycle()


def candidate(kind: str, *scores: tuple[float, float]) -> Candidate:
    """A strip of alike beats with these (detector, LV) probabilities."""
    beats = [
        CandidateCycle(probability=p, lv_probability=lv, certainty=1.0, measurement=BEAT) for p, lv in scores
    ]
    return Candidate(kind=kind, cycles=tuple(beats), truth=BEAT.values if kind == "LV" else {})


def test_the_cycles_of_a_strip_are_pooled() -> None:
    """Cycles above the detector's threshold are pooled; those that fail alone are left out."""
    strip = candidate("LV", (0.9, 0.4), (0.3, 0.05), (0.8, 0.95))

    assert len(strip.measured(0.5, 0.5)) == 1
    assert strip.measured(0.85, 0.5) == []
    assert strip.measured(0.2, 0.5) == []
    assert len(strip.measured(0.2, 0.2)) == 2
    assert len(strip.measured(0.1, 0.0)) == 2
    assert len(strip.measured(0.2, 0.45)) == 1


def test_what_the_rules_refuse_is_never_measured() -> None:
    """An implausible beat does not count, nor do beats that disagree."""
    implausible = Candidate(
        kind="LV",
        cycles=(CandidateCycle(probability=1.0, lv_probability=1.0, certainty=1.0, measurement=None),),
        truth={},
    )
    values = [{**BEAT.values, "EF_percent": EF, "LVIDd_cm": d} for EF, d in ((20, 3.0), (50, 4.4), (75, 6.5))]
    beats = [
        CandidateCycle(
            probability=1.0, lv_probability=1.0, certainty=1.0, measurement=replace(BEAT, values=each)
        )
        for each in values
    ]

    assert implausible.measured(0.0, 0.0) == []
    assert Candidate(kind="LV", cycles=tuple(beats), truth=BEAT.values).measured(0.0, 0.0) == []


def test_two_thresholds_separate_what_neither_does_alone() -> None:
    """Each network accepts other look-alikes, both accept the ventricles: the pair separates them wholly."""
    lv_strips = [candidate("LV", (0.8, 0.8))] * 10
    others = [candidate("mitral", (0.95, 0.3))] * 5 + [candidate("aorta", (0.4, 0.95))] * 5
    chosen = choose([*lv_strips, *others])

    assert (chosen.coverage, chosen.false_measures) == (1.0, 0.0)
    assert 0.4 < chosen.detector <= 0.8
    assert 0.3 < chosen.lv_probability <= 0.8
    assert thresholds_with_shares(lv_strips, others, chosen.detector, 0.0).false_measures > 0
    assert thresholds_with_shares(lv_strips, others, 0.05, chosen.lv_probability).false_measures > 0


def test_false_measures_come_before_coverage() -> None:
    """Half of the ventricles are given up rather than to measure one look-alike in fifty."""
    lv_strips = [candidate("LV", (0.9, 0.9))] * 5 + [candidate("LV", (0.5, 0.5))] * 5
    chosen = choose([*lv_strips, candidate("mitral", (0.6, 0.6)), *[candidate("noise")] * 49])

    assert chosen.false_measures <= MOST_FALSE
    assert chosen.coverage == 0.5


@pytest.mark.parametrize(("others", "allowed"), [(40, 0), (298, 0), (473, 1), (1000, 4), (2000, 12)])
def test_so_many_look_alikes_may_be_measured(others: int, allowed: int) -> None:
    """With one more, a true share of 1 % would no longer be unlikely: the binomial sum itself says so."""
    assert most_allowed(others) == allowed / others
    assert binom.cdf(allowed + 1, others, MOST_FALSE) > 1 - SURE
    assert allowed == 0 or binom.cdf(allowed, others, MOST_FALSE) <= 1 - SURE


@pytest.mark.parametrize(
    "strips", [[candidate("LV", (1, 1))], [candidate("aorta")], []], ids=["LV", "aorta", "none"]
)
def test_thresholds_need_both_sides(strips: list[Candidate]) -> None:
    """Without left ventricles, or without anything else, nothing can be chosen."""
    with pytest.raises(ValueError, match="look-alikes"):
        choose(strips)


def test_the_certainty_threshold_costs_one_ventricle_in_two_hundred() -> None:
    """Of 200 ventricles at most `MOST_COVERAGE_LOST` are refused by the threshold, the least certain ones."""
    lv_strips = [
        Candidate(
            kind="LV",
            cycles=(CandidateCycle(probability=1.0, lv_probability=1.0, certainty=sure, measurement=BEAT),),
            truth=BEAT.values,
        )
        for sure in [0.31, 0.52, 0.53, 0.55, *[0.95] * 196]
    ]
    others = [candidate("noise")]

    certainty = least_certainty([*lv_strips, *others], thresholds_with_shares(lv_strips, others, 0.5, 0.5))

    assert 0.31 < certainty <= 0.52
    lost = [one for one in lv_strips if not one.measured(0.5, 0.5, certainty)]
    assert len(lost) == MOST_COVERAGE_LOST * len(lv_strips) == 1


def test_figures_name_every_kind() -> None:
    """The record says which look-alike still passes."""
    implausible = CandidateCycle(probability=0.9, lv_probability=0.9, certainty=1.0, measurement=None)
    lv_strips = [candidate("LV", (0.9, 0.9)), Candidate(kind="LV", cycles=(implausible,), truth=BEAT.values)]
    others = [candidate("mitral", (0.9, 0.9)), candidate("aorta", (0.1, 0.1)), candidate("aorta")]
    figures = acceptance_figures(
        [*lv_strips, *others], thresholds_with_shares(lv_strips, others, 0.5, 0.5), 0.0
    )

    assert (figures["coverage"], figures["refused_by_rules"]) == (0.5, 0.5)
    assert figures["false_measures"] == pytest.approx(1 / 3)
    assert (figures["false_measures_mitral"], figures["false_measures_aorta"]) == (1.0, 0.0)


def validation_strips(
    count: int, *, fixed: float, slope: float, together: float, of_doubt: float = 0.0, seed: int = 1
) -> list[ValidationStrip]:
    """Strips whose errors are known: parts by heart, spread and doubt, alike in both diameters."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        spread = {name: float(rng.uniform(0.01, 0.25)) for name in LENGTHS} | {"HR_bpm": 0.0}
        doubt = {name: float(rng.uniform(0.05, 0.5)) for name in LENGTHS} if of_doubt else {}
        heart_cm = 6.4
        noise = {name: float(rng.normal()) for name in QUANTITIES}
        noise["LVIDs_cm"] = together * noise["LVIDd_cm"] + np.sqrt(1 - together**2) * noise["LVIDs_cm"]
        lengths = {
            name: BEAT.values[name]
            + noise[name]
            * float(np.linalg.norm([fixed * heart_cm, slope * spread[name], of_doubt * doubt.get(name, 0)]))
            for name in LENGTHS
        }
        rate = BEAT.values["HR_bpm"] * (1 + fixed * noise["HR_bpm"])
        made.append(ValidationStrip(cycles=[measured(lengths, rate, spread, doubt)], truth=BEAT.values))
    return made


def measured(
    lengths: Mapping[str, float], rate: float, spread: Mapping[str, float], doubt: Mapping[str, float]
) -> CycleMeasurement:
    """One beat of these lengths."""
    values = {**lengths, **derived(dict(lengths), rr_s=60.0 / rate)}
    return replace(BEAT, values=values, spread={name: spread.get(name, 0.0) for name in values}, doubt=doubt)


def test_the_error_model_is_found_again() -> None:
    """From 1,000 strips: fixed part, part per spread and correlation as they were put in."""
    found = fit_residuals(validation_strips(1000, fixed=0.01, slope=1.5, together=0.6))
    d, s = QUANTITIES.index("LVIDd_cm"), QUANTITIES.index("LVIDs_cm")

    assert found.fixed["LVIDd_cm"] == pytest.approx(0.01, rel=0.25)
    assert found.of_spread["LVIDd_cm"] == pytest.approx(1.5, rel=0.15)
    assert found.fixed["HR_bpm"] == pytest.approx(0.01, rel=0.1)
    assert found.correlation[d][s] == pytest.approx(0.6, abs=0.08)
    assert found.correlation[d][0] == pytest.approx(0.0, abs=0.08)
    assert found.widen["LVIDd_cm"] == pytest.approx(1.0, abs=0.12)


def test_the_part_of_doubt_is_found_again() -> None:
    """Errors of half the network's doubt, beside a small fixed part and none of the spread."""
    found = fit_residuals(validation_strips(1000, fixed=0.005, slope=0.0, together=0.0, of_doubt=0.5))

    assert found.of_doubt["IVSd_cm"] == pytest.approx(0.5, rel=0.15)
    assert found.of_spread["IVSd_cm"] < 0.6
    assert found.of_doubt["HR_bpm"] == 0.0


def test_95_percent_of_unseen_truths_lie_inside() -> None:
    """Intervals fitted on some strips hold on others, for every number, volumes and EF too."""
    fitted = fit_residuals(validation_strips(600, fixed=0.015, slope=1.0, together=0.5))
    unseen = validation_strips(600, fixed=0.015, slope=1.0, together=0.5, seed=2)

    found = [with_intervals(one.cycles, fitted) for one in unseen]
    for name, truth in BEAT.values.items():
        inside = np.mean([one[name].ci95[0] <= truth <= one[name].ci95[1] for one in found])
        assert 0.92 <= inside <= 0.98, name


def test_too_few_strips_are_said_to_be_too_few() -> None:
    """No interval is made up from a handful of strips."""
    with pytest.raises(ValueError, match="40 measured left ventricles, not 3"):
        fit_residuals(validation_strips(3, fixed=0.01, slope=1.0, together=0.0))


def test_root_mean_square_errors() -> None:
    """The record's figures are those of strip means; of nothing there are none."""
    off = {**BEAT.values, "LVIDd_cm": BEAT.values["LVIDd_cm"] - 0.3}

    assert errors([ValidationStrip(cycles=[BEAT], truth=off)])["LVIDd_cm"] == pytest.approx(0.3)
    assert errors([]) == {}


def test_a_plan_is_always_the_same_phantoms() -> None:
    """Ventricles of consecutive seeds in every manner in turn, then every other kind in turn."""
    named = phantom_ids(CalibrationPlan(strips=10, lookalikes=40))

    assert [kind for _, kind, _ in named[8:12]] == ["LV", "LV", "mitral", "aorta"]
    assert [manners for *_, manners in named[:8]] == [(), *((name,) for name in MANNERS)]
    assert len(named) == len(set(named)) == 50
    assert named == phantom_ids(CalibrationPlan(strips=10, lookalikes=40))


def test_intervals_hold_in_every_manner() -> None:
    """A manner whose errors are three times as large widens the intervals until they hold there too."""
    strips = [
        *validation_strips(600, fixed=0.01, slope=0.0, together=0.0),
        *(
            replace(one, manners=("dropout",))
            for one in validation_strips(60, fixed=0.03, slope=0.0, together=0.0, seed=2)
        ),
    ]
    residuals = fit_residuals(strips)
    unseen = validation_strips(200, fixed=0.03, slope=0.0, together=0.0, seed=3)

    inside = [
        low <= strip.truth["LVIDd_cm"] <= high
        for strip in unseen
        for low, high in [with_intervals(strip.cycles, residuals)["LVIDd_cm"].ci95]
    ]

    assert np.mean(inside) > 0.85
    assert left_out_coverage(strips)["inside_when_left_out_dropout"] < 0.8
