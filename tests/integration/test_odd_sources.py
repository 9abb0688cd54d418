"""Sources as real devices send them: each gives valid objects or a refusal with its reason, never a crash."""

import json
import subprocess
import warnings
from functools import cache
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from random import Random
from tempfile import NamedTemporaryFile
from typing import Any, get_args

import pytest
from highdicom.sr import Comprehensive3DSR
from pydicom import Dataset, dcmread, dcmwrite
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag
from pydicom.uid import Comprehensive3DSRStorage
from support import builders, garbled, measured_strips
from support.peers import require
from support.reported import built, plan, source

from dicom_node.report.objects import UnreportableSource
from dicom_node.report.source_attributes import INHERITED, REFERRED, TYPE_1, TYPE_2
from inference.image.reading import read_image
from store.rows.results import Kind

NO_VALIDATOR_KNOWS = "1.2.840.10008.5.1.4.1.1.88.72"
"""Simplified Adult Echo SR: dciodvfy has no such object."""
ABSENT = dict.fromkeys(TYPE_2)
OF_PIXELS = ("Rows", "Columns", "NumberOfFrames", "PhotometricInterpretation")
"""Without these no picture is decoded."""
DATES = {"PatientBirthDate": b"00010101", "StudyDate": b"00010101"}

VALID: dict[str, dict[str, Any]] = {
    **{f"no {keyword}": {keyword: None} for keyword in TYPE_2},
    "no type 2 attribute at all": ABSENT,
    "no InstanceNumber": {"InstanceNumber": None},
    "no Manufacturer": {"Manufacturer": None},
    "sex U": {"PatientSex": b"U "},
    "sex in words": {"PatientSex": b"FEMALE"},
    "dates from the year 1": DATES,
    "a birthday that never was": {"PatientBirthDate": b"19000229"},
    "a study date with dots": {"StudyDate": b"2024.02.29"},
    "24 o'clock": {"StudyTime": b"2400"},
    "8-bit bytes and no charset": {
        "SpecificCharacterSet": None,
        "PatientName": "Müller^Jörg".encode("latin1"),
    },
    "an unknown charset": {"SpecificCharacterSet": "ISO_IR 999", "PatientName": b"Muller^Jorg "},
    "an accession number of 40": {"AccessionNumber": b"8" * 40},
    "two accession numbers": {"AccessionNumber": b"A1\\A2 "},
    "a study ID of 30": {"StudyID": b"7" * 30},
    "a description of 90": {"StudyDescription": b"x" * 90},
    "a description with control characters": {"StudyDescription": b"echo\x00\x1b\x07 heart"},
    "a station with 40 characters": {"StationName": b"s" * 40},
    "an instance number with a fraction": {"InstanceNumber": b"1.5 "},
    "an instance number beyond IS": {"InstanceNumber": b"99999999999 "},
    "a weight in words": {"PatientWeight": b"heavy "},
    "a size in centimetres": {"PatientSize": b"175 ", "PatientWeight": b"70"},
    "a size of nobody": {"PatientSize": b"17500 ", "PatientWeight": b"70"},
    "an age without unit": {"PatientAge": b"044 "},
    "a time zone by name": {"TimezoneOffsetFromUTC": b"CET "},
    "an order with a description of 90": {
        "RequestAttributesSequence": [("RequestedProcedureDescription", "x" * 90)]
    },
    "an order with an ID of 30": {"RequestAttributesSequence": [("RequestedProcedureID", "7" * 30)]},
    "two names": {"PatientName": b"Doe^Jane\\Roe^Mary"},
    "a name of 140": {"PatientName": b"A" * 70 + b"^" + b"B" * 69},
    "a name of seven parts": {"PatientName": b"A^B^C^D^E^F^G "},
    "a patient ID of 80": {"PatientID": b"9" * 80},
    "two patient IDs": {"PatientID": b"A1\\A2 "},
    "an issuer of 80": {"IssuerOfPatientID": b"H" * 80},
    "an accession number of 90": {"AccessionNumber": b"8" * 90},
    "a dog": {"PatientSpeciesDescription": b"Canine", "PatientBreedDescription": b"Beagle"},
    "a number where the sex belongs": {"PatientSex": ("US", b"\x01\x00")},
    "an age that is a number": {"PatientAge": ("IS", b"44")},
    "a sequence that is text": {"ProcedureCodeSequence": ("LO", b"ECHO")},
    "text that is a sequence": {"StudyDescription": ("SQ", b"")},
    "a ratio that is no number": {"LossyImageCompression": b"01", "LossyImageCompressionRatio": b"ten "},
    "removal by an unreadable method": {
        "PatientIdentityRemoved": b"YES ",
        "DeidentificationMethodCodeSequence": ("LO", b"113100"),
    },
    "a patient ID with blanks and zeros": {"PatientID": b"  00042 a "},
}
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no study": ({"StudyInstanceUID": None}, "StudyInstanceUID"),
    "no series": ({"SeriesInstanceUID": None}, "SeriesInstanceUID"),
}


def odd(attributes: dict[str, Any]) -> Dataset:
    """Return a source as read from a file that holds these values: bytes as they are, None removes."""
    ds = source()
    for keyword, value in attributes.items():
        tag = Tag(keyword)
        if value is None:
            ds.pop(tag, None)
        elif isinstance(value, bytes):
            ds[tag] = RawDataElement(tag, dictionary_VR(tag), len(value), value, 0, False, True)
        elif isinstance(value, tuple):
            ds[tag] = RawDataElement(tag, value[0], len(value[1]), value[1], 0, False, True)
        elif isinstance(value, list):
            order = Dataset()
            for inner, text in value:
                setattr(order, inner, text)
            setattr(ds, keyword, [order])
        else:
            setattr(ds, keyword, value)
    return read_image_of(builders.file_bytes(ds))


