"""The truth of a strip is what a reader would report of it."""

from dataclasses import replace

import pytest

from inference.labelled import LabelledStrip, cycle_values, mean_values
from inference.phantom.strip import make_phantom

HEART = make_phantom(1, "LV")


def with_an_early_beat(strip: LabelledStrip) -> LabelledStrip:
    """The strip with its last cycle cut to half its length, as an ectopic beat is."""
    last = strip.cycles[-1]
    x0, y0, x1, y1 = last.box_px
    return replace(strip, cycles=(*strip.cycles[:-1], replace(last, box_px=(x0, y0, (x0 + x1) / 2, y1))))


def test_regular_beats_are_averaged() -> None:
    """Every beat of a regular strip counts."""
    each = [cycle_values(HEART, cycle)["LVIDd_cm"] for cycle in HEART.cycles]

    assert len(each) >= 3
    assert mean_values(HEART)["LVIDd_cm"] == pytest.approx(sum(each) / len(each))


def test_an_ectopic_beat_is_left_out_of_the_truth() -> None:
    """The node leaves it out of what it reports, so the truth it is compared with does too."""
    strip = with_an_early_beat(HEART)
    each = [cycle_values(strip, cycle)["LVIDd_cm"] for cycle in strip.cycles[:-1]]

    assert mean_values(strip)["LVIDd_cm"] == pytest.approx(sum(each) / len(each))


def test_a_lookalike_has_no_values() -> None:
    """What is no left ventricle has no truth."""
    assert mean_values(make_phantom(1, "aorta")) == {}
