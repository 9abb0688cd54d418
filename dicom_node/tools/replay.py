"""`echonode replay` and `resend`: a study is analysed, or what was parked is sent, once more."""

from contextlib import closing

from rich.console import Console

from dicom_node.process.clock import utc_now
from dicom_node.settings import Settings
from store.db.database import Database
from store.rows import deliveries, studies


def replay_study(settings: Settings, study_uid: str) -> int:
    """Queues the study for the worker.

    Raises:
        StoreError: the study is unknown or still being worked on, or the database cannot be written.
    """
    with closing(Database(settings.store_url)) as database, database.transaction() as session:
        job = studies.replay(session, study_uid, now=utc_now())
    Console().print(f"queued as revision {job.revision}")
    return 0


def resend_parked(settings: Settings, study_uid: str | None) -> int:
    """Put the parked deliveries of a study, or all, back into the outbox: the same bytes, the same UIDs.

    Raises:
        StoreError: the database cannot be written.
    """
    now = utc_now()
    with closing(Database(settings.store_url)) as database, database.transaction() as session:
        parked = deliveries.parked(session, study_uid)
        for delivery in parked:
            deliveries.requeue(session, delivery, now=now)
    Console().print(f"{len(parked)} to be sent again")
    return 0
