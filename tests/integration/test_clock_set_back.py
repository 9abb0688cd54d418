"""All timed jobs of a worker on a clock that goes back by an hour, with a PACS that was down."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from house import House, study_uid
from pacs import Pacs
from receivers import wait_for
from rig import free_port

from dicom_node.roles.schedule import worker_scheduler
from dicom_node.settings import DeliverySettings, Destination, Settings, StudySettings
from store.db.states import StudyState
from store.rows import studies


def test_nothing_waits_an_hour_longer(tmp_path: Path) -> None:
    """A study still completes, and results that waited for their next attempt reach the PACS in seconds."""
    house, port = House(tmp_path), free_port()
    house.receive(1)
    house.work()
    destination = Destination(name="pacs", ae_title="PACS", host="127.0.0.1", port=port, timeout_s=5)
    settings = Settings(
        destinations=(destination,),
        delivery=DeliverySettings(first_retry_s=2.0, max_retry_s=4.0),
        study=StudySettings(quiet_seconds=1.0),
    )
    resources = house.runtime(settings, clock=lambda: datetime.now(UTC) + timedelta(minutes=2) + house.later)
    timed_jobs = worker_scheduler(resources, lambda: None)
    timed_jobs.start()
    wait_for(lambda: house.events("delivery.retry"), "the PACS was tried in vain")
    house.later = -timedelta(hours=1)

    with Pacs(port=port) as pacs:
        wait_for(lambda: len(pacs.uids) == 2, "both results are delivered", limit_s=30)
        house.receive(2)
        wait_for(lambda: _state(house, 2) is StudyState.READY, "the new study is complete", limit_s=30)
        resources.stop.set()
        timed_jobs.shutdown()
    (event,) = house.events("clock.set_back")
    assert event.detail["deliveries"] == 1 + 1
    house.database.close()


def _state(house: House, study: int) -> StudyState:
    with house.database.read() as session:
        return studies.get(session, study_uid(study)).state
