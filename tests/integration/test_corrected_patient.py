"""An image sent again under its UID: corrected, the same, or another one; in its study or in another."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import ImplicitVRLittleEndian, JPEGLosslessSV1, RLELossless
from support import builders, lossless_jpeg, measured_strips
from support.node import NodeHarness, receiver
from support.sender import push

from dicom_node import identity
from dicom_node.report.build import build_results
from dicom_node.study.pipeline import Pipeline, run_job
from store.db.states import InstanceState
from store.rows import jobs

STUDY = str(builders.STUDY_UID)
UID = "1.2.840.99.7"
PIXELS = builders.texture(400, 600)


def image(**attributes: Any) -> Dataset:
    """Return an image of a wrong patient."""
    wrong = {"PatientName": "Wrong^Patient", "PatientID": "W1", "PatientBirthDate": "19500101"}
    return builders.us_image(PIXELS, SOPInstanceUID=UID, **wrong | attributes)


RIGHT = {"PatientName": "Right^Patient", "PatientID": "R2", "PatientBirthDate": "19600202"}


@pytest.fixture
def node(tmp_path: Path) -> NodeHarness:
    """Return an empty node."""
    return NodeHarness(tmp_path)


def measuring(node: NodeHarness) -> Pipeline:
    """Return the node's pipeline with real reports of a measured strip."""
    analyzer = replace(
        node.pipeline.analyzer,
        analyse=lambda _: [measured_strips.strip_result()],
        build_results=build_results,
    )
    return replace(node.pipeline, analyzer=analyzer)


def work(node: NodeHarness) -> None:
    """Complete the study and do its job."""
    assert node.complete() == 1
    with node.database.transaction() as session:
        job = jobs.claim(session, now=node.now)
    assert job is not None
    run_job(job, measuring(node))


def reports(node: NodeHarness) -> list[Dataset]:
    """Return the reports of the study, by revision."""
    made = [each for each in node.results(STUDY) if each.kind == "tid5200"]
    return [dcmread(node.files.absolute(each.path)) for each in sorted(made, key=lambda each: each.revision)]


def files(node: NodeHarness) -> tuple[int, int]:
    """Return the number of files in instances/ and in conflicts/."""
    return len(list(node.files.instance_paths())), len(list((node.data_dir / "conflicts").glob("*/*")))


@pytest.mark.parametrize(
    "correction",
    [
        RIGHT,
        {"PatientID": "R2"},
        {"PatientBirthDate": ""},
        {"PatientName": "Rîght^Patient", "SpecificCharacterSet": "ISO_IR 192"},
        {"AccessionNumber": "A-77"},
        {"StudyDescription": "Echo, corrected", "InstanceCreationTime": "120000"},
    ],
    ids=str,
)
def test_a_correction_brings_a_revision(node: NodeHarness, correction: dict[str, str]) -> None:
    """The later version counts, its results name those of the earlier one, and both are audited."""
    node.receive(image())
    work(node)
    node.now += timedelta(minutes=5)

    assert node.receive(image(**correction)) == "instance.corrected"
    work(node)

    first, second = reports(node)
    for keyword, value in correction.items():
        if keyword != "InstanceCreationTime":
            assert str(second[keyword].value) == value
    predecessor = second.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0]
    assert predecessor.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == first.SOPInstanceUID
    (event,) = node.events("instance.corrected")
    assert set(event.detail["changed"]) == set(correction)
    assert event.detail["replaces_sha256"] == node.events("instance.received")[0].detail["sha256"]
    assert [each.detail["revision"] for each in node.events("study.reopened")] == [2]
    assert files(node) == (1, 1)
    (row,) = node.instances(STUDY)
    assert (row.state, node.files.absolute(row.path).is_file()) == (InstanceState.MEASURED, True)


def test_corrected_before_it_was_measured(node: NodeHarness) -> None:
    """A correction while the study is still being received leaves one revision, with the right patient."""
    node.receive(image())
    assert node.receive(image(**RIGHT)) == "instance.corrected"
    work(node)

    (report,) = reports(node)
    assert report.PatientID == "R2"


