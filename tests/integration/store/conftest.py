"""Real SQLite files, and rows to put into them."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from support.databases import upgraded

from store.db.database import Database
from store.db.states import InstanceState, StudyState
from store.rows import instances, jobs, results, studies
from store.rows.instances import NewInstance
from store.rows.jobs import Job
from store.rows.results import NewResult

NOW = datetime(2026, 11, 22, 20, 0, tzinfo=UTC)
STUDY = "1.2.826.1"


@pytest.fixture
def now() -> datetime:
    """Return a fixed time."""
    return NOW


@pytest.fixture
def study_uid() -> str:
    """Return the UID of the study of the tests."""
    return STUDY


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Return the URL of a database that does not exist yet."""
    return f"sqlite:///{tmp_path}/echonode.db"


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    """Return an upgraded database."""
    database = upgraded(url, busy_timeout_s=10.0)
    yield database
    database.close()


@pytest.fixture
def new_instance() -> Callable[..., NewInstance]:
    """Return a factory of instances to register: `number` makes the UID, keywords override fields."""

    def make(number: int = 1, *, study: str = STUDY, **fields: Any) -> NewInstance:
        values = {
            "sop_instance_uid": f"{study}.{number}",
            "sop_class_uid": "1.2.840.10008.5.1.4.1.1.6.1",
            "study_uid": study,
            "series_uid": f"{study}.0",
            "transfer_syntax_uid": "1.2.840.10008.1.2.1",
            "path": f"instances/{study}/{study}.{number}.dcm",
            "sha256": f"{number:064x}",
            "size_bytes": 1000 + number,
            "peer_ae": "VIVID",
            "peer_ip": "192.0.2.10",
            "state": InstanceState.RECEIVED,
        }
        return NewInstance(**{**values, **fields})

    return make


@pytest.fixture
def new_result() -> Callable[..., NewResult]:
    """Return a factory of results to add: `number` makes the UID, keywords override fields."""

    def make(number: int = 1, *, study: str = STUDY, **fields: Any) -> NewResult:
        values = {
            "kind": "tid5200",
            "study_uid": study,
            "revision": 1,
            "source_sop_instance_uid": f"{study}.1",
            "sop_instance_uid": f"{study}.9.{number}",
            "sop_class_uid": "1.2.840.10008.5.1.4.1.1.88.33",
            "path": f"results/{study}/{study}.9.{number}.dcm",
            "sha256": f"{number:064x}",
        }
        return NewResult(**{**values, **fields})

    return make


@pytest.fixture
def receive(database: Database, new_instance: Callable[..., NewInstance]) -> Callable[..., bool]:
    """Return a function that registers an instance; `at` is when it came."""

    def register(number: int = 1, *, at: datetime = NOW, **fields: Any) -> bool:
        with database.transaction() as session:
            return instances.register(session, new_instance(number, **fields), now=at)

    return register


@pytest.fixture
def queued(database: Database, receive: Callable[..., bool]) -> Callable[..., Job]:
    """Return a function that receives an instance of a study and queues the study's job."""

    def queue(*, study: str = STUDY, at: datetime = NOW) -> Job:
        receive(study=study, at=at)
        with database.transaction() as session:
            return studies.mark_ready(session, study, now=at)

    return queue


@pytest.fixture
def running(database: Database, queued: Callable[..., Job]) -> Callable[..., Job]:
    """Return a function that queues a job and claims it."""

    def claim(*, study: str = STUDY) -> Job:
        queued(study=study)
        with database.transaction() as session:
            job = jobs.claim(session, now=NOW)
        assert job is not None
        return job

    return claim


@pytest.fixture
def add_result(
    database: Database, receive: Callable[..., bool], new_result: Callable[..., NewResult]
) -> Callable[..., bool]:
    """Return a function that adds a result of a received study, to be sent to `to`."""

    def add(number: int = 1, *, to: tuple[str, ...] = ("pacs",), study: str = STUDY, **fields: Any) -> bool:
        receive(study=study)
        with database.transaction() as session:
            new = new_result(number, study=study, **fields)
            return results.add(session, new, destinations=to, now=NOW)

    return add


@pytest.fixture
def in_state(
    database: Database, running: Callable[..., Job], receive: Callable[..., bool]
) -> Callable[..., str]:
    """Return a function that brings a study of one image into a state and returns its UID."""

    def bring(state: StudyState) -> str:
        if state is StudyState.RECEIVING:
            receive()
            return STUDY
        job = running()
        with database.transaction() as session:
            if state is StudyState.READY:
                jobs.release(session, job, now=NOW)
            elif state is StudyState.DONE:
                jobs.finish(session, job, now=NOW)
            elif state is StudyState.FAILED:
                jobs.fail(session, job, error="broken", now=NOW)
        return STUDY

    return bring
