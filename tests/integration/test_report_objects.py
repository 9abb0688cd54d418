"""The result objects before independent validators: dciodvfy, dsrdump, PixelMed."""

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import builders
import measured_strips
import numpy as np
import pytest
from pydicom import Dataset, dcmread

from dicom_node.report import Predecessor, build_results
from inference.types import StripResult

CHECK_OBJECTS = Path(__file__).parents[2] / ".." / "shared" / "tools" / "check_objects"
VALIDATORS = ("dciodvfy", "dsrdump", "dcmdump", "java")
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
OBSERVER = "2.25.424242"
US_RETIRED = "1.2.840.10008.5.1.4.1.1.6"


def still(**attributes: Any) -> Dataset:
    """Return an image that `measured_strips` fit into."""
    return builders.us_image(builders.texture(400, 600), **attributes)


def clip() -> Dataset:
    """Return a multi-frame image of the same size."""
    return builders.us_image(np.stack([builders.texture(400, 600, seed=seed) for seed in range(3)]))


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


@pytest.fixture(scope="module")
def check_objects() -> Callable[[list[Path]], None]:
    """Return the gate that all objects must pass."""
    missing = [name for name in VALIDATORS if shutil.which(name) is None]
    if missing or not CHECK_OBJECTS.is_file():
        pytest.skip(f"no validators: {', '.join(missing) or '../shared/tools/check_objects'}")

    def check(files: list[Path]) -> None:
        done = subprocess.run(
            [CHECK_OBJECTS.resolve(), *files], capture_output=True, text=True, check=False, timeout=280
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"ok: {len(files)} files" in done.stdout

    return check


def test_objects_pass_independent_validators(
    check_objects: Callable[[list[Path]], None], tmp_path: Path
) -> None:
    """Reports and pictures of stills, clips, odd and foreign sources and a revision are all valid."""
    cases: list[tuple[Dataset, list[StripResult]]] = [
        (still(), strip()),
        (clip(), two_frames()),
        (ordered(), strip()),
        (odd(), beat_and_gaps()),
    ]
    files = [path for number, case in enumerate(cases) for path in written(tmp_path / str(number), *case)]
    files += written(tmp_path / "revision", still(), strip(), replaced=dcmread(files[0]))

    check_objects(files)


def written(
    folder: Path, source: Dataset, results: list[StripResult], replaced: Dataset | None = None
) -> list[Path]:
    """Build the objects of an image that came as a file, and write them as files."""
    sent = dcmread(builders.save(source, folder / "source.dcm"))
    predecessor = replaced and Predecessor(
        sop_class_uid=replaced.SOPClassUID,
        sop_instance_uid=replaced.SOPInstanceUID,
        series_instance_uid=replaced.SeriesInstanceUID,
        study_uid=replaced.StudyInstanceUID,
    )
    objects = build_results(
        sent,
        results,
        model=measured_strips.MODEL,
        revision=2 if replaced else 1,
        predecessor=predecessor,
        installation_uid=OBSERVER,
        at=datetime(2026, 1, 2, 10, 30, tzinfo=UTC),
    )
    paths = [folder / f"{number}-{each.kind}.dcm" for number, each in enumerate(objects)]
    for path, each in zip(paths, objects, strict=True):
        path.write_bytes(each.data)
    return paths
