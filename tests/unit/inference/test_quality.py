"""Only what a living heart can do is believed."""

import numpy as np
import pytest

from inference.errors import Implausible, LowAgreement
from inference.quality import agreeing, check_cycle, crosses_gap
from inference.types import CycleBox, CycleMeasurement, Landmarks

HEALTHY = {"IVSd_cm": 0.9, "LVIDd_cm": 4.8, "LVPWd_cm": 0.9, "IVSs_cm": 1.2, "LVIDs_cm": 3.1, "LVPWs_cm": 1.3}


def beat(diastole_px: float = 20.0, systole_px: float = 55.0) -> Landmarks:
    """Landmarks at these columns; their depths do not matter here."""
    ed, es = [(diastole_px, float(y)) for y in range(4)], [(systole_px, float(y)) for y in range(4)]
    return Landmarks(diastole=(ed[0], ed[1], ed[2], ed[3]), systole=(es[0], es[1], es[2], es[3]))


def cycle(LVIDd_cm: float, EF_percent: float) -> CycleMeasurement:
    """A cycle of which only size and EF are known."""
    values = {"LVIDd_cm": LVIDd_cm, "EF_percent": EF_percent}
    box = CycleBox(x0=0, y0=0, x1=1, y1=1, probability=0.9)
    return CycleMeasurement(box=box, landmarks=beat(), values=values, spread={})


def test_a_healthy_beat_passes() -> None:
    """An ordinary heart raises nothing."""
    check_cycle(beat(), HEALTHY, rr_s=1.0, s_per_px=0.01)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"IVSd_cm": -0.2}, "IVSd_cm"),
        ({"LVPWs_cm": 4.5}, "LVPWs_cm"),
        ({"LVIDd_cm": 11.0}, "LVIDd_cm"),
        ({"LVIDs_cm": 0.2}, "LVIDs_cm"),
        ({"LVIDs_cm": 4.9}, "does not narrow"),
    ],
)
def test_an_impossible_length_is_named(change: dict[str, float], complaint: str) -> None:
    """Each impossible length is refused with its own name."""
    with pytest.raises(Implausible, match=complaint):
        check_cycle(beat(), HEALTHY | change, rr_s=1.0, s_per_px=0.01)


@pytest.mark.parametrize("rr_s", [0.1, 4.0])
def test_an_impossible_beat_length_is_refused(rr_s: float) -> None:
    """No heart beats 600 or 15 times a minute here."""
    with pytest.raises(Implausible, match="RR_s"):
        check_cycle(beat(), HEALTHY, rr_s=rr_s, s_per_px=0.01 * rr_s)


@pytest.mark.parametrize("systole_px", [10.0, 25.0, 110.0])
def test_systole_must_follow_diastole(systole_px: float) -> None:
    """End systole before, at once after or long after end diastole is refused."""
    with pytest.raises(Implausible, match="end systole"):
        check_cycle(beat(20.0, systole_px), HEALTHY, rr_s=1.0, s_per_px=0.01)


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
