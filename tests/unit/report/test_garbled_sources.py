# ruff: noqa: E501 (one row a line)
"""Whatever stands in one attribute, in whatever VR: what results copy is legal, and the rest is told."""

import tempfile
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import Dataset, config
from pydicom.datadict import dictionary_VM, dictionary_VR
from pydicom.dataelem import DataElement
from support import builders, garbled

from dicom_node.network.header import read_header
from dicom_node.report.corrections import Correction, Corrections
from dicom_node.report.legal import allows
from dicom_node.report.source import inherited, normalised_header
from dicom_node.report.source_attributes import INHERITED, REFERRED, TYPE_1, TYPE_2
from inference.image.reading import read_image

COPIED = [keyword for keyword in ("SpecificCharacterSet", *INHERITED, *REFERRED) if keyword not in TYPE_1]
INSIDE = [
    ("RequestAttributesSequence", "AccessionNumber"),
    ("RequestAttributesSequence", "RequestedProcedureID"),
    ("RequestAttributesSequence", "RequestedProcedureDescription"),
    ("RequestAttributesSequence", "RequestedProcedureCodeSequence"),
    ("ProcedureCodeSequence", "CodeValue"),
    ("ProcedureCodeSequence", "CodeMeaning"),
    ("OtherPatientIDsSequence", "PatientID"),
    ("IssuerOfPatientIDQualifiersSequence", "UniversalEntityID"),
    ("SequenceOfUltrasoundRegions", "PhysicalDeltaX"),
]
VALUES = st.one_of(
    st.binary(max_size=120),
    st.text("0123456789.-+eE \\^=/:", max_size=80).map(str.encode),
    st.text("ABCabc 01_\\^=\0\t\r\n\x1b$B()JI", max_size=100).map(str.encode),
    st.text(max_size=80).map(lambda text: text.encode("utf-8", "replace")),
    st.dates().map(lambda day: day.strftime("%Y%m%d").encode()),
    st.sampled_from([b"175", b"1.75", b"f", b"m ", b"044Y", b"44y", b"YES", b"01", b"\xff" * 70, b"7" * 70]),
)
VRS = st.sampled_from([*garbled.LONG, *garbled.SHORT])


