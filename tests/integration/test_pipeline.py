"""One study through the pipeline and the worker's loop, on a real database and real files."""

import os
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import builders
import measured_strips
import pytest
import standin
from pydicom import Dataset, dcmread, dcmwrite
from pydicom.uid import UltrasoundImageStorage
from runtimes import runtime

from dicom_node.identity import installation_uid
from dicom_node.report.objects import UnreportableSource
from dicom_node.report.plan import ReportPlan
from dicom_node.roles.schedule import complete_studies
from dicom_node.roles.worker import AlreadyRunning, only_worker, work_once
from dicom_node.settings import JobSettings, StudySettings
from dicom_node.study.pipeline import Pipeline, run_job
from store.audit import audit_log
from store.db.database import Database
from store.db.states import InstanceState, StudyState
from store.errors import StoreUnavailable
from store.files.file_store import FileStore
from store.rows import instances, jobs, results, studies
from store.rows.instances import NewInstance

STUDY = str(builders.STUDY_UID)


class Node:
    """A data folder, a pipeline with stand-in steps, and a clock that the test moves."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = Database(f"sqlite:///{folder}/echonode.db")
        self.database.upgrade()
        self.files = FileStore(folder)
        self.now = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
        resources = runtime(folder, database=self.database, files=self.files, clock=lambda: self.now)
        self.stop = resources.stop
        self.pipeline = Pipeline(
            runtime=resources,
            analyzer=standin.steps(),
            plan=ReportPlan(by_destination={"pacs": frozenset({"tid5200", "overlay"})}),
            installation_uid=installation_uid(folder),
        )
        self._number = 0

    def with_steps(self, **steps: Any) -> Pipeline:
        """Return the pipeline with other steps."""
        return replace(self.pipeline, analyzer=replace(self.pipeline.analyzer, **steps))

    def receive(
        self, comment: str = "", *, state: InstanceState = InstanceState.RECEIVED, **other: Any
    ) -> str:
        """Keep one image of the study as the receiver would; return its UID."""
        self._number += 1
        ds = builders.image_2d(ImageComments=comment, InstanceNumber=self._number, **other)
        incoming = builders.save(ds, self.files.incoming / "one.dcm")
        uid = str(ds.SOPInstanceUID)
        kept = self.files.keep_instance(incoming, study_uid=STUDY, sop_instance_uid=uid)
        new = NewInstance(
            sop_instance_uid=uid,
            sop_class_uid=UltrasoundImageStorage,
            study_uid=STUDY,
            series_uid=str(ds.SeriesInstanceUID),
            transfer_syntax_uid="1.2.840.10008.1.2.1",
            path=kept.path,
            sha256=kept.sha256,
            size_bytes=kept.size_bytes,
            peer_ae="SCANNER",
            peer_ip="127.0.0.1",
            state=state,
        )
        with self.database.transaction() as session:
            instances.register(session, new, now=self.now)
        return uid

    def complete(self) -> int:
        """Let the quiet period pass and sweep."""
        self.now += timedelta(seconds=31)
        return complete_studies(self.database, StudySettings(quiet_seconds=30), now=self.now)

    def work(self, **policy: Any) -> bool:
        """Do one job."""
        settings = self.pipeline.runtime.settings.model_copy(update={"job": JobSettings(**policy)})
        return work_once(replace(self.pipeline, runtime=replace(self.pipeline.runtime, settings=settings)))

    def outcomes(self) -> dict[str, tuple[InstanceState, str | None]]:
        """Return state and reason per image."""
        with self.database.read() as session:
            return {
                each.sop_instance_uid: (each.state, each.reason)
                for each in instances.of_study(session, STUDY)
            }

    def images(self) -> list[instances.Instance]:
        """Return the images of the study."""
        with self.database.read() as session:
            return instances.of_study(session, STUDY)

    def results(self) -> list[results.Result]:
        """Return the results of the study, oldest first."""
        with self.database.read() as session:
            return results.of_study(session, STUDY)

    def study(self) -> studies.Study:
        """Return the study."""
        with self.database.read() as session:
            return studies.get(session, STUDY)

    def events(self, event: str | None = None) -> list[audit_log.AuditEvent]:
        """Return audit events, oldest first."""
        with self.database.read() as session:
            return audit_log.events(session, event=event)


@pytest.fixture
def node(tmp_path: Path) -> Node:
    """Return an empty node."""
    return Node(tmp_path)


def summary(made: list[results.Result]) -> list[tuple[int, str, str]]:
    """Return (revision, kind, source) of each result."""
    return [(each.revision, each.kind, each.source_sop_instance_uid) for each in made]


def test_a_study_becomes_results_and_reasons(node: Node) -> None:
    """Measured images get an SR and an overlay, the others a reason, vendor objects nothing."""
    measured, refused = node.receive(), node.receive("refuse")
    kept = node.receive(state=InstanceState.KEPT)

    assert node.complete() == 1
    assert node.work()

    assert node.outcomes() == {
        measured: (InstanceState.MEASURED, None),
        refused: (InstanceState.NOT_MEASURED, "no_cycle"),
        kept: (InstanceState.KEPT, None),
    }
    assert summary(node.results()) == [(1, "tid5200", measured), (1, "overlay", measured)]
    assert node.study().state is StudyState.DONE
    assert all(node.files.absolute(each.path).is_file() for each in node.results())


def test_no_audit_row_names_the_patient(node: Node) -> None:
    """Neither a measured image nor a refused one nor a bug that quotes the name leaves it in a row."""
    for comment in ("", "refuse", "raise"):
        node.receive(comment)
        node.complete()
        node.work(max_attempts=1)

    assert {"instance.measured", "instance.not_measured", "job.dead"} <= {
        each.event for each in node.events()
    }
    assert not any("Phantom" in str(event) for event in node.events())


def test_measured_detail(node: Node) -> None:
    """The audit row of a measured image holds the revision, the model and the EF."""
    node.receive()
    node.complete()
    node.work()
    detail = node.events("instance.measured")[0].detail

    assert detail["model_sha256"] == standin.MODEL.sha256
    assert detail["revision"] == 1
    assert detail["strips"][0]["EF_percent"] == 61.5


def test_not_before_the_quiet_period(node: Node) -> None:
    """A study whose last image is younger than the quiet period is left alone."""
    node.receive()
    node.now += timedelta(seconds=29)

    assert complete_studies(node.database, StudySettings(quiet_seconds=30), now=node.now) == 0
    assert not node.work()


def test_a_study_of_reports_only_goes_through(node: Node) -> None:
    """A study that holds nothing to analyse is done, with nothing measured."""
    node.receive(state=InstanceState.KEPT)
    node.complete()
    node.work()

    assert node.results() == []
    assert node.study().state is StudyState.DONE


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
def test_an_unreadable_file_is_a_reason(node: Node, damage: Callable[[Path], Any]) -> None:
    """What happened to one file on disk is that image's reason; the next image is measured."""
    broken, whole = node.receive(), node.receive()
    path = node.files.absolute(f"instances/{STUDY}/{broken}.dcm")
    path.chmod(0o600)
    damage(path)

    node.complete()
    node.work()

    assert node.outcomes()[broken] == (InstanceState.NOT_MEASURED, "undecodable")
    assert node.outcomes()[whole] == (InstanceState.MEASURED, None)


