"""All timed jobs of a worker on a clock that goes back by an hour, with a PACS that was down."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydicom.uid import generate_uid
from support import builders
from support.node import NodeHarness, RunningClock, free_port, runtime, wait_for
from support.pacs import Pacs

from dicom_node.roles.schedule import worker_scheduler
from dicom_node.settings import Settings
from dicom_node.settings.sections import DeliverySettings, Destination, StudySettings
from store.db.states import StudyState

STUDY_UID = {number: str(generate_uid(entropy_srcs=["clock", str(number)])) for number in (1, 2)}


def test_nothing_waits_an_hour_longer(tmp_path: Path) -> None:
    """A study still completes, and results that waited for their next attempt reach the PACS in seconds."""
    node, port = NodeHarness(tmp_path, now=datetime.now(UTC)), free_port()
    clock = RunningClock(timedelta(minutes=2))
    node.receive(builders.image_2d(StudyInstanceUID=STUDY_UID[1]))
    node.work()
    destination = Destination(name="pacs", ae_title="PACS", host="127.0.0.1", port=port, timeout_s=5)
    settings = Settings(
        destinations=(destination,),
        delivery=DeliverySettings(first_retry_s=2.0, max_retry_s=4.0),
        study=StudySettings(quiet_seconds=1.0),
    )
    resources = runtime(settings=settings, database=node.database, files=node.files, clock=clock)
    timed_jobs = worker_scheduler(resources, lambda: None)
    timed_jobs.start()
    wait_for(lambda: node.events("delivery.retry"), "the PACS was tried in vain")
    clock.offset -= timedelta(hours=1)

    with Pacs(port=port) as pacs:
        wait_for(lambda: len(pacs.uids) == 2, "both results are delivered", limit_s=30)
        node.receive(builders.image_2d(StudyInstanceUID=STUDY_UID[2]))
        wait_for(
            lambda: node.study(STUDY_UID[2]).state is StudyState.READY,
            "the new study is complete",
            limit_s=30,
        )
        resources.stop.set()
        timed_jobs.shutdown()
    (event,) = node.events("clock.set_back")
    assert event.detail["deliveries"] == 1 + 1
    node.close()
