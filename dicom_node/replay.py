"""`echonode replay`: a study is analysed again as a new revision."""

from datetime import UTC, datetime

from rich.console import Console

from dicom_node.settings import Settings
from store import studies
from store.database import Database
from store.errors import StoreError


def replay_study(settings: Settings, study_uid: str) -> int:
    """Queues the study for the worker; 1 when it is unknown or still being worked on."""
    try:
        with Database(settings.store_url).transaction() as session:
            job = studies.replay(session, study_uid, now=datetime.now(UTC))
    except StoreError as error:
        Console(stderr=True).print(str(error))
        return 1
    Console().print(f"queued as revision {job.revision}")
    return 0
