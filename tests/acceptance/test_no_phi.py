"""Patient data goes into files and results, never into a log line, an audit row or a metric."""

import io
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import generate_latest
from pydicom import Dataset
from pydicom.dataset import FileDataset
from pydicom.uid import UltrasoundImageStorage, generate_uid
from pynetdicom import build_context
from support import builders, sender
from support.node import NodeHarness, process_node, wait_for
from support.pacs import Pacs

from dicom_node.audit.query import Filter, print_events
from dicom_node.monitoring.metrics import registry
from dicom_node.settings import Settings

MARKER = "Zxqv"
"""In every text that could name a patient; short, because names are cut in many places."""
NAMING = {
    "PatientName": f"{MARKER}^Name",
    "PatientID": f"{MARKER}-id",
    "PatientBirthDate": "19010203",
    "IssuerOfPatientID": f"{MARKER}-issuer",
    "OtherPatientNames": f"{MARKER}^Other",
    "PatientComments": f"{MARKER} comment",
    "PatientAddress": f"{MARKER} street",
    "AccessionNumber": f"{MARKER}-acc",
    "StudyID": f"{MARKER}-study",
    "StudyDescription": f"{MARKER} description",
    "SeriesDescription": f"{MARKER} series",
    "ReferringPhysicianName": f"{MARKER}^Doctor",
    "PerformingPhysicianName": f"{MARKER}^Performer",
    "OperatorsName": f"{MARKER}^Operator",
    "InstitutionName": f"{MARKER} hospital",
    "StationName": f"{MARKER}-station",
    "ProtocolName": f"{MARKER}-protocol",
    "RequestedProcedureDescription": f"{MARKER} procedure",
    "DeviceSerialNumber": f"{MARKER}-device",
}
BIRTH_DATE = "19010203"


@pytest.fixture
def pacs() -> Iterator[Pacs]:
    """Start a PACS that refuses everything, quoting the patient's name."""

    def refuse(event: Any) -> Dataset:  # noqa: ARG001 - the signature of an answer
        status = Dataset()
        status.Status = 0xC000
        status.ErrorComment = f"patient {MARKER} is unknown"
        return status

    with Pacs(answer=refuse) as running:  # type: ignore[arg-type]  # pynetdicom takes a data set too
        yield running


@pytest.fixture
def node(tmp_path: Path, pacs: Pacs) -> Iterator[NodeHarness]:
    """Run a node that logs everything it can, with the fake analyzer."""
    with closing(process_node(tmp_path, [pacs.destination], job_attempts=1)) as made:
        for role in ("receive", "work"):
            made.start_role(role, ROLE_LOG_LEVEL="DEBUG")
        made.wait_until_listening()
        yield made


def image(number: int, **attributes: Any) -> FileDataset:
    """Return an image whose every text names the patient, in a study of its own."""
    study_uid = generate_uid(entropy_srcs=["phi", str(number)])
    return builders.image_2d(**{**NAMING, "StudyInstanceUID": study_uid, **attributes})


def storescu(node: NodeHarness, *paths: Path) -> None:
    """Send files as a scanner does; a node that refuses one is no failure."""
    command = ["storescu", "-v", "-aec", "ECHONODE", "--no-halt", "127.0.0.1", str(node.port)]
    subprocess.run([*command, *map(str, paths)], capture_output=True, check=False, timeout=60)


def leaks(text: str) -> list[str]:
    """Return what names the patient."""
    return [line for line in text.splitlines() if MARKER.lower() in line.lower() or BIRTH_DATE in line]


def said(node: NodeHarness) -> dict[str, str]:
    """Return everything that the node says anywhere but in files of DICOM objects."""
    texts = {"log": (node.log).read_text(errors="replace")}
    settings = Settings.load(node.config)
    for how in ("json", "csv", "table"):
        with redirect_stdout(io.StringIO()) as printed:
            print_events(settings, Filter(), how)
        texts[f"audit as {how}"] = printed.getvalue()
    with closing(sqlite3.connect(node.data_dir / "echonode.db")) as connection:
        tables = [
            name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        ]
        for table in tables:
            rows = connection.execute(f"SELECT * FROM {table}").fetchall()  # noqa: S608 - names of our tables
            texts[f"table {table}"] = "\n".join(map(repr, rows))
    for path in node.folder.glob("data/echonode.db*"):
        texts[path.name] = path.read_bytes().decode("latin-1")  # free pages too
    texts["metrics"] = generate_latest(registry(node.runtime)).decode()
    return texts


