"""What of a source image's header reaches the results."""

from typing import Any

import pytest
from pydicom import Dataset, dcmread
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.tag import Tag
from support import builders

from dicom_node.report.objects import UnreportableSource
from dicom_node.report.source import normalised_header
from dicom_node.report.source_attributes import TYPE_2


def image(**attributes: Any) -> Dataset:
    """Return a small ultrasound image."""
    return builders.us_image(builders.texture(), **attributes)


def test_type_2_attributes_are_always_there() -> None:
    """A source without them gets them empty: results are legal even if the source is not."""
    header = normalised_header(image(**dict.fromkeys(TYPE_2)))

    assert [keyword for keyword in TYPE_2 if keyword not in header] == []
    assert not any(header.get(keyword) for keyword in TYPE_2)


@pytest.mark.filterwarnings("ignore:.*Invalid value for VR:UserWarning")
@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("PatientSex", "U"),
        ("StudyDate", "20261340"),
        ("StudyDate", "yesterday"),
        ("StudyTime", "9:30"),
        ("StudyTime", "256000"),
        ("PatientBirthDate", "0"),
        ("PatientAge", "44"),
        ("TimezoneOffsetFromUTC", "CET"),
    ],
)
def test_illegal_values_are_left_out(keyword: str, value: str) -> None:
    """A value that no object may hold is emptied, or dropped where it may be missing."""
    assert not normalised_header(image(**{keyword: value})).get(keyword)


@pytest.mark.parametrize("keyword", ["Manufacturer", "StationName", "StudyDescription", "StudyDate"])
def test_a_number_where_a_text_belongs_is_left_out(keyword: str) -> None:
    """An explicit VR of numbers on an attribute that is text: found by fuzzing, it cost the job."""
    ds = image()
    ds[keyword] = DataElement(keyword, "UL", 20260102)

    assert not normalised_header(ds).get(keyword)


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("PatientID", "00042 a"),
        ("PatientSex", "O"),
        ("StudyDate", "20240229"),
        ("StudyTime", "235960.123456"),
        ("StudyTime", "07"),
        ("PatientAge", "044Y"),
        ("TimezoneOffsetFromUTC", "-0330"),
        ("IssuerOfPatientID", "HOSP"),
        ("PatientWeight", "81.5"),
    ],
)
def test_legal_values_are_copied_as_they_are(keyword: str, value: str) -> None:
    """Identity and study are copied, never normalised."""
    assert str(normalised_header(image(**{keyword: value}))[keyword].value) == value


@pytest.mark.parametrize(
    ("keyword", "vr", "value"),
    [("PatientWeight", "DS", b"heavy "), ("InstanceNumber", "IS", b"1.5 "), ("PatientSize", "FD", b"1.8 ")],
)
def test_an_unreadable_number_is_left_out(keyword: str, vr: str, value: bytes) -> None:
    """A number that is none, as it came over the wire, does not stop the report."""
    ds = image()
    tag = Tag(keyword)
    ds[tag] = RawDataElement(tag, vr, len(value), value, 0, False, True)

    assert keyword not in normalised_header(ds)


def test_an_unreadable_value_deep_inside_is_found() -> None:
    """A sequence that cannot be written again is left out whole, not found out while writing."""
    ds = image()
    tag = Tag("PhysicalDeltaX")
    ds.SequenceOfUltrasoundRegions[0][tag] = RawDataElement(tag, "FD", 4, b"0.04", 0, False, True)

    assert "SequenceOfUltrasoundRegions" not in normalised_header(ds)


@pytest.mark.parametrize(
    "keyword", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID"]
)
def test_a_source_without_uids_is_refused(keyword: str) -> None:
    """Nothing can be reported about an image that cannot be referred to."""
    ds = image()
    delattr(ds, keyword)

    with pytest.raises(UnreportableSource, match=keyword):
        normalised_header(ds)


@pytest.mark.parametrize(
    ("charset", "name"),
    [
        ("ISO_IR 100", "Müller^Jörg"),
        ("ISO_IR 192", "Wang^XiaoDong=王^小东"),
        ("GB18030", "Wang^XiaoDong=王^小东"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동"),
        ("ISO_IR 144", "Люкceмбypг"),  # noqa: RUF001 (Cyrillic on purpose)
    ],
)
def test_names_survive_any_character_set(charset: Any, name: str, tmp_path: Any) -> None:
    """All three groups of a name are decoded from the source's character set, ready for UTF-8."""
    request = Dataset()
    request.RequestedProcedureDescription = name.rsplit("=", maxsplit=1)[-1]
    ds = image(SpecificCharacterSet=charset, PatientName=name, RequestAttributesSequence=[request])
    header = normalised_header(dcmread(builders.save(ds, tmp_path / "source.dcm")))

    header.save_as(tmp_path / "header.dcm", implicit_vr=False, little_endian=True)
    read = dcmread(tmp_path / "header.dcm", force=True)
    assert read.SpecificCharacterSet == "ISO_IR 192"
    assert str(read.PatientName) == name
    assert read.RequestAttributesSequence[0].RequestedProcedureDescription == name.rsplit("=", maxsplit=1)[-1]


def test_the_source_is_not_touched() -> None:
    """The caller's data set is read, not changed, and its pixels are not copied."""
    ds = image(SpecificCharacterSet="ISO_IR 100", PatientSex="U")
    before = str(ds)
    header = normalised_header(ds)

    assert str(ds) == before
    assert "PixelData" not in header
