"""95 % intervals: they hold the value, mean what they say, and never promise the impossible."""

from dataclasses import replace
from time import thread_time

import numpy as np
import pytest
from pydantic import ValidationError
from support.measured_strips import cycle

from inference.measure.formulas import derived
from inference.measure.intervals import (
    QUANTITIES,
    Residuals,
    deviations,
    doubts,
    interval,
    normal_deviates,
    sample,
    sizes,
    spreads,
    with_intervals,
)
from inference.types import LENGTHS, CycleMeasurement

BEATS = [cycle(40.0 + 165 * number, length_px=160 + 2 * number) for number in range(3)]


def surely(beat: CycleMeasurement) -> CycleMeasurement:
    """The same beat, as if all crops agreed to the last digit and saw every border sharply."""
    return replace(beat, spread=dict.fromkeys(beat.spread, 0.0), doubt={})


def half_widths(cycles: list[CycleMeasurement], residuals: Residuals) -> dict[str, float]:
    """Half the width of every interval."""
    return {name: (v.ci95[1] - v.ci95[0]) / 2 for name, v in with_intervals(cycles, residuals).items()}


def test_every_number_has_an_interval_around_it() -> None:
    """All fifteen values, each inside its interval, none of zero width."""
    values = with_intervals(BEATS, Residuals())

    assert set(values) == set(BEATS[0].values)
    assert all(each.ci95[0] < each.value < each.ci95[1] for each in values.values())


def test_the_same_beats_always_get_the_same_intervals() -> None:
    """Two runs of a retried job must write the same bytes."""
    assert with_intervals(BEATS, Residuals()) == with_intervals(BEATS, Residuals())


def test_the_interval_of_a_length_is_that_of_a_normal_error() -> None:
    """One sure beat, fixed error 2 % of a heart of 6.4 cm: 1.96 x 0.128 cm on both sides."""
    residuals = Residuals(fixed=dict.fromkeys(QUANTITIES, 0.02))
    values = BEATS[0].values
    heart_cm = values["IVSd_cm"] + values["LVIDd_cm"] + values["LVPWd_cm"]
    low, high = with_intervals([surely(BEATS[0])], residuals)["LVIDd_cm"].ci95

    assert values["LVIDd_cm"] - low == pytest.approx(1.96 * 0.02 * heart_cm, rel=0.05)
    assert high - values["LVIDd_cm"] == pytest.approx(1.96 * 0.02 * heart_cm, rel=0.05)


def test_doubt_of_crops_and_of_beats_widens_the_intervals() -> None:
    """Crops that disagree, and beats that differ, are doubt about every number that follows from them."""
    sure = [surely(beat) for beat in [BEATS[0]] * 3]
    other = replace(sure[1], values=sure[1].values | {"LVIDd_cm": sure[1].values["LVIDd_cm"] + 0.4})
    alike, crops = half_widths(sure, Residuals()), half_widths(BEATS, Residuals())
    beats = half_widths([sure[0], other, sure[2]], Residuals())

    assert all(alike[name] < crops[name] for name in ("LVIDd_cm", "EDV_ml", "EF_percent", "LVmass_g"))
    assert all(alike[name] < beats[name] for name in ("LVIDd_cm", "EDV_ml", "EF_percent", "LVmass_g"))


def test_errors_that_go_together_cancel_in_a_ratio() -> None:
    """When both diameters err alike, EF is known better than when each errs for itself."""
    together = np.eye(len(QUANTITIES))
    d, s = QUANTITIES.index("LVIDd_cm"), QUANTITIES.index("LVIDs_cm")
    together[d, s] = together[s, d] = 0.9
    correlated = Residuals(correlation=tuple(map(tuple, together.tolist())))

    assert half_widths(BEATS, correlated)["EF_percent"] < 0.7 * half_widths(BEATS, Residuals())["EF_percent"]
    assert half_widths(BEATS, correlated)["LVIDd_cm"] == pytest.approx(
        half_widths(BEATS, Residuals())["LVIDd_cm"], rel=0.05
    )


def test_a_factor_widens_its_value_only() -> None:
    """Conformal factors are per value."""
    plain, widened = half_widths(BEATS, Residuals()), half_widths(BEATS, Residuals(widen={"RWT": 2.0}))

    assert widened["RWT"] == pytest.approx(2 * plain["RWT"])
    assert widened["EDV_ml"] == plain["EDV_ml"]