def assert_silent(node: NodeHarness) -> None:
    """Nothing that was said names the patient."""
    texts = said(node)
    for where in ("log", "audit as json", "audit as csv", "table audit_events", "table jobs"):
        assert texts[where]
    for where, text in texts.items():
        assert leaks(text) == [], where


def test_a_study_on_its_way(node: NodeHarness) -> None:
    """Received, measured, failed, refused by a PACS that quotes the name: not a word of it is kept."""
    good, buggy = image(1), image(2, ImageComments="raise")
    refused = image(3, ImageComments="refuse")
    conflict = image(1, SOPInstanceUID=good.SOPInstanceUID, ImageComments=f"{MARKER} again")
    paths = [
        builders.save(each, node.folder / "scanner" / f"{number}.dcm")
        for number, each in enumerate((good, buggy, refused, conflict))
    ]
    storescu(node, *paths, paths[0])

    wait_for(lambda: node.events("job.dead"), "the analysis that raises is given up")
    wait_for(lambda: node.events("delivery.dead"), "the PACS has refused the results")
    wait_for(lambda: node.events("instance.not_measured"), "an image is refused")
    assert node.events("instance.conflict")
    assert node.events("instance.duplicate")
    assert "BuggyError" in (node.log).read_text()
    assert_silent(node)


def odd_objects() -> Iterator[tuple[bytes, str, str]]:
    """Yield data sets that make readers quote them, with the SOP class and instance to announce."""
    sound = image(10)
    uids, data = (str(sound.SOPClassUID), str(sound.SOPInstanceUID)), sender.encoded(sound)
    name = f"{MARKER}^Name".encode()
    yield data.replace(b"PN\x09\x00" + name, b"ZZ\x09\x00" + name), *uids
    yield data[: data.index(name) + 4], *uids
    yield name * 200, *uids
    yield b"", *uids
    yield data, uids[0], f"{MARKER}.1.2"
    yield data, f"{MARKER}.1.2", uids[1]
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        yield with_marker(image(11), keyword, "UI"), *uids
    for keyword, vr in (("Rows", "US"), ("NumberOfFrames", "IS"), ("StudyDate", "DA"), ("FrameTime", "DS")):
        odd = image(12, SOPInstanceUID=generate_uid())
        yield with_marker(odd, keyword, vr), uids[0], str(odd.SOPInstanceUID)


def with_marker(ds: FileDataset, keyword: str, vr: str) -> bytes:
    """Return the bytes of a data set with the marker as one of its values, whatever its VR allows."""
    ds.add_new(keyword, "LO", MARKER)
    length_and_value = b"\x04\x00" + MARKER.encode()
    return sender.encoded(ds).replace(b"LO" + length_and_value, vr.encode() + length_and_value)


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")  # of the sender, who means it
def test_objects_that_cannot_be_read(node: NodeHarness) -> None:
    """What is broken, or holds names where UIDs and numbers belong, is dealt with unquoted."""
    with sender.association(node.port, build_context(UltrasoundImageStorage)) as opened:
        for data, sop_class, sop_instance in odd_objects():
            sender.store_raw(opened, data, sop_class=sop_class, sop_instance=sop_instance)
    wait_for(lambda: len(node.events("instance.refused")) >= 6, "objects are refused")
    wait_for(lambda: node.events("study.done"), "what could be kept is analysed")
    wait_for(lambda: node.events("association.closed"), "the association is over")
    assert_silent(node)


def test_a_leak_would_be_found(tmp_path: Path) -> None:
    """What names a patient would be found in the log and in the database."""
    with closing(process_node(tmp_path)) as node:
        node.start("-c", f"print('{MARKER}')").wait()
        with closing(sqlite3.connect(tmp_path / "data" / "echonode.db")) as connection:
            connection.execute(f"CREATE TABLE odd AS SELECT '{MARKER}' AS name")
            connection.commit()
        found = {where for where, text in said(node).items() if leaks(text)}

    assert {"log", "table odd"} <= found
