"""One study through the pipeline and the worker's loop, on a real database and real files."""

import os
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread, dcmwrite
from sqlalchemy import text
from support import builders, fake_analyzer, measured_strips
from support.node import NodeHarness

from dicom_node.identity import installation_uid
from dicom_node.report import build
from dicom_node.report.objects import UnreportableSource
from dicom_node.report.plan import ReportPlan
from dicom_node.report.text import NOT_NAMED
from dicom_node.roles.worker import AlreadyRunning, only_worker
from dicom_node.settings.sections import StudySettings
from dicom_node.study.completion import complete_studies
from dicom_node.study.pipeline import Pipeline, run_job
from store.db.states import InstanceState, StudyState
from store.errors import StoreUnavailable
from store.rows import jobs, results, studies

STUDY = str(builders.STUDY_UID)


def receive(node: NodeHarness, comment: str = "", **other: Any) -> str:
    """Take in one image of the study; return its UID."""
    number = len(node.instances(STUDY)) + 1
    ds = builders.image_2d(ImageComments=comment, InstanceNumber=number, **other)
    node.receive(ds)
    return str(ds.SOPInstanceUID)


def keep_report(node: NodeHarness) -> str:
    """Take in the report of the ultrasound machine; return its UID."""
    ds = builders.vendor_sr()
    node.receive(ds)
    return str(ds.SOPInstanceUID)


def with_analyzer(node: NodeHarness, **functions: Any) -> Pipeline:
    """Return the node's pipeline with other functions in its analyzer."""
    return replace(node.pipeline, analyzer=replace(node.pipeline.analyzer, **functions))


def outcomes(node: NodeHarness) -> dict[str, tuple[InstanceState, str | None]]:
    """Return state and reason per image."""
    return {each.sop_instance_uid: (each.state, each.reason) for each in node.instances(STUDY)}


@pytest.fixture
def node(tmp_path: Path) -> NodeHarness:
    """Return an empty node."""
    return NodeHarness(tmp_path)


def summary(made: list[results.Result]) -> list[tuple[int, str, str]]:
    """Return (revision, kind, source) of each result."""
    return [(each.revision, each.kind, each.source_sop_instance_uid) for each in made]


def test_a_study_becomes_results_and_reasons(node: NodeHarness) -> None:
    """Measured images get an SR and an overlay, the others a reason, vendor objects nothing."""
    measured, refused = receive(node), receive(node, "refuse")
    kept = keep_report(node)

    assert node.complete() == 1
    assert node.work_once()

    assert outcomes(node) == {
        measured: (InstanceState.MEASURED, None),
        refused: (InstanceState.NOT_MEASURED, "no_cycle"),
        kept: (InstanceState.KEPT, None),
    }
    assert summary(node.results(STUDY)) == [(1, "tid5200", measured), (1, "overlay", measured)]
    assert node.study(STUDY).state is StudyState.DONE
    assert all(node.files.absolute(each.path).is_file() for each in node.results(STUDY))


def test_no_audit_row_names_the_patient(node: NodeHarness) -> None:
    """Neither a measured image nor a refused one nor a bug that quotes the name leaves it in a row."""
    for comment in ("", "refuse", "raise"):
        receive(node, comment)
        node.complete()
        node.work_once(max_attempts=1)

    assert {"instance.measured", "instance.not_measured", "job.dead"} <= {
        each.event for each in node.events()
    }
    assert not any("Phantom" in str(event) for event in node.events())


def test_measured_detail(node: NodeHarness) -> None:
    """The audit row of a measured image holds the revision, the model and the EF."""
    receive(node)
    node.complete()
    node.work_once()
    detail = node.events("instance.measured")[0].detail

    assert detail["model_sha256"] == fake_analyzer.MODEL.sha256
    assert detail["revision"] == 1
    assert detail["strips"][0]["EF_percent"] == 61.5


