"""Patient size, age and heart rate from a data set, as far as they bear on plausibility."""

import re
from datetime import date, datetime

from pydicom import Dataset

from inference.image.attributes import attribute, number
from inference.types import Patient

HEIGHT_M = (0.25, 2.6)
HEIGHT_CM = (25.0, 260.0)
"""PatientSize is in metres (PS3.3 C.7.2.2); numbers that can only be centimetres are taken as such."""
WEIGHT_KG = (0.3, 400.0)
AGE_YEARS = (0.0, 130.0)
RATE_BPM = (15.0, 350.0)
"""Values outside these ranges count as absent."""
DAYS_PER_YEAR = 365.25
PER_YEAR = {"Y": 1.0, "M": 12.0, "W": 52.18, "D": DAYS_PER_YEAR}
"""How many of each unit of an age string (PS3.5 6.2, AS) make a year."""


def patient_of(ds: Dataset) -> Patient:
    """The patient of a data set; a value outside the human range counts as absent."""
    height_m = _within(number(ds, "PatientSize"), HEIGHT_M)
    height_cm = _within(number(ds, "PatientSize"), HEIGHT_CM)
    return Patient(
        height_m=height_cm / 100.0 if height_m is None and height_cm is not None else height_m,
        weight_kg=_within(number(ds, "PatientWeight"), WEIGHT_KG),
        age_years=_within(_age_years(ds), AGE_YEARS),
        heart_rate_bpm=_within(number(ds, "HeartRate"), RATE_BPM),
    )


def _within(value: float | None, limits: tuple[float, float]) -> float | None:
    return value if value is not None and limits[0] <= value <= limits[1] else None


def _age_years(ds: Dataset) -> float | None:
    """PatientAge (such as 018M), else the time from PatientBirthDate to StudyDate."""
    text = attribute(ds, "PatientAge")
    found = re.fullmatch(r"\s*(\d{1,3})([YMWD])\s*", text) if isinstance(text, str) else None
    if found:
        return int(found[1]) / PER_YEAR[found[2]]
    born, seen = _date(ds, "PatientBirthDate"), _date(ds, "StudyDate")
    return (seen - born).days / DAYS_PER_YEAR if born and seen else None


def _date(ds: Dataset, keyword: str) -> date | None:
    text = attribute(ds, keyword)
    try:
        return datetime.strptime(str(text), "%Y%m%d").date()  # noqa: DTZ007 - a date has no time zone
    except ValueError:
        return None