def test_ranges_of_nature_are_kept() -> None:
    """However unsure: no negative volume, no EF above 100 %, and the value stays inside."""
    wild = Residuals(fixed=dict.fromkeys(QUANTITIES, 1.0))

    for name, value in with_intervals(BEATS, wild).items():
        assert 0 <= value.ci95[0] <= value.value <= value.ci95[1], name
    assert with_intervals(BEATS, wild)["EF_percent"].ci95[1] <= 100.0


def test_an_interval_keeps_its_value_inside_however_askew_the_samples() -> None:
    """A value beyond what is physical, too, is not contradicted by its own interval."""
    assert interval("EF_percent", 100.5, np.array([99.0, 100.0, 101.0]))[1] == 100.5


def test_sampled_numbers_follow_from_sampled_lengths() -> None:
    """Volumes and fractions are computed, not drawn: each sample is one possible heart."""
    sampled = sample(BEATS, Residuals())
    first = {name: float(sampled[name][0]) for name in LENGTHS}
    expected = derived(first, rr_s=60.0 / float(sampled["HR_bpm"][0]))

    assert all(sampled[name][0] == pytest.approx(value) for name, value in expected.items())
    assert np.all(sampled["EF_percent"] > 0)


def test_samples_are_balanced() -> None:
    """Every deviate has its mirror image, so no interval leans to one side by chance."""
    assert normal_deviates().mean(axis=0) == pytest.approx(0.0)
    assert normal_deviates().std(axis=0) == pytest.approx(1.0, abs=0.05)


def test_deviations_join_three_parts() -> None:
    """sqrt((0.03 x 6.4)² + (2 x 0.1)² + (0.5 x 0.3)²), as the docstring says."""
    residuals = Residuals(
        fixed=dict.fromkeys(QUANTITIES, 0.03),
        of_spread=dict.fromkeys(QUANTITIES, 2.0),
        of_doubt=dict.fromkeys(QUANTITIES, 0.5),
    )
    found = deviations(residuals, np.stack([np.full(7, 6.4), np.full(7, 0.1), np.full(7, 0.3)]))

    assert found == pytest.approx(np.sqrt((0.03 * 6.4) ** 2 + 0.2**2 + 0.15**2))


def test_a_hidden_border_widens_its_own_lengths_only() -> None:
    """Where the septum's right side is hidden IVSd is doubtful, and with it the mass; EF is not."""
    residuals = Residuals(of_doubt=dict.fromkeys(QUANTITIES, 1.0))
    hidden = replace(BEATS[0], doubt={"IVSd_cm": 0.5})
    seen, unseen = half_widths([BEATS[0]], residuals), half_widths([hidden], residuals)

    assert unseen["IVSd_cm"] > 2 * seen["IVSd_cm"]
    assert unseen["LVmass_g"] > 1.3 * seen["LVmass_g"]
    assert {name for name, width in unseen.items() if width != seen[name]} == {"IVSd_cm", "LVmass_g"}
    assert doubts([hidden] * 4)[QUANTITIES.index("IVSd_cm")] == pytest.approx(0.5)


def test_spreads_of_crops_stay_and_those_of_beats_shrink() -> None:
    """Nine equal beats are as doubtful as their crops; nine differing ones less so than two."""
    at = QUANTITIES.index("LVIDd_cm")
    crops = BEATS[0].spread["LVIDd_cm"]
    low, high = (replace(surely(BEATS[0]), values=BEATS[0].values | {"LVIDd_cm": d}) for d in (4.2, 4.6))

    assert spreads([BEATS[0]] * 9)[at] == pytest.approx(crops)
    assert spreads([low, high] * 4)[at] < 0.6 * spreads([low, high])[at]
    assert sizes(BEATS[0].values)[-1] == BEATS[0].values["HR_bpm"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"fixed": {"LVIDd_cm": 0.03}},
        {"of_spread": {}},
        {"of_doubt": {"x": 1.0}},
        {"correlation": ((1.0,),)},
        {"unknown": 1},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_an_incomplete_record_is_refused(wrong: dict[str, object]) -> None:
    """A residual model that misses a quantity cannot be loaded."""
    with pytest.raises(ValidationError):
        Residuals.model_validate(wrong)


def test_all_intervals_take_a_few_milliseconds() -> None:
    """They must not be felt in the time of an image."""
    with_intervals(BEATS, Residuals())
    start = thread_time()
    for _ in range(10):
        with_intervals(BEATS, Residuals())

    assert (thread_time() - start) / 10 < 0.025