def headers(file: bytes) -> tuple[Dataset, list[Correction]]:
    """Return what results copy of an image, and what was corrected."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom's, of reading
        path = garbled.kept(file, Path(folder))
        assert read_header(path).sop_instance_uid == image().SOPInstanceUID
        found = Corrections()
        return normalised_header(read_image(path), corrections=found), list(found)


@cache
def image() -> Any:
    """Return a small image."""
    return builders.us_image(builders.texture())


def assert_legal(ds: Dataset) -> None:
    """Pydicom and the dictionary agree with every element, also in items."""
    for each in ds:
        assert dictionary_VR(each.tag) == each.VR
        assert each.VM == 0 or allows(str(dictionary_VM(each.tag)), each.VM), each.keyword
        if each.VR == "SQ":
            for item in each.value:
                assert_legal(item)
        else:
            DataElement(each.tag, each.VR, each.value, validation_mode=config.RAISE)


def assert_told(header: Dataset, corrections: list[Correction], value: bytes) -> None:
    """No correction quotes the value, and the data set comes back from its bytes as it was."""
    words = " ".join(f"{each.keyword} {each.wrong} {each.done}" for each in corrections)
    quoted = value.decode("latin_1").strip()
    assert len(quoted) < 8 or quoted not in words
    assert corrections or not any("\ufffd" in str(each.value) for each in header)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom counts bytes where the standard counts characters
        assert garbled.reread(header) == header
    assert [keyword for keyword in TYPE_2 if keyword not in header] == []


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(COPIED), VRS, VALUES, st.booleans())
def test_any_bytes_in_any_vr(keyword: str, vr: str, value: bytes, implicit: bool) -> None:
    """One bad attribute never costs the study its report, and never gets into it."""
    header, corrections = headers(garbled.file_with(image(), keyword, vr, value, implicit=implicit))

    assert_legal(header)
    assert_legal(Dataset({each.tag: each for each in inherited(header)}))
    assert_told(header, corrections, value)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(INSIDE), VRS, VALUES)
def test_any_bytes_inside_a_sequence(place: tuple[str, str], vr: str, value: bytes) -> None:
    """The same for what stands in an item."""
    header, corrections = headers(garbled.with_item(image(), *place, vr, value))

    assert_legal(header)
    assert_told(header, corrections, value)


@pytest.mark.parametrize(
    ("keyword", "vr", "value", "copied", "done"),
    [
        ("PatientSex", "CS", b"f ", "F", "rewritten"),
        ("PatientSex", "CS", b"female", "", "left empty"),
        ("PatientSex", "US", b"\1\0", "", "left empty"),
        ("PatientAge", "AS", b"044y", "044Y", "rewritten"),
        ("PatientAge", "AS", b"44Y ", "044Y", "rewritten"),
        ("PatientAge", "AS", b"44", None, "left out"),
        ("StudyInstanceUID", "UI", b" " + str(builders.STUDY_UID).encode(), str(builders.STUDY_UID), ""),
        ("PatientSize", "DS", b"1.75", "1.75", ""),
        ("PatientSize", "DS", b"175 ", None, "left out"),
        ("PatientSize", "FD", b"\0\0\0\0\0\0\xfc\x3f", "1.75", ""),
        ("PatientWeight", "DS", b"80.00000000000000000", "80", "rewritten"),
        ("PatientWeight", "DS", b"80.12345678901234567", "80.1234567890123", "rewritten"),
        ("PatientWeight", "DS", b"80000", None, "left out"),
        ("PatientWeight", "DS", b"80 kg", None, "left out"),
        ("PatientWeight", "DS", b"80\\81", None, "left out"),
        ("PatientBirthDate", "DA", b"1970.01.31", "19700131", "rewritten"),
        ("PatientBirthDate", "DA", b"19700231", "", "left empty"),
        ("PatientBirthDate", "LO", b"19700131", "19700131", ""),
        ("StudyTime", "TM", b"10:15:00.5", "101500.5", "rewritten"),
        ("StudyTime", "TM", b"9:30", "", "left empty"),
        ("StudyDescription", "LO", b"x" * 70, "x" * 64, "cut to 64 characters"),
        ("StudyDescription", "UN", b"Echo", "Echo", ""),
        ("StudyID", "SH", b"7" * 17, "", "left empty"),
        ("InstanceNumber", "IS", b"3.0 ", "3", "rewritten"),
        ("InstanceNumber", "US", b"\3\0", "3", ""),
        ("Rows", "IS", b"64", 64, ""),
        ("ProcedureCodeSequence", "LO", b"ECHO", None, "left out"),
        ("PatientID", "LO", b"9" * 80, "", "left empty, and kept in PatientComments"),
        ("PatientName", "PN", b"A^B^C^D^E^F ", "", "left empty, and kept in PatientComments"),
        ("AccessionNumber", "SH", b"8" * 40, "", "left empty, and kept in FillerOrderNumberImagingServiceRequest"),
        ("AccessionNumber", "SH", b"8" * 70, "", "left empty, and kept in RequestedProcedureComments"),
        ("AccessionNumber", "SH", b"A1\\A2 ", "", "left empty, and kept in RequestedProcedureComments"),
        ("AccessionNumber", "LO", b"A-17 ", "A-17", ""),
    ],
)  # fmt: skip
def test_what_becomes_of_a_value(keyword: str, vr: str, value: bytes, copied: object, done: str) -> None:
    """Copied as it is, rewritten where one legal value says the same, quoted in a comment, or lost; told."""
    header, corrections = headers(garbled.file_with(image(), keyword, vr, value))
    results = {each.keyword: each.value for each in inherited(header)}
    found = header.get(keyword) if keyword not in INHERITED else results.get(keyword)

    assert (found if found is None or isinstance(found, int) else str(found)) == copied
    assert [(each.keyword, each.done) for each in corrections] == ([(keyword, done)] if done else [])


@pytest.mark.parametrize("vr", ["CS", "US", "UN", "SQ", "FD", "OB"])
@pytest.mark.parametrize(
    "value", [b"ISO_IR 999", b"\\ISO 2022 IR 999 ", b"\xff\xfe\0\x80", b"utf8", b"\0\0", b"A" * 300]
)
@pytest.mark.parametrize("implicit", [False, True])
def test_a_character_set_that_is_none(vr: str, value: bytes, implicit: bool) -> None:
    """The object is received, measured and reported; its names are in ASCII, so nothing is lost."""
    header, corrections = headers(
        garbled.file_with(image(), "SpecificCharacterSet", vr, value, implicit=implicit)
    )

    assert header.PatientName == "Phantom^Echo"
    assert corrections == []


def test_identifiers_are_kept_whole() -> None:
    """What identifies patient or order is neither cut nor lost: it is quoted where there is room."""
    header, _ = headers(garbled.file_with(image(), "PatientID", "LO", b"9" * 80))
    assert header.PatientComments == f"PatientID of the source image: {'9' * 80}"

    header, _ = headers(garbled.file_with(image(), "AccessionNumber", "SH", b"8" * 40))
    assert header.FillerOrderNumberImagingServiceRequest == "8" * 40

    header, _ = headers(garbled.file_with(image(), "AccessionNumber", "SH", b"A\0" + b"8" * 70))
    assert header.RequestedProcedureComments == f"AccessionNumber of the source image: A<00>{'8' * 70}"


def test_many_faults_are_counted() -> None:
    """A data set of nothing but faults fills no audit log."""
    found = Corrections()
    for number in range(1000):
        found.add(f"Keyword{number}", "no text", "left out")

    assert len(list(found)) == 65
    assert list(found)[-1].wrong == "936 more"