def test_not_before_the_quiet_period(node: NodeHarness) -> None:
    """A study whose last image is younger than the quiet period is left alone."""
    receive(node)
    node.now += timedelta(seconds=29)

    assert complete_studies(node.database, StudySettings(quiet_seconds=30), now=node.now) == 0
    assert not node.work_once()


def test_a_study_of_reports_only_goes_through(node: NodeHarness) -> None:
    """A study that holds nothing to analyse is done, with nothing measured."""
    keep_report(node)
    node.complete()
    node.work_once()

    assert node.results(STUDY) == []
    assert node.study(STUDY).state is StudyState.DONE


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"no DICOM at all" * 100),
        lambda path: path.write_bytes(path.read_bytes()[:150]),
        lambda path: path.write_bytes(path.read_bytes()[:300] + os.urandom(500)),
    ],
    ids=["gone", "empty", "text", "cut in the header", "noise"],
)
def test_an_unreadable_file_is_a_reason(node: NodeHarness, damage: Callable[[Path], Any]) -> None:
    """What happened to one file on disk is that image's reason; the next image is measured."""
    broken, whole = receive(node), receive(node)
    path = node.files.absolute(node.instances(STUDY)[0].path)
    path.chmod(0o600)
    damage(path)

    node.complete()
    node.work_once()

    assert outcomes(node)[broken] == (InstanceState.NOT_MEASURED, "undecodable")
    assert outcomes(node)[whole] == (InstanceState.MEASURED, None)


def test_a_late_image_makes_a_revision_of_every_report(node: NodeHarness) -> None:
    """After a late measurable image every measured image gets a new SR that names the one before."""
    early = receive(node)
    node.complete()
    node.work_once()
    late = receive(node)
    assert node.study(STUDY).state is StudyState.RECEIVING

    node.complete()
    node.work_once()

    assert summary(node.results(STUDY))[2:] == [
        (2, "tid5200", early),
        (2, "overlay", early),
        (2, "tid5200", late),
        (2, "overlay", late),
    ]
    first, second = (
        each
        for each in node.results(STUDY)
        if (each.kind, each.source_sop_instance_uid) == ("tid5200", early)
    )
    assert first.sop_instance_uid in dcmread(node.files.absolute(second.path)).ImageComments


def test_late_images_that_bring_nothing_send_nothing(node: NodeHarness) -> None:
    """A late image that cannot be measured adds its reason, and no report; the audit log says so."""
    receive(node)
    node.complete()
    node.work_once()
    late = receive(node, "refuse")

    node.complete()
    node.work_once()

    assert len(node.results(STUDY)) == 2
    assert outcomes(node)[late] == (InstanceState.NOT_MEASURED, "no_cycle")
    assert node.study(STUDY).state is StudyState.DONE
    assert [event.detail["revision"] for event in node.events("result.none")] == [2]


def test_replay_reports_again(node: NodeHarness) -> None:
    """A replay without any new image makes a new revision of every report."""
    image = receive(node)
    node.complete()
    node.work_once()
    with node.database.transaction() as session:
        studies.replay(session, STUDY, now=node.now)

    node.work_once()

    assert summary(node.results(STUDY))[2:] == [(2, "tid5200", image), (2, "overlay", image)]


def test_a_job_overtaken_by_a_late_image_leaves_it_to_the_next(node: NodeHarness) -> None:
    """An image that comes between the end of the quiet period and the job is reported once, as revision 2."""
    early = receive(node)
    node.complete()
    late = receive(node)

    assert node.work_once()
    assert node.results(STUDY) == []
    node.complete()
    node.work_once()

    assert {each.revision for each in node.results(STUDY)} == {2}
    assert {each.source_sop_instance_uid for each in node.results(STUDY)} == {early, late}


