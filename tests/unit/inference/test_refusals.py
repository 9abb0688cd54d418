"""Every rule of plausibility and agreement, tripped by a drawn picture, with its reason and its words."""

from dataclasses import replace

import numpy as np
import pytest
from support.drawn_hearts import Heart, boxes_of, changed, draw, readers, strip_of

from inference.analyse import analyse_strip
from inference.errors import NoCycle
from inference.measure.acceptance import Located, left_ventricles
from inference.measure.intervals import QUANTITIES, Residuals
from inference.measure.plausibility import GAP_PX, crosses_gap
from inference.types import UNKNOWN_PATIENT, CycleBox, LandmarkSamples, Patient, StripResult


def result_of(*hearts: Heart, patient: Patient = UNKNOWN_PATIENT, shift: float = 0.0) -> StripResult:
    """What the node says of a strip of these beats."""
    with readers(hearts, boxes_of(hearts, shift=shift)) as model:
        return analyse_strip(draw(*hearts), model, patient)


def test_a_healthy_heart_is_measured() -> None:
    """Three ordinary beats give their lengths, to the pixel, and all three are averaged."""
    result = result_of(*[Heart()] * 3)

    assert result.measured
    assert result.used == (0, 1, 2)
    assert result.measurements["LVIDd_cm"].value == pytest.approx(4.8, abs=0.03)
    assert result.measurements["LVIDs_cm"].value == pytest.approx(3.1, abs=0.13)