def read_image_of(file: bytes) -> Dataset:
    """Return a source as the node reads it."""
    with NamedTemporaryFile() as kept:
        path = Path(kept.name)
        path.write_bytes(file)
        return read_image(path)


def everything(ds: Dataset) -> list[Dataset]:
    """Return an object of each kind."""
    asked = plan(*get_args(Kind))
    return [dcmread(BytesIO(each.data)) for each in built(ds, [measured_strips.strip_result()], plan=asked)]


@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
@pytest.mark.parametrize("attributes", VALID.values(), ids=VALID)
def test_an_odd_source_gives_valid_objects(attributes: dict[str, Any], tmp_path: Path) -> None:
    """All five kinds are made, hold every required attribute, and dciodvfy finds no error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # writing what no object may hold
        ds = odd(attributes)
    objects = everything(ds)

    assert len(objects) == len(get_args(Kind))
    for each in objects:
        assert each.SpecificCharacterSet == "ISO_IR 192"
        assert missing(each) == []
        assert errors(each, tmp_path) == []


@pytest.mark.parametrize(
    ("number", "filler", "comment"),
    [(b"8" * 40, "8" * 40, ""), (b"8" * 70, "", "8" * 70), (b"A1\\A2 ", "", "A1\\A2")],
)
def test_the_key_of_the_department_is_kept_whole(number: bytes, filler: str, comment: str) -> None:
    """An accession number that is no SH stands in the report's request, and beside the picture."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # writing and reading what no object may hold
        objects = everything(odd({"AccessionNumber": number}))
    quoted = f"AccessionNumber of the source image: {filler or comment}"

    assert [each.AccessionNumber for each in objects] == [""] * len(objects)
    for report in (each for each in objects if each.Modality == "SR"):
        (request,) = report.ReferencedRequestSequence
        assert request.AccessionNumber == ""
        assert request.FillerOrderNumberImagingServiceRequest == filler
        assert request.get("RequestedProcedureComments", "") == (quoted if comment else "")
    (picture,) = (each for each in objects if "ConversionType" in each)
    assert picture.ImageComments == quoted


GARBAGE = [
    b"175 ",
    b"\xff\xfe\x80\x00" * 4,
    b"a\\b\\c ",
    b"20240231",
    b"x" * 80,
    b"^^^^^^^=",
    b"\x1b$B;3ED",
    b"yes ",
]
COPIED = [keyword for keyword in (*INHERITED, *REFERRED) if keyword not in (*TYPE_1, *OF_PIXELS)]


@pytest.mark.parametrize("seed", range(24))
def test_garbage_in_a_dozen_attributes(seed: int, tmp_path: Path) -> None:
    """Whatever VR and bytes they have: all five kinds are made, and no validator finds an error."""
    chance = Random(seed)
    vrs = [*garbled.LONG, *garbled.SHORT]
    garbage = {keyword: (chance.choice(vrs), chance.choice(GARBAGE)) for keyword in chance.sample(COPIED, 12)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # reading it
        objects = everything(read_image_of(garbled.file_with_all(source(), garbage)))

    assert len(objects) == len(get_args(Kind))
    for each in objects:
        assert missing(each) == []
        assert errors(each, tmp_path) == []
        if each.SOPClassUID == Comprehensive3DSRStorage:
            Comprehensive3DSR.from_dataset(each)


@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
@pytest.mark.parametrize(("attributes", "why"), REFUSED.values(), ids=REFUSED)
def test_whom_it_cannot_name_it_does_not_report(attributes: dict[str, Any], why: str) -> None:
    """Without a study, or with an identity that cannot be copied as it is, there is a reason instead."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as above
        ds = odd(attributes)

    with pytest.raises(UnreportableSource, match=why):
        everything(ds)


def missing(ds: Dataset) -> list[str]:
    """Return the top level attributes that the mandatory modules of this object still need (PS3.3)."""
    tables = {name: table(name) for name in ("sop_class_iod_map", "iod_module_map", "module_attribute_map")}
    modules = tables["iod_module_map"][tables["sop_class_iod_map"][ds.SOPClassUID]]
    needed = [
        attribute
        for module in modules
        # That module's table nests its macros so that every content item's attributes seem top level.
        if module["usage"] == "M" and module["key"] != "sr-document-content"
        for attribute in tables["module_attribute_map"][module["key"]]
        if not attribute["path"]
    ]
    return [
        attribute["keyword"]
        for attribute in needed
        if (attribute["type"] == "1" and not has_value(ds, attribute["keyword"]))
        or (attribute["type"] == "2" and attribute["keyword"] not in ds)
    ]


def has_value(ds: Dataset, keyword: str) -> bool:
    """Tell whether an attribute is there and not empty."""
    return keyword in ds and not ds[keyword].is_empty


@cache
def table(name: str) -> Any:
    """Return one of highdicom's tables of PS3.3."""
    return json.loads((files("highdicom") / "_standard" / f"{name}.json").read_text())


def errors(ds: Dataset, folder: Path) -> list[str]:
    """Return what dciodvfy calls errors; nothing where it knows no such object."""
    if ds.SOPClassUID == NO_VALIDATOR_KNOWS:
        return []
    require("dciodvfy")
    path = folder / f"{ds.SOPInstanceUID}.dcm"
    dcmwrite(path, ds, enforce_file_format=True)
    done = subprocess.run(["dciodvfy", "-new", path], capture_output=True, text=True, check=False)
    return [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("Error")]