def test_an_image_that_comes_during_the_job_waits_for_the_next(node: NodeHarness) -> None:
    """A late image reopens a study that is being processed: revision 1 goes out without it, 2 with it."""
    early, late = receive(node), []

    def analyse(dataset: Any) -> Any:
        if not late:
            late.append(receive(node))
        return fake_analyzer.analyse(dataset)

    node.pipeline = with_analyzer(node, analyse=analyse)
    node.complete()
    node.work_once()
    assert summary(node.results(STUDY)) == [(1, "tid5200", early), (1, "overlay", early)]
    assert node.study(STUDY).state is StudyState.RECEIVING

    node.complete()
    node.work_once()

    assert {each.source_sop_instance_uid for each in node.results(STUDY)[2:]} == {early, *late}


def test_an_image_of_which_no_object_is_built_ends_its_job(node: NodeHarness) -> None:
    """Nothing is announced, nothing written, and the study is done."""
    receive(node)
    node.complete()
    with node.database.transaction() as session:
        job = jobs.claim(session, now=node.now)
    assert job is not None

    run_job(job, with_analyzer(node, build_results=lambda *_, **__: []))

    assert node.events("job.done")
    assert node.files_on_disk() == node.files_of_rows()


def test_a_repeated_job_makes_the_same_bytes(node: NodeHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that dies between files and rows and runs again an hour later keeps the very same objects."""
    receive(node)
    node.complete()
    database, away = node.data_dir / "echonode.db", node.data_dir / "away.db"
    keep_result = node.runtime.files.keep_result

    def keep_and_pull_the_plug(data: bytes, **options: Any) -> Any:
        kept = keep_result(data, **options)
        if database.exists():
            database.rename(away)
        return kept

    monkeypatch.setattr(node.runtime.files, "keep_result", keep_and_pull_the_plug)

    with node.database.transaction() as session:
        job = jobs.claim(session, now=node.now)
    assert job is not None
    with pytest.raises(StoreUnavailable):
        run_job(job, node.pipeline)
    monkeypatch.undo()
    before = {path: path.read_bytes() for path in node.data_dir.glob("results/*/*/*.dcm")}
    away.rename(database)
    node.now += timedelta(hours=1)

    run_job(job, node.pipeline)

    assert before
    assert {path: path.read_bytes() for path in node.data_dir.glob("results/*/*/*.dcm")} == before
    assert len(node.results(STUDY)) == len(before) == 2


def test_a_bug_is_retried_then_given_up(node: NodeHarness) -> None:
    """A job that fails is tried again after a while, and after max_attempts the study has FAILED."""
    receive(node, "raise")
    node.complete()

    assert node.work_once(max_attempts=2, retry_s=10)
    assert node.study(STUDY).state is StudyState.READY
    assert not node.work_once(max_attempts=2, retry_s=10)
    node.now += timedelta(seconds=10)
    assert node.work_once(max_attempts=2, retry_s=10)

    assert node.study(STUDY).state is StudyState.FAILED
    assert node.events("job.dead")[0].detail["error"].startswith("BuggyError in fake_analyzer.py:")


def test_a_full_disk_costs_no_attempt(node: NodeHarness) -> None:
    """While results cannot be written the job waits, however long, and goes through afterwards."""
    receive(node)
    node.complete()
    folder = node.data_dir / "results"
    folder.rmdir()
    folder.write_text("in the way")
    waits = []
    for _ in range(5):
        assert node.work_once(max_attempts=3, retry_s=10)
        assert not node.work_once(max_attempts=3, retry_s=10)
        waits.append(_wait_of_job(node))
        node.now += waits[-1]
    assert [wait.total_seconds() for wait in waits] == [10, 20, 40, 80, 160]
    assert [event.detail["postponed"] for event in node.events("job.postponed")] == [1, 2, 3, 4, 5]
    assert node.study(STUDY).state is StudyState.READY

    folder.unlink()
    folder.mkdir()
    node.work_once(max_attempts=3)

    assert len(node.results(STUDY)) == 2


def test_a_disk_that_stays_full_has_an_end(node: NodeHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put off so often that it cannot be the disk alone, a job fails, and says how often."""
    monkeypatch.setattr("dicom_node.roles.job_outcome.MAX_POSTPONED", 2)
    receive(node)
    node.complete()
    folder = node.data_dir / "results"
    folder.rmdir()
    folder.write_text("in the way")
    for _ in range(3):
        assert node.work_once()
        node.now += timedelta(days=1)

    assert node.study(STUDY).state is StudyState.FAILED
    assert node.events("job.dead")[0].detail["error"].startswith("put off 2 times: ")


def _wait_of_job(node: NodeHarness) -> timedelta:
    with node.database.read() as session:
        (at,) = session.execute(text("SELECT not_before FROM jobs")).one()
    return datetime.fromisoformat(at) - node.now


def test_a_superseded_job_says_so(node: NodeHarness) -> None:
    """It records that a later revision took its place, not why the attempt before it failed."""
    receive(node)
    node.complete()
    working, node.pipeline = node.pipeline, with_analyzer(node, analyse=_breaks)
    node.work_once(retry_s=1)
    node.pipeline = working
    receive(node)
    node.now += timedelta(seconds=2)
    assert node.work_once()

    (event,) = node.events("job.superseded")
    assert event.detail["error"] == "superseded by revision 2"
    assert node.events("result.none") == []
    node.complete()
    assert node.work_once()
    assert {each.revision for each in node.results(STUDY)} == {2}


def _breaks(_: Any) -> Any:
    raise RuntimeError("broken")


def test_a_locked_database_is_waited_for(node: NodeHarness) -> None:
    """No job is lost and no exception leaves the loop while the database cannot be read."""
    receive(node)
    node.complete()
    database = node.data_dir / "echonode.db"
    database.rename(node.data_dir / "away.db")

    assert not node.work_once()

    (node.data_dir / "away.db").rename(database)
    assert node.work_once()
    assert len(node.results(STUDY)) == 2


def test_stop_hands_the_job_back_between_two_images(node: NodeHarness) -> None:
    """A stop request ends the job after the present image; nothing is recorded and no attempt is counted."""
    receive(node)
    receive(node)
    node.complete()

    def analyse(dataset: Any) -> Any:
        node.runtime.stop.set()
        return fake_analyzer.analyse(dataset)

    node.pipeline = with_analyzer(node, analyse=analyse)
    node.work_once()

    assert {state for state, _ in outcomes(node).values()} == {InstanceState.RECEIVED}
    assert len(node.events("job.released")) == 1
    with node.database.transaction() as session:
        job = jobs.claim(session, now=node.now)
    assert job is not None
    assert job.attempts == 1


def test_one_worker_per_data_folder(tmp_path: Path) -> None:
    """A second worker is told that there is one, and may start when the first has gone."""
    held = pytest.raises(AlreadyRunning, match="another worker has the data folder")
    with only_worker(tmp_path), held, only_worker(tmp_path):
        pass
    with only_worker(tmp_path):
        pass


def test_installation_uid_is_made_once(tmp_path: Path) -> None:
    """Threads that start at once agree on one UID, and it stays."""
    found: set[str] = set()
    starters = [threading.Thread(target=lambda: found.add(installation_uid(tmp_path))) for _ in range(8)]
    for starter in starters:
        starter.start()
    for starter in starters:
        starter.join()

    assert found == {installation_uid(tmp_path)}
    assert found.pop().startswith("2.25.")
    assert [path.name for path in tmp_path.iterdir()] == ["installation_uid"]


def test_each_destination_gets_its_kinds(node: NodeHarness) -> None:
    """The outbox holds an object for those who asked for its kind, and for nobody else."""
    wants = {"pacs": frozenset({"tid5200", "overlay"}), "viewer": frozenset({"overlay"})}
    node.pipeline = replace(node.pipeline, plan=ReportPlan(by_destination=wants))
    receive(node)
    node.complete()
    node.work_once()

    made = {event.sop_instance_uid: event.detail for event in node.events("result.created")}
    assert {detail["kind"]: detail["destinations"] for detail in made.values()} == {
        "tid5200": ["pacs"],
        "overlay": ["pacs", "viewer"],
    }


def test_an_assumed_charset_leaves_a_trace(node: NodeHarness) -> None:
    """A name in 8-bit bytes of no named character set is read by the site's default, and the log says so."""
    node.pipeline = replace(
        with_analyzer(
            node,
            analyse=lambda _: [measured_strips.strip_result()],
            build_results=build.build_results,
        ),
        plan=replace(node.pipeline.plan, default_charset="ISO_IR 100"),
    )
    image = receive(node)
    path = node.files.absolute(
        next(each.path for each in node.instances(STUDY) if each.sop_instance_uid == image)
    )
    path.write_bytes(without_charset(path))
    receive(node)
    node.complete()
    node.work_once()

    (event,) = node.events("report.charset_assumed")
    assert event.sop_instance_uid == image
    assert event.detail == {
        "revision": 1,
        "attributes": [{"keyword": "PatientName", "wrong": NOT_NAMED, "done": "read as ISO_IR 100"}],
    }
    assert node.events("report.source_corrected") == []


def test_a_corrected_attribute_leaves_a_trace(node: NodeHarness) -> None:
    """What could not be copied as it is stands in the audit log, by attribute and rule, without value."""
    node.pipeline = with_analyzer(
        node, analyse=lambda _: [measured_strips.strip_result()], build_results=build.build_results
    )
    image = receive(node, PatientSize="175")
    node.complete()
    node.work_once()

    (event,) = node.events("report.source_corrected")
    assert event.sop_instance_uid == image
    assert event.detail == {
        "revision": 1,
        "attributes": [{"keyword": "PatientSize", "wrong": "not a height in metres", "done": "left out"}],
    }
    assert node.events("report.charset_assumed") == []


def without_charset(path: Path) -> bytes:
    """Return a file with an umlaut in a name, and no word of its character set."""
    ds = dcmread(path)
    ds.SpecificCharacterSet, ds.PatientName = "ISO_IR 100", "Müller^Jörg"
    ds = dcmread(BytesIO(builders.file_bytes(ds)))
    ds.pop(0x00080005)
    file = BytesIO()
    dcmwrite(file, ds)
    return file.getvalue()


def test_an_image_whose_patient_cannot_be_named(node: NodeHarness) -> None:
    """It has no reports and a reason in the audit log; the rest of the study has its own."""

    def build_results(source: Dataset, *args: Any, **options: Any) -> Any:
        if source.InstanceNumber == 1:
            raise UnreportableSource("PatientID of the source image is no legal value")
        return fake_analyzer.build_results(source, *args, **options)

    node.pipeline = with_analyzer(node, build_results=build_results)
    bad, good = receive(node), receive(node)
    node.complete()
    node.work_once()

    assert summary(node.results(STUDY)) == [(1, "tid5200", good), (1, "overlay", good)]
    (event,) = node.events("report.refused")
    assert (event.sop_instance_uid, event.outcome) == (bad, "refused")
    assert "PatientID" in event.detail["because"]


def test_refusals_are_reported_when_asked_for(node: NodeHarness) -> None:
    """A strip that was looked at in vain is worth a picture only where the settings say so."""
    strip = measured_strips.looked_at_in_vain()
    for asked in (False, True):
        node.pipeline = replace(
            with_analyzer(node, analyse=lambda _: [strip]),
            plan=replace(node.pipeline.plan, overlay_refusals=asked),
        )
        receive(node)
        node.complete()
        node.work_once()

    assert {each.revision for each in node.results(STUDY)} == {2}
