"""Landmarks and calibration become the numbers the guidelines define."""

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.measure.formulas import derived, lengths_cm, lv_mass_g, measure, teichholz_ml
from inference.types import Calibration, Landmarks

TRUTH = Path(__file__).parents[4] / "shared" / "real" / "truth.json"

lengths = st.fixed_dictionaries(
    {
        "IVSd_cm": st.floats(0.2, 3.0),
        "LVIDd_cm": st.floats(1.0, 9.0),
        "LVPWd_cm": st.floats(0.2, 3.0),
        "IVSs_cm": st.floats(0.2, 3.0),
        "LVIDs_cm": st.floats(0.5, 8.0),
        "LVPWs_cm": st.floats(0.2, 3.0),
    }
)


def landmarks_of(cm: dict[str, float], cm_per_px: float, top_px: float = 10.0) -> Landmarks:
    """Landmarks whose lengths are these."""
    phases = []
    for x, phase in ((20.0, "d"), (60.0, "s")):
        y, points = top_px, [(x, top_px)]
        for name in ("IVS", "LVID", "LVPW"):
            y += cm[f"{name}{phase}_cm"] / cm_per_px
            points.append((x, y))
        phases.append((points[0], points[1], points[2], points[3]))
    return Landmarks(diastole=phases[0], systole=phases[1])


@given(lengths, st.floats(0.005, 0.2), st.floats(0.0, 500.0))
def test_lengths_come_back_from_landmarks(cm: dict[str, float], cm_per_px: float, top_px: float) -> None:
    """Placing landmarks by known lengths and measuring them gives those lengths, wherever the strip lies."""
    calibration = Calibration(cm_per_px_y=cm_per_px, s_per_px_x=0.005)

    found = lengths_cm(landmarks_of(cm, cm_per_px, top_px), calibration)

    assert found == pytest.approx(cm, rel=1e-6)


@given(lengths, st.floats(0.3, 2.0))
def test_derived_values_follow_the_formulas(cm: dict[str, float], rr_s: float) -> None:
    """Every derived value equals its formula written out by hand."""
    d, s = cm["LVIDd_cm"], cm["LVIDs_cm"]
    EDV, ESV = 7 * d * d * d / (2.4 + d), 7 * s * s * s / (2.4 + s)
    outer = cm["IVSd_cm"] + d + cm["LVPWd_cm"]

    found = derived(cm, rr_s=rr_s)

    assert found["EDV_ml"] == pytest.approx(EDV)
    assert found["ESV_ml"] == pytest.approx(ESV)
    assert found["SV_ml"] == pytest.approx(EDV - ESV)
    assert found["EF_percent"] == pytest.approx(100 * (1 - ESV / EDV))
    assert found["FS_percent"] == pytest.approx(100 - 100 * s / d)
    assert found["LVmass_g"] == pytest.approx(0.832 * (outer * outer * outer - d * d * d) + 0.6)
    assert found["RWT"] == pytest.approx(2 * cm["LVPWd_cm"] / d)
    assert found["HR_bpm"] == pytest.approx(60 / rr_s)
    assert found["CO_l_min"] == pytest.approx((EDV - ESV) * 60 / rr_s / 1000)


@given(st.floats(0.1, 10.0), st.floats(1.001, 1.5))
def test_teichholz_grows_with_the_diameter(diameter_cm: float, factor: float) -> None:
    """A wider ventricle never has a smaller volume."""
    assert teichholz_ml(diameter_cm * factor) > teichholz_ml(diameter_cm)


def test_the_numbers_a_ge_machine_printed() -> None:
    """LVIDd 3.94 and LVIDs 2.46 cm give the volumes, EF and FS that a GE machine printed for them."""
    diastole = {"IVSd_cm": 0.70, "LVIDd_cm": 3.94, "LVPWd_cm": 0.51}
    systole = {"IVSs_cm": 1.09, "LVIDs_cm": 2.46, "LVPWs_cm": 1.01}

    found = derived(diastole | systole, rr_s=60 / 77)

    assert round(found["EDV_ml"], 1) == 67.5
    assert round(found["ESV_ml"], 1) == 21.4
    assert round(found["SV_ml"], 1) == 46.1
    # The machine printed 68.3 from its rounded volumes; the rounded diameters alone give 68.25.
    assert found["EF_percent"] == pytest.approx(68.3, abs=0.06)
    assert round(found["FS_percent"], 1) == 37.6


@pytest.mark.skipif(not TRUTH.exists(), reason="the folder of real images is not beside this repository")
def test_printed_values_agree_with_the_calipers_on_the_ge_image() -> None:
    """The human calipers of the GE image, measured with its calibration, give the printed lengths."""
    truth = json.loads(TRUTH.read_text())["lv_ge_commons.jpg"]
    burned = truth["burned_in_calipers_px"]
    ed = [(burned["ED_line_x"], y) for y in burned["ED_rows"]]
    es = [(burned["ES_line_x"], y) for y in burned["ES_rows"]]
    calibration = Calibration(cm_per_px_y=truth["cm_per_px"], s_per_px_x=truth["s_per_px"])

    found = measure(
        Landmarks(diastole=(ed[0], ed[1], ed[2], ed[3]), systole=(es[0], es[1], es[2], es[3])),
        calibration,
        rr_s=60 / 77,
    )

    for name in ("IVSd_cm", "LVIDd_cm", "LVPWd_cm", "IVSs_cm", "LVIDs_cm", "LVPWs_cm"):
        assert found[name] == pytest.approx(truth["printed_by_device"][name], abs=0.06)


def test_mass_of_a_normal_heart() -> None:
    """A textbook heart (0.9, 4.8, 0.9 cm) weighs about 150 g."""
    assert lv_mass_g(0.9, 4.8, 0.9) == pytest.approx(0.8 * 1.04 * (6.6**3 - 4.8**3) + 0.6)
    assert 140 < lv_mass_g(0.9, 4.8, 0.9) < 155


@pytest.mark.parametrize("bad", [0.0, -0.1, math.nan, math.inf])
def test_a_calibration_that_is_none_cannot_be_made(bad: float) -> None:
    """Zero, negative and non-finite pixel sizes are refused where they would enter."""
    with pytest.raises(ValueError, match="positive and finite"):
        Calibration(cm_per_px_y=bad, s_per_px_x=0.01)
    with pytest.raises(ValueError, match="positive and finite"):
        Calibration(cm_per_px_y=0.04, s_per_px_x=bad)