def test_a_late_image_makes_a_revision_of_every_report(node: Node) -> None:
    """After a late measurable image every measured image gets a new SR that names the one before."""
    early = node.receive()
    node.complete()
    node.work()
    late = node.receive()
    assert node.study().state is StudyState.RECEIVING

    node.complete()
    node.work()

    assert summary(node.results())[2:] == [
        (2, "tid5200", early),
        (2, "overlay", early),
        (2, "tid5200", late),
        (2, "overlay", late),
    ]
    first, second = (
        each for each in node.results() if (each.kind, each.source_sop_instance_uid) == ("tid5200", early)
    )
    assert first.sop_instance_uid in dcmread(node.files.absolute(second.path)).ImageComments


def test_late_images_that_bring_nothing_send_nothing(node: Node) -> None:
    """A late image that cannot be measured adds its reason, and no report; the audit log says so."""
    node.receive()
    node.complete()
    node.work()
    late = node.receive("refuse")

    node.complete()
    node.work()

    assert len(node.results()) == 2
    assert node.outcomes()[late] == (InstanceState.NOT_MEASURED, "no_cycle")
    assert node.study().state is StudyState.DONE
    assert [event.detail["revision"] for event in node.events("result.none")] == [2]


def test_replay_reports_again(node: Node) -> None:
    """A replay without any new image makes a new revision of every report."""
    image = node.receive()
    node.complete()
    node.work()
    with node.database.transaction() as session:
        studies.replay(session, STUDY, now=node.now)

    node.work()

    assert summary(node.results())[2:] == [(2, "tid5200", image), (2, "overlay", image)]