def test_corrected_back_and_sent_twice(node: NodeHarness) -> None:
    """The version that came last counts; one that comes again is a duplicate; no file is left over."""
    node.receive(image())
    outcomes = [node.receive(image(**each)) for each in (RIGHT, RIGHT, {}, {}, RIGHT)]

    assert outcomes == [
        "instance.corrected",
        "instance.duplicate",
        "instance.corrected",
        "instance.duplicate",
        "instance.corrected",
    ]
    (row,) = node.instances(STUDY)
    assert dcmread(node.files.absolute(row.path)).PatientID == "R2"
    assert files(node) == (1, 2)
    assert node.adopt_orphans() == 0


@pytest.mark.parametrize(
    "other",
    [
        {"PixelData": (255 - PIXELS).tobytes()},
        {"PixelData": (255 - PIXELS).tobytes(), **RIGHT},
        {"PhotometricInterpretation": "MONOCHROME1", **RIGHT},
        {"ImageComments": "another comment"},
        {"InstanceCreationTime": "235959"},
    ],
    ids=range(5),
)
def test_no_correction(node: NodeHarness, other: dict[str, Any]) -> None:
    """Other pixels, or nothing that a result copies: the first version stays, the other is kept aside."""
    node.receive(image())
    work(node)

    assert node.receive(image(**other)) == "instance.conflict"

    assert node.complete() == 0
    assert files(node) == (1, 1)
    assert len(node.instances(STUDY)) == 1


@pytest.mark.parametrize("other", [{}, RIGHT], ids=["same", "corrected"])
def test_in_another_study(node: NodeHarness, other: dict[str, str]) -> None:
    """A known UID under another study leaks no file and loses none, however often it comes."""
    node.receive(image())
    for _ in range(3):
        assert node.receive(image(StudyInstanceUID="1.2.3.4", **other)) == "instance.conflict"

    assert files(node) == (1, 1)
    assert node.instances("1.2.3.4") == []
    assert node.events("instance.conflict")[0].detail["study_of_the_first"] == STUDY
    assert node.adopt_orphans() == 0


@pytest.mark.parametrize("form", ["implicit", "fragments", "rle"])
def test_forms_of_pixels(node: NodeHarness, form: str) -> None:
    """Pixels are compared in whatever form they come, fragment by fragment."""
    versions = [image(), image(**RIGHT), image(PatientSex="O", **RIGHT)]
    for number, ds in enumerate(versions):
        if form == "implicit":
            ds.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
        elif form == "fragments":
            ds.file_meta.TransferSyntaxUID = JPEGLosslessSV1
            ds.PixelData = encapsulate([lossless_jpeg.encoded(PIXELS ^ (number == 2))], fragments_per_frame=3)
            ds["PixelData"].is_undefined_length = True
        else:
            ds.compress(RLELossless, generate_instance_uid=False)

    outcomes = [node.receive(ds) for ds in versions]

    last = "instance.conflict" if form == "fragments" else "instance.corrected"
    assert outcomes == ["instance.received", "instance.corrected", last]


def test_our_own_results_are_never_corrections(node: NodeHarness) -> None:
    """A PACS that sends our pictures back with another patient makes no work."""
    own = {"Manufacturer": identity.MANUFACTURER, "ManufacturerModelName": identity.MODEL_NAME}
    first = builders.secondary_capture(SOPInstanceUID=UID, **own)
    node.receive(first)
    again = builders.secondary_capture(SOPInstanceUID=UID, PatientID="other", **own)

    assert node.receive(again) in ("instance.conflict", "instance.duplicate")
    assert node.events("instance.corrected") == []


@pytest.mark.parametrize(("setting", "status"), [("success", 0x0000), ("duplicate", 0x0111)])
def test_the_answer_to_a_conflict(tmp_path: Path, setting: str, status: int) -> None:
    """The scanner hears what the settings say; corrections are a success in any case."""
    other = image(PixelData=np.zeros_like(PIXELS).tobytes())
    with receiver(tmp_path / "data", conflict_status=setting) as node:
        assert push(node.port, image(), other, image(**RIGHT)) == [0x0000, status, 0x0000]
