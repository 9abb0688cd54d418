"""Rules on their own, in their corners; `test_refusals` trips each of them with a picture."""

import numpy as np
import pytest

from inference.errors import Implausible, LowAgreement
from inference.labelled import CycleTruth
from inference.measure.formulas import lengths_cm
from inference.measure.plausibility import (
    agreeing,
    check_cycle,
    check_rate,
    check_spread,
    crosses_gap,
    in_rhythm,
)
from inference.phantom.parameters import Draw
from inference.phantom.strip import make_phantom, timeline, truth
from inference.phantom.ventricle import left_ventricle
from inference.types import LENGTHS, Calibration, CycleBox, CycleMeasurement, Landmarks


def cycle(
    LVIDd_cm: float, EF_percent: float, HR_bpm: float = 60.0, *, LVPWs_cm: float = 1.4
) -> CycleMeasurement:
    """A cycle of which only size, EF, rate and walls are known."""
    walls = {"IVSd_cm": 0.9, "IVSs_cm": 1.3, "LVPWd_cm": 0.9, "LVPWs_cm": LVPWs_cm}
    values = walls | {"LVIDd_cm": LVIDd_cm, "EF_percent": EF_percent, "HR_bpm": HR_bpm}
    box = CycleBox(x0=0, y0=0, x1=1, y1=1, probability=0.9)
    four = ((0.0, 0.0), (0.0, 1.0), (0.0, 2.0), (0.0, 3.0))
    return CycleMeasurement(
        box=box, landmarks=Landmarks(diastole=four, systole=four), values=values, spread={}
    )


def truth_of(seed: int) -> tuple[tuple[CycleTruth, ...], Calibration]:
    """Cycles and scale of a phantom, which is not rendered: that takes a hundred times as long."""
    draw = Draw(np.random.default_rng(seed))
    time = timeline(draw)
    scene = left_ventricle(draw, time)
    height = int(draw("height_px"))
    cm_per_px = scene.depth_cm / height
    cycles = tuple(truth(beat, cm_per_px, height) for beat in scene.beats)
    return cycles, Calibration(cm_per_px_y=cm_per_px, s_per_px_x=time.s_per_px)


def test_the_truth_is_the_rendered_phantoms() -> None:
    """What the next test looks at is what a phantom says of itself."""
    for seed in (7, 151):
        rendered = make_phantom(seed, "LV")

        assert truth_of(seed) == (rendered.cycles, rendered.calibration)


@pytest.mark.parametrize("first_seed", range(0, 200, 50))
def test_the_truth_of_a_phantom_passes(first_seed: int) -> None:
    """The rules refuse the impossible only: of the phantoms' true beats, at most one in two hundred."""
    beats, refused = 0, []
    for seed in range(first_seed, first_seed + 50):
        cycles, calibration = truth_of(seed)
        s_per_px = calibration.s_per_px_x
        for beat in cycles:
            beats += 1
            lengths = lengths_cm(beat.landmarks_px, calibration)
            rr_s = (beat.box_px[2] - beat.box_px[0]) * s_per_px
            try:
                check_cycle(beat.landmarks_px, lengths, rr_s=rr_s, s_per_px=s_per_px)
            except Implausible as error:
                refused.append(f"{seed}: {error}")

    assert len(refused) <= 0.005 * beats, refused


def test_an_ectopic_beat_is_left_out_of_the_mean() -> None:
    """Three alike and one far off: the three are averaged."""
    assert agreeing([cycle(4.8, 60), cycle(4.9, 62), cycle(4.1, 35), cycle(4.7, 59)]) == (0, 1, 3)


def test_one_cycle_agrees_with_itself() -> None:
    """A single beat is reported."""
    assert agreeing([cycle(4.8, 60)]) == (0,)


def test_cycles_that_all_differ_are_refused() -> None:
    """When fewer than half agree no mean is honest."""
    with pytest.raises(LowAgreement, match="agree"):
        agreeing([cycle(3.0, 20), cycle(4.8, 60), cycle(6.9, 80)])


def test_a_beat_with_another_wall_is_left_out() -> None:
    """A line taken for a border in one beat of three; of two that differ nobody knows which is right."""
    beats = [cycle(4.8, 60), cycle(4.8, 60, LVPWs_cm=0.9), cycle(4.8, 60, LVPWs_cm=1.3)]
    assert agreeing(beats) == (0, 2)
    assert agreeing([cycle(4.8, 60, LVPWs_cm=0.8), cycle(4.8, 60, LVPWs_cm=2.0)]) == (0, 1)


def test_the_main_rhythm_alone_is_asked_for_agreement() -> None:
    """Two odd beats of another rhythm take no part in the vote."""
    beats = [cycle(4.8, 60), cycle(3.9, 30, 110), cycle(5.6, 75, 40), cycle(4.7, 61), cycle(4.8, 59)]

    assert list(in_rhythm(beats)) == [True, False, False, True, True]
    assert agreeing(beats) == (0, 3, 4)


def test_a_rate_is_compared_only_when_there_is_one() -> None:
    """Without HeartRate nothing can contradict."""
    check_rate([cycle(4.8, 60, 72)], None)
    with pytest.raises(Implausible, match="HR_bpm 72"):
        check_rate([cycle(4.8, 60, 72)], 100.0)


def test_spread_is_relative_to_the_size_of_the_heart() -> None:
    """What is much in a child is little in an adult."""
    spread = dict.fromkeys(LENGTHS, 0.3)
    check_spread(spread, {"IVSd_cm": 0.9, "LVIDd_cm": 4.8, "LVPWd_cm": 0.9})
    with pytest.raises(LowAgreement, match="crop"):
        check_spread(spread, {"IVSd_cm": 0.3, "LVIDd_cm": 1.8, "LVPWd_cm": 0.3})


def test_the_sweep_gap_is_seen() -> None:
    """A black bar between two columns parts the beats; a dark picture with a near field does not."""
    strip = np.full((100, 200), 3, np.uint8)
    strip[:10] = 90
    gap = strip.copy()
    gap[:, 80:86] = 0

    assert crosses_gap(gap, 60, 120)
    assert not crosses_gap(gap, 90, 150)
    assert not crosses_gap(strip, 60, 120)
    assert not crosses_gap(strip, 250, 260)
