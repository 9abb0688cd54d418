"""Texts whose sender did not say how to read them."""

from io import BytesIO
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from support import builders

from dicom_node.report.charset import charset_is_missing
from dicom_node.report.source import normalised_header


def received(charset: Any, name: str, *, keep: bool, implicit: bool = False) -> Dataset:
    """Return an image as it is read from a file, with or without the element that names the charset."""
    ds = builders.us_image(builders.texture(), SpecificCharacterSet=charset, PatientName=name)
    raw = dcmread(BytesIO(builders.file_bytes(ds)))
    if implicit:
        file = BytesIO()
        del raw.file_meta
        raw.save_as(file, implicit_vr=True, little_endian=True)
        raw = dcmread(BytesIO(file.getvalue()), force=True)
    if not keep:
        raw.pop(0x00080005)
    return raw


@pytest.mark.parametrize("implicit", [False, True])
@pytest.mark.parametrize(
    ("name", "keep", "missing"),
    [("Müller^Jörg", False, True), ("Müller^Jörg", True, False), ("Muller^Jorg", False, False)],
)
def test_only_8_bit_texts_need_a_charset(name: str, keep: bool, missing: bool, implicit: bool) -> None:
    """A name with umlauts and no charset is noticed; one with a charset, or in ASCII, is not."""
    assert charset_is_missing(received("ISO_IR 100", name, keep=keep, implicit=implicit)) is missing


@pytest.mark.parametrize(
    ("charset", "name"),
    [
        ("ISO_IR 100", "Müller^Jörg"),
        ("GB18030", "王^小东"),
        ("ISO_IR 144", "Люкceмбypг"),  # noqa: RUF001 (Cyrillic on purpose)
        ("ISO_IR 126", "Διονυσιος"),
    ],
)
def test_the_sites_default_reads_them(charset: str, name: str) -> None:
    """The administrator's charset decides where the sender's is missing, and only there."""
    assert str(normalised_header(received(charset, name, keep=False), charset).PatientName) == name
    assert str(normalised_header(received(charset, name, keep=True), "ISO_IR 101").PatientName) == name
