"""Patient attributes as devices write them, and the limits that follow."""

from dataclasses import replace

import pytest
from pydicom import Dataset

from inference.image.patient import patient_of
from inference.measure.clinical_limits import ANY_HEART, body_surfaces_m2, limits_for
from inference.types import UNKNOWN_PATIENT, Patient


def dataset(**attributes: object) -> Dataset:
    """A data set of just these attributes."""
    ds = Dataset()
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    return ds


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({}, UNKNOWN_PATIENT),
        ({"PatientSize": "1.75", "PatientWeight": "80"}, Patient(height_m=1.75, weight_kg=80)),
        ({"PatientSize": "175"}, Patient(height_m=1.75)),
        ({"PatientSize": "0", "PatientWeight": "0"}, UNKNOWN_PATIENT),
        ({"PatientSize": "17500"}, UNKNOWN_PATIENT),
        ({"PatientAge": "003Y"}, Patient(age_years=3)),
        ({"PatientAge": "018M"}, Patient(age_years=1.5)),
        ({"PatientAge": "000D"}, Patient(age_years=0)),
        ({"PatientAge": ""}, UNKNOWN_PATIENT),
        ({"PatientBirthDate": "20240101", "StudyDate": "20251231"}, Patient(age_years=730 / 365.25)),
        ({"PatientBirthDate": "20270101", "StudyDate": "20260101"}, UNKNOWN_PATIENT),
        ({"PatientBirthDate": "", "StudyDate": "20260101"}, UNKNOWN_PATIENT),
        ({"HeartRate": "72"}, Patient(heart_rate_bpm=72)),
        ({"HeartRate": "0"}, UNKNOWN_PATIENT),
        ({"HeartRate": ["72", "80"]}, UNKNOWN_PATIENT),
    ],
    ids=str,
)
def test_attributes_are_read_with_tolerance(attributes: dict[str, object], expected: Patient) -> None:
    """What can be meant is understood, what no human being can have is absent."""
    assert patient_of(dataset(**attributes)) == expected


def test_attributes_of_the_wrong_form_are_absent() -> None:
    """A malformed age or height is no reason to fail."""
    ds = dataset(PatientAge="003Y")
    ds["PatientAge"]._value = "three"  # noqa: SLF001 - what no setter would let pass
    ds.add_new("PatientSize", "LO", "tall")

    assert patient_of(ds) == UNKNOWN_PATIENT


def test_nothing_known_gives_the_limits_of_any_heart() -> None:
    """Files often say nothing of the patient."""
    assert limits_for(UNKNOWN_PATIENT) == ANY_HEART
    assert limits_for(Patient(heart_rate_bpm=70)) == ANY_HEART


# Normal LVIDd: newborn 1.9 cm, five years 3.6 cm, adult 5 to 5.8 cm.
@pytest.mark.parametrize(
    ("patient", "possible_cm", "impossible_cm"),
    [
        (Patient(height_m=0.5, weight_kg=3.4), (0.9, 1.9, 4.0), (0.7, 5.2)),
        (Patient(age_years=0.0), (0.9, 1.9, 4.0), (0.7, 5.2)),
        (Patient(age_years=5), (1.3, 3.6, 7.0), (1.0, 9.6)),
        (Patient(height_m=1.1), (1.3, 3.6, 7.0), (1.0, 9.9)),
        (Patient(weight_kg=18), (1.3, 3.6, 7.0), (1.0, 9.6)),
        (Patient(height_m=1.8, weight_kg=90, age_years=60), (2.0, 5.0, 9.5), (1.4, 10.5)),
    ],
    ids=str,
)
def test_limits_follow_the_size_of_the_body(
    patient: Patient, possible_cm: tuple[float, ...], impossible_cm: tuple[float, ...]
) -> None:
    """A child's heart is held to a child's limits, wide enough for any illness."""
    low, high = limits_for(patient).LVIDd_cm

    assert all(low <= length <= high for length in possible_cm)
    assert not any(low <= length <= high for length in impossible_cm)


def test_size_and_age_that_contradict_each_other_widen_the_limits() -> None:
    """Nobody knows which of the two is wrong, so both hearts are possible."""
    small, old = Patient(height_m=0.5, weight_kg=3.4), Patient(age_years=50)
    both = limits_for(replace(small, age_years=50)).LVIDd_cm

    assert both == (limits_for(small).LVIDd_cm[0], limits_for(old).LVIDd_cm[1])


def test_body_surface() -> None:
    """A newborn has a fifth of a square metre, an adult nearly two, however they are described."""
    assert body_surfaces_m2(Patient(height_m=0.5, weight_kg=3.4)) == [pytest.approx(0.22, abs=0.01)]
    assert body_surfaces_m2(Patient(height_m=0.5)) == [pytest.approx(0.21, abs=0.01)]
    assert body_surfaces_m2(Patient(weight_kg=70)) == [pytest.approx(1.7, abs=0.05)]
    assert body_surfaces_m2(Patient(height_m=1.75, weight_kg=75)) == [pytest.approx(1.92, abs=0.03)]