def test_a_job_overtaken_by_a_late_image_leaves_it_to_the_next(node: Node) -> None:
    """An image that comes between the end of the quiet period and the job is reported once, as revision 2."""
    early = node.receive()
    node.complete()
    late = node.receive()

    assert node.work()
    assert node.results() == []
    node.complete()
    node.work()

    assert {each.revision for each in node.results()} == {2}
    assert {each.source_sop_instance_uid for each in node.results()} == {early, late}


def test_an_image_that_comes_during_the_job_waits_for_the_next(node: Node) -> None:
    """A late image reopens a study that is being processed: revision 1 goes out without it, 2 with it."""
    early, late = node.receive(), []

    def analyse(dataset: Any) -> Any:
        if not late:
            late.append(node.receive())
        return standin.analyse(dataset)

    node.pipeline = node.with_steps(analyse=analyse)
    node.complete()
    node.work()
    assert summary(node.results()) == [(1, "tid5200", early), (1, "overlay", early)]
    assert node.study().state is StudyState.RECEIVING

    node.complete()
    node.work()

    assert {each.source_sop_instance_uid for each in node.results()[2:]} == {early, *late}


def test_a_repeated_job_makes_the_same_bytes(node: Node) -> None:
    """A job that dies between files and rows and runs again an hour later keeps the very same objects."""
    node.receive()
    node.complete()
    database, away = node.folder / "echonode.db", node.folder / "away.db"

    def build_and_pull_the_plug(*args: Any, **options: Any) -> Any:
        made = standin.build_results(*args, **options)
        database.rename(away)
        return made

    with node.database.transaction() as session:
        job = jobs.claim(session, now=node.now)
    assert job is not None
    with pytest.raises(StoreUnavailable):
        run_job(job, node.with_steps(build_results=build_and_pull_the_plug))
    before = {path: path.read_bytes() for path in node.folder.glob("results/*/*.dcm")}
    away.rename(database)
    node.now += timedelta(hours=1)

    run_job(job, node.pipeline)

    assert {path: path.read_bytes() for path in node.folder.glob("results/*/*.dcm")} == before
    assert len(node.results()) == len(before) == 2


def test_a_bug_is_retried_then_buried(node: Node) -> None:
    """A job that fails is tried again after a while, and after max_attempts the study has FAILED."""
    node.receive("raise")
    node.complete()

    assert node.work(max_attempts=2, retry_s=10)
    assert node.study().state is StudyState.READY
    assert not node.work(max_attempts=2, retry_s=10)
    node.now += timedelta(seconds=10)
    assert node.work(max_attempts=2, retry_s=10)

    assert node.study().state is StudyState.FAILED
    assert node.events("job.dead")[0].detail["error"].startswith("BuggyError in standin.py:")


def test_a_full_disk_costs_no_attempt(node: Node) -> None:
    """While results cannot be written the job waits, however long, and goes through afterwards."""
    node.receive()
    node.complete()
    folder = node.folder / "results"
    folder.rmdir()
    folder.write_text("in the way")
    for _ in range(5):
        assert node.work(max_attempts=3, retry_s=0.01)
    assert node.study().state is StudyState.READY

    folder.unlink()
    folder.mkdir()
    node.work(max_attempts=3)

    assert len(node.results()) == 2


