"""Objects of every kind as files, made from sources as they come."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import get_args

from pydicom import Dataset, dcmread
from pydicom.uid import ComprehensiveSRStorage

from dicom_node.report.objects import Predecessor, ReportObject
from dicom_node.report.plan import ReportPlan
from inference.types import StripResult
from store.rows.results import Kind
from support import builders, measured_strips
from support.reported import built, clip
from support.reported import source as still

TYPE_2_AND_UNUSUAL = (
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "ReferringPhysicianName",
    "AccessionNumber",
    "InstanceNumber",
    "Manufacturer",
    "LossyImageCompression",
)
US_RETIRED = "1.2.840.10008.5.1.4.1.1.6"
EVERYTHING = ReportPlan(by_destination={"pacs": frozenset(get_args(Kind))}, overlay_refusals=True)


def ordered() -> Dataset:
    """Return an image that names its order, its time zone and a Japanese patient."""
    request = Dataset()
    request.RequestedProcedureID, request.RequestedProcedureDescription = "RP-1", "心エコー"
    return still(
        SpecificCharacterSet=["", "ISO 2022 IR 87"],
        PatientName="Yamada^Tarou=山田^太郎=やまだ^たろう",
        RequestAttributesSequence=[request],
        TimezoneOffsetFromUTC="+0900",
        IssuerOfPatientID="HOSP",
        PatientAge="052Y",
        PatientWeight="61.5",
        BurnedInAnnotation="NO",
    )


def odd() -> Dataset:
    """Return an image of a retired class with the mistakes that real devices make."""
    ds = still(
        SOPClassUID=US_RETIRED,
        PatientName="Müller^Jörg",
        SpecificCharacterSet="ISO_IR 100",
    )
    for keyword in TYPE_2_AND_UNUSUAL:
        del ds[keyword]
    ds.PatientSex, ds.StudyTime = "U", ""
    return ds


def strip() -> list[StripResult]:
    """Return three beats of one strip."""
    return [measured_strips.strip_result()]


def beat_and_gaps() -> list[StripResult]:
    """Return a single beat with a value missing, beside a refused strip."""
    single = measured_strips.strip_result([measured_strips.cycle()])
    known = {key: value for key, value in single.measurements.items() if key != "RWT"}
    return [replace(single, measurements=known), measured_strips.refused()]


def two_frames() -> list[StripResult]:
    """Return measured strips of two frames."""
    return [measured_strips.strip_result(frame=0), measured_strips.strip_result(frame=2)]


def written(
    folder: Path, source: Dataset, results: list[StripResult], replaced: Sequence[Path] = ()
) -> list[Path]:
    """Build the objects of an image that came as a file; return its path and theirs."""
    sent = builders.save(source, folder / "source.dcm")
    made = objects_of(dcmread(sent), results, replaced)
    paths = [folder / f"{number}-{each.kind}.dcm" for number, each in enumerate(made)]
    for path, each in zip(paths, made, strict=True):
        path.write_bytes(each.data)
    return [sent, *paths]


def objects_of(
    source: Dataset, results: list[StripResult], replaced: Sequence[Path] = ()
) -> list[ReportObject]:
    """Build all kinds of objects."""
    old = {path.stem.split("-")[1]: dcmread(path) for path in replaced}
    predecessors = {
        kind: Predecessor(
            sop_class_uid=ds.SOPClassUID,
            sop_instance_uid=ds.SOPInstanceUID,
            series_instance_uid=ds.SeriesInstanceUID,
            study_uid=ds.StudyInstanceUID,
        )
        for kind, ds in old.items()
    }
    revision = 2 if replaced else 1
    return built(source, results, revision=revision, predecessors=predecessors, plan=EVERYTHING)


def every_case(folder: Path) -> dict[str, list[Path]]:
    """Write the objects of every kind of case; return the files of each, the source first."""
    cases: dict[str, tuple[Dataset, list[StripResult]]] = {
        "still": (still(PatientSize="1.75", PatientWeight="70"), strip()),
        "clip": (clip(), two_frames()),
        "ordered": (ordered(), strip()),
        "odd": (odd(), beat_and_gaps()),
        "withheld": (still(), [measured_strips.hidden_septum()]),
        "refused": (still(), [measured_strips.looked_at_in_vain("implausible")]),
    }
    files = {name: written(folder / name, *case) for name, case in cases.items()}
    files["revision"] = written(folder / "revision", still(), strip(), replaced=files["still"][1:])
    return files


def known_to_validators(cases: dict[str, list[Path]], folder: Path) -> list[Path]:
    """Return all objects, those of TID 5300 under a class that validators know: they have the same tree."""
    objects = [path for files in cases.values() for path in files[1:]]
    return [_as_comprehensive(path, folder) if "tid5300" in path.name else path for path in objects]


def _as_comprehensive(path: Path, folder: Path) -> Path:
    ds = dcmread(path)
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = ComprehensiveSRStorage
    copy = folder / f"{path.parent.name}-{path.name}"
    ds.save_as(copy)
    return copy