@pytest.mark.parametrize(
    ("heart", "words"),
    [
        (changed(LVIDd=-3.0), "out of order in diastole"),
        (changed(LVIDs=-3.5, septum_back=2.5), "out of order in systole"),
        (changed(IVSd=0.1, IVSs=0.3), "IVSd_cm"),
        (changed(LVPWd=4.2, LVPWs=4.4, LVIDd=3.0, LVIDs=2.0), "LVPWd_cm"),
        (changed(LVIDd=0.7, LVIDs=0.5), "LVIDd_cm"),
        (changed(LVIDs=0.25), "LVIDs_cm"),
        (changed(LVIDs=4.9), "does not narrow"),
        (changed(LVIDs=4.75), "FS_percent"),
        (changed(LVIDs=1.0), "FS_percent"),
        (changed(IVSs=0.6, LVPWs=0.6), "thickness of both walls"),
        (changed(septum_back=2.6, IVSs=1.2), "share of the posterior wall"),
        (changed(septum_back=-2.0, LVIDs=4.4, IVSs=1.0), "share of the posterior wall"),
        (changed(RR_s=0.2), "RR_s"),
        (changed(RR_s=2.9), "RR_s"),
        (changed(systole_at=0.15), "end systole"),
        (changed(systole_at=0.65), "end systole"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_picture_of_no_possible_heart_is_implausible(heart: Heart, words: str) -> None:
    """Each impossible picture is refused by the rule it breaks, in that rule's words."""
    result = result_of(heart, heart)

    assert result.reason == "implausible"
    assert words in result.detail


def test_a_phase_outside_its_box_is_implausible() -> None:
    """A box that begins after end diastole is not the cycle the landmarks belong to."""
    result = result_of(Heart(), Heart(), shift=0.25)

    assert (result.reason, result.detail) == ("implausible", "end diastole lies outside its cycle")


@pytest.mark.parametrize(
    "heart",
    [
        changed(LVIDd=7.8, LVIDs=7.4, IVSd=0.6, IVSs=0.65, LVPWd=0.6, LVPWs=0.7, septum_back=0.1),
        changed(IVSd=2.6, IVSs=3.0, LVIDd=3.0, LVIDs=1.4, LVPWd=2.0, LVPWs=2.6),
        changed(septum_back=-0.5, IVSs=1.0, LVIDs=3.9),
        changed(RR_s=0.34, systole_at=0.5, LVIDd=1.6, LVIDs=1.0, IVSd=0.3, IVSs=0.4, LVPWd=0.3, LVPWs=0.45),
        changed(LVPWs=0.9, septum_back=1.3),
    ],
    ids=["dilated", "hypertrophic", "paradoxical septum", "newborn", "still posterior wall"],
)
def test_an_ill_heart_is_measured(heart: Heart) -> None:
    """Illness is no reason to refuse."""
    result = result_of(heart, heart)

    assert result.measured, result.detail


def test_an_adult_heart_in_a_newborn_is_implausible() -> None:
    """The same picture is a heart or none, depending on who is said to carry it."""
    newborn, adult = Patient(height_m=0.5, weight_kg=3.4), Patient(height_m=1.75, age_years=50)
    heart = changed(LVIDd=5.2, LVIDs=3.4)

    assert "LVIDd_cm" in result_of(heart, patient=newborn).detail
    assert result_of(heart, patient=adult).measured
    assert result_of(heart).measured


@pytest.mark.parametrize("stated", [100.0, 45.0])
def test_a_rate_that_contradicts_the_image_is_implausible(stated: float) -> None:
    """Beats of 0.9 s are 67/min: an image that says otherwise was not understood."""
    result = result_of(Heart(), Heart(), patient=Patient(heart_rate_bpm=stated))

    assert result.reason == "implausible"
    assert "HeartRate" in result.detail


@pytest.mark.parametrize("stated", [67.0, 75.0, 133.0, 33.0])
def test_a_rate_that_may_be_meant_so_passes(stated: float) -> None:
    """About the same, every beat counted twice, or every other one."""
    assert result_of(Heart(), Heart(), patient=Patient(heart_rate_bpm=stated)).measured


def test_the_rate_of_one_beat_suffices() -> None:
    """In an irregular rhythm HeartRate may be that of any beat."""
    beats = [changed(RR_s=rr) for rr in (0.6, 0.9, 1.1)]

    assert result_of(*beats, patient=Patient(heart_rate_bpm=100)).measured


def test_a_premature_beat_is_left_out() -> None:
    """Neither the early beat nor the one behind the pause is averaged."""
    result = result_of(Heart(), changed(RR_s=0.6, LVIDs=3.3), changed(RR_s=1.3), Heart(), Heart())

    assert result.used == (0, 3, 4)


def test_an_irregular_rhythm_is_averaged_over_all_its_beats() -> None:
    """In atrial fibrillation no beat is the rule and none the exception."""
    result = result_of(*[changed(RR_s=rr) for rr in (0.5, 0.7, 1.0, 1.3)])

    assert result.used == (0, 1, 2, 3)


def test_beats_that_all_differ_are_of_low_agreement() -> None:
    """When fewer than half agree no mean is honest."""
    result = result_of(changed(LVIDd=4.0, LVIDs=3.6), Heart(), changed(LVIDd=6.0, LVIDs=2.2))

    assert result.reason == "low_agreement"
    assert "agree" in result.detail


def test_borders_that_depend_on_the_crop_are_of_low_agreement() -> None:
    """Ragged borders: every crop would measure another heart."""
    result = result_of(changed(IVSd=1.0, LVPWd=1.0, ragged=0.45))

    assert result.reason == "low_agreement"
    assert "from crop to crop" in result.detail


def test_a_beat_across_the_sweep_gap_is_no_cycle() -> None:
    """Half a beat before the bar and half a beat behind it, maybe hours apart."""
    heart = Heart()
    pixels = draw(heart).pixels.copy()
    pixels[:, 90:96] = 0
    with readers([heart], boxes_of([heart])) as model:
        result = analyse_strip(strip_of(pixels), model)

    assert result.reason == "no_cycle"
    assert result.detail.endswith("and on one side of the sweep gap")


@pytest.mark.parametrize("black", [slice(0, 4), slice(-4, None)], ids=["first", "last"])
def test_a_black_frame_is_no_sweep_gap(black: slice) -> None:
    """A cycle that reaches into the frame of its strip is not parted by it; one that spans a bar is."""
    pixels = np.full((40, 100), 90, np.uint8)
    pixels[:, black] = 0

    assert not crosses_gap(pixels, -3, 104)
    pixels[:, 50 : 50 + GAP_PX] = 0
    assert crosses_gap(pixels, -3, 104)
    assert not crosses_gap(pixels, -3, 49)
    pixels[:, 30:60] = 0
    assert crosses_gap(pixels, -3, 45)
    assert not crosses_gap(np.zeros((40, 100), np.uint8), 0, 99)


def test_a_faint_cycle_is_no_cycle() -> None:
    """Below the detector's threshold nothing is measured, and both numbers are said."""
    hearts = [Heart()]
    with readers(hearts, boxes_of(hearts, probability=0.3)) as model:
        result = analyse_strip(draw(*hearts), model)

    assert (result.reason, result.detail) == ("no_cycle", "most probable cycle 0.30, needed 0.50")


def test_what_the_landmark_network_does_not_know_is_no_cycle() -> None:
    """The landmark network refuses what the detector took for a cycle; both probabilities are named."""
    hearts = [Heart()]
    with readers(hearts, boxes_of(hearts), lv_probability=0.2) as model:
        result = analyse_strip(draw(*hearts), model)

    assert result.reason == "no_cycle"
    assert "0.99" in result.detail
    assert "0.20" in result.detail


def test_the_cycles_of_a_strip_are_pooled() -> None:
    """One cycle that looks like a ventricle's does not make a strip one; one that does not is left out."""
    found = [located(0.9, 0.8), located(0.9, 0.1)]
    with pytest.raises(NoCycle, match=r"left ventricle 0\.40, needed 0\.50"):
        left_ventricles(found, 0.5)

    found = [located(0.9, 0.99), located(0.9, 0.4), located(0.4, 0.99)]
    assert left_ventricles(found, 0.5) == found[:1]
    assert left_ventricles(found, 0.0) == found[:2]


def test_a_strip_whose_probable_cycles_would_not_pass_alone_is_refused() -> None:
    """A cycle that the detector hardly believes in cannot carry a strip: a refusal, not a crash."""
    found = [located(0.9, 0.9), located(0.2, 0.9999)]

    with pytest.raises(NoCycle, match="together and alone"):
        left_ventricles(found, 0.95)


def located(probability: float, lv_probability: float) -> Located:
    """A cycle that both networks give these probabilities."""
    samples = LandmarkSamples(
        points_px=np.zeros((1, 8, 2)),
        lv_probability=np.array([lv_probability]),
        certainty=np.ones(1),
        doubt_px=np.zeros((1, 8)),
    )
    return Located(box=CycleBox(x0=0, y0=0, x1=9, y1=9, probability=probability), samples=samples)


def test_a_hidden_border_costs_its_own_lengths_only() -> None:
    """The septum's right side is wide open at both phases: no IVS, no mass; LVID, LVPW and EF stay."""
    hearts = [Heart()]
    by_doubt = Residuals(of_doubt=dict.fromkeys(QUANTITIES, 1.0))
    with readers(hearts, boxes_of(hearts), doubt_px=(40, 0, 0, 0, 60, 0, 0, 0)) as model:
        result = analyse_strip(draw(*hearts), replace(model, residuals=by_doubt))

    assert result.withheld == ("IVSd_cm", "IVSs_cm", "LVmass_g")
    assert set(result.measurements) == set(result.cycles[0].values) - set(result.withheld)
    assert result.measurements["LVIDd_cm"].value == pytest.approx(4.8, abs=0.03)


def test_a_border_that_could_be_in_two_places_is_of_low_agreement() -> None:
    """A network that hesitates is not believed, however well its crops agree."""
    hearts = [Heart()]
    with readers(hearts, boxes_of(hearts), certainty=0.3) as model:
        result = analyse_strip(draw(*hearts), model)

    assert result.reason == "low_agreement"
    assert "certainty 0.30, needed 0.50" in result.detail


def test_at_most_six_cycles_are_located() -> None:
    """More beats would cost time only."""
    hearts = [Heart()] * 9
    result = result_of(*hearts)

    assert len(result.cycles) == 6
    assert np.all(np.diff([cycle.box.x0 for cycle in result.cycles]) > 0)