def test_a_locked_database_is_waited_for(node: Node) -> None:
    """No job is lost and no exception leaves the loop while the database cannot be read."""
    node.receive()
    node.complete()
    database = node.folder / "echonode.db"
    database.rename(node.folder / "away.db")

    assert not node.work()

    (node.folder / "away.db").rename(database)
    assert node.work()
    assert len(node.results()) == 2


def test_stop_hands_the_job_back_between_two_images(node: Node) -> None:
    """A stop request ends the job after the present image; nothing is recorded and no attempt is counted."""
    node.receive()
    node.receive()
    node.complete()

    def analyse(dataset: Any) -> Any:
        node.stop.set()
        return standin.analyse(dataset)

    node.pipeline = node.with_steps(analyse=analyse)
    node.work()

    assert {state for state, _ in node.outcomes().values()} == {InstanceState.RECEIVED}
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


def test_each_destination_gets_its_kinds(node: Node) -> None:
    """The outbox holds an object for those who asked for its kind, and for nobody else."""
    wants = {"pacs": frozenset({"tid5200", "overlay"}), "viewer": frozenset({"overlay"})}
    node.pipeline = replace(node.pipeline, plan=ReportPlan(by_destination=wants))
    node.receive()
    node.complete()
    node.work()

    made = {event.sop_instance_uid: event.detail for event in node.events("result.created")}
    assert {detail["kind"]: detail["destinations"] for detail in made.values()} == {
        "tid5200": ["pacs"],
        "overlay": ["pacs", "viewer"],
    }


def test_an_assumed_charset_leaves_a_trace(node: Node) -> None:
    """A name in 8-bit bytes of no named character set is read by the site's default, and the log says so."""
    node.pipeline = replace(node.pipeline, plan=replace(node.pipeline.plan, default_charset="ISO_IR 144"))
    image = node.receive()
    path = node.files.absolute(next(each.path for each in node.images() if each.sop_instance_uid == image))
    path.write_bytes(without_charset(path))
    node.receive()
    node.complete()
    node.work()

    (event,) = node.events("report.charset_assumed")
    assert event.sop_instance_uid == image
    assert event.detail == {"charset": "ISO_IR 144", "revision": 1}


def without_charset(path: Path) -> bytes:
    """Return a file with an umlaut in a name, and no word of its character set."""
    ds = dcmread(path)
    ds.SpecificCharacterSet, ds.PatientName = "ISO_IR 100", "Müller^Jörg"
    ds = dcmread(BytesIO(builders.file_bytes(ds)))
    ds.pop(0x00080005)
    file = BytesIO()
    dcmwrite(file, ds)
    return file.getvalue()


def test_an_image_whose_patient_cannot_be_named(node: Node) -> None:
    """It has no reports and a reason in the audit log; the rest of the study has its own."""

    def build_results(source: Dataset, *args: Any, **options: Any) -> Any:
        if source.InstanceNumber == 1:
            raise UnreportableSource("PatientID of the source image is no legal value")
        return standin.build_results(source, *args, **options)

    node.pipeline = node.with_steps(build_results=build_results)
    bad, good = node.receive(), node.receive()
    node.complete()
    node.work()

    assert summary(node.results()) == [(1, "tid5200", good), (1, "overlay", good)]
    (event,) = node.events("report.refused")
    assert (event.sop_instance_uid, event.outcome) == (bad, "refused")
    assert "PatientID" in event.detail["because"]


def test_refusals_are_reported_when_asked_for(node: Node) -> None:
    """A strip that was looked at in vain is worth a picture only where the settings say so."""
    strip = measured_strips.looked_at_in_vain()
    for asked in (False, True):
        node.pipeline = replace(
            node.with_steps(analyse=lambda _: [strip]),
            plan=replace(node.pipeline.plan, overlay_refusals=asked),
        )
        node.receive()
        node.complete()
        node.work()

    assert {each.revision for each in node.results()} == {2}
