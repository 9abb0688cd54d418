"""`echonode replay` analyses a study again; `echonode resend` sends parked deliveries again."""

from contextlib import closing

from rich.console import Console

from dicom_node.process.clock import utc_now
from dicom_node.settings import Settings
from store.db.database import Database
from store.rows import deliveries, delivery_transitions, studies


def replay_study(settings: Settings, study_uid: str) -> int:
    """Queue the next revision of a study for the worker.

    Raises:
        StoreError: the study is unknown or neither DONE nor FAILED, its files were removed, or the
            database cannot be written.
    """
    with closing(Database(settings.store_url)) as database, database.transaction() as session:
        job = studies.replay(session, study_uid, now=utc_now())
    Console().print(f"queued as revision {job.revision}")
    return 0


def resend_parked(settings: Settings, study_uid: str | None) -> int:
    """Requeue the parked deliveries of a study, or all; the same files are sent again.

    Raises:
        StoreError: the database cannot be written.
    """
    now = utc_now()
    with closing(Database(settings.store_url)) as database, database.transaction() as session:
        parked = deliveries.parked(session, study_uid)
        for delivery in parked:
            delivery_transitions.requeue(session, delivery, now=now)
    Console().print(f"{len(parked)} to be sent again")
    return 0
