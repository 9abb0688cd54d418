"""The codes and units, which no validator checks."""

import math

import pytest
from pydicom.sr.codedict import codes as dictionary
from pydicom.sr.coding import Code
from support import measured_strips

from dicom_node.report import codes
from dicom_node.report.quantities import BY_KEY, QUANTITIES, calipers, known
from inference.types import LENGTHS, Landmarks, StripResult, Value

# Case-sensitive UCUM terms (https://ucum.org), unit by unit as DICOM writes them.
UCUM = {"cm", "ml", "%", "g", "{ratio}", "{H.B.}/min", "l/min"}
# PS3.16 names these, the dictionary of pydicom has them under another meaning or not at all.
NOT_IN_DICTIONARY = {
    ("399264008", "SCT"),
    ("272518008", "SCT"),
    ("en-US", "RFC5646"),
    ("RWT", "99ECHONODE"),
    ("8277-6", "LN"),
    ("8278-4", "LN"),
    ("8302-2", "LN"),
    ("29463-7", "LN"),
}
ALL_CODES = [code for code in vars(codes).values() if isinstance(code, Code)]


@pytest.mark.parametrize("code", [code for code in ALL_CODES if code.scheme_designator != "UCUM"], ids=str)
def test_meaning_is_the_standards(code: Code) -> None:
    """Every coded concept carries the meaning that the DICOM dictionaries give that very code."""
    if (code.value, code.scheme_designator) in NOT_IN_DICTIONARY:
        return
    scheme = getattr(dictionary, code.scheme_designator)
    same_value = [getattr(scheme, name) for name in scheme.dir()]
    meanings = {known.meaning.lower() for known in same_value if known.value == code.value}

    assert code.meaning.lower() in meanings


def test_units_are_ucum() -> None:
    """Every unit is a UCUM term: never bpm, percent or millimetres under a centimetre's name."""
    units = {quantity.unit for quantity in QUANTITIES}

    assert {unit.value for unit in units} == UCUM
    assert {unit.scheme_designator for unit in units} == {"UCUM"}


def test_every_measured_value_has_a_code() -> None:
    """Whatever the measuring side measures can be reported, once, under a concept of its own."""
    measured = measured_strips.strip_result().measurements

    assert set(BY_KEY) == set(measured)
    assert len({quantity.concept.value for quantity in QUANTITIES}) == len(QUANTITIES)


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("LVIDd_cm", 3.9449, "3.94"),
        ("RWT", 0.256, "0.26"),
        ("EF_percent", 68.27, "68.3"),
        ("EDV_ml", 67.48, "67.5"),
        ("LVmass_g", 141.5001, "142"),
        ("HR_bpm", 76.9, "77"),
    ],
)
def test_precision(key: str, value: float, text: str) -> None:
    """The shown text and the reported number are the same number, at the precision of its kind."""
    assert BY_KEY[key].text(value) == text
    assert BY_KEY[key].rounded(value) == float(text)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_value_that_is_no_number_is_unknown(value: float) -> None:
    """NaN and infinity count as not measured."""
    result = StripResult(status="measured", measurements={"EF_percent": Value(value=value, ci95=(0, 1))})

    assert known(result, BY_KEY["EF_percent"]) is None
    assert known(result, BY_KEY["FS_percent"]) is None


def test_calipers_measure_what_they_are_named_after() -> None:
    """The six calipers are upright, in order, and as long as the lengths that were measured."""
    cycle = measured_strips.cycle()
    lines = calipers(cycle.landmarks)

    assert tuple(lines) == LENGTHS
    for key, ((x0, y0), (x1, y1)) in lines.items():
        assert x0 == x1
        assert (y1 - y0) * measured_strips.CALIBRATION.cm_per_px_y == pytest.approx(cycle.values[key])


def test_calipers_of_a_slanted_column() -> None:
    """Landmarks that differ in x share their mean column, so that no line is longer than its value."""
    landmarks = Landmarks(
        diastole=((9, 0), (11, 10), (10, 50), (10, 60)), systole=((30, 0), (30, 9), (30, 40), (30, 55))
    )

    assert calipers(landmarks)["LVIDd_cm"] == ((10, 10), (10, 50))
