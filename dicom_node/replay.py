"""`echonode replay`: a study is analysed again as a new revision."""

from contextlib import closing
from datetime import UTC, datetime

from rich.console import Console

from dicom_node.settings import Settings
from store import studies
from store.database import Database


def replay_study(settings: Settings, study_uid: str) -> int:
    """Queues the study for the worker.

    Raises:
        StoreError: the study is unknown or still being worked on, or the database cannot be written.
    """
    with closing(Database(settings.store_url)) as database, database.transaction() as session:
        job = studies.replay(session, study_uid, now=datetime.now(UTC))
    Console().print(f"queued as revision {job.revision}")
    return 0
