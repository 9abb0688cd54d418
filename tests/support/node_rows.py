"""What the database and the data folder of a node under test hold."""

from collections import Counter
from datetime import timedelta
from pathlib import Path

from pydicom import Dataset
from sqlalchemy import text

from store.audit import audit_log
from store.audit.audit_log import AuditEvent
from store.audit.chain import Flaw
from store.audit.verification import verify
from store.db.database import Database
from store.db.states import DeliveryState
from store.rows import deliveries, instances, results, studies
from store.rows.deliveries import Delivery
from store.rows.instances import Instance
from store.rows.results import Result
from store.rows.studies import Study
from support.node_runtime import AdjustableClock
from support.wait import wait_for

YEAR = timedelta(days=365)
KINDS = ("instances", "results")
"""Tables with files, and the folders of these."""


class NodeRows:
    """Questions to a node's store."""

    database: Database
    data_dir: Path
    clock: AdjustableClock

    def events(self, event: str | None = None) -> list[AuditEvent]:
        """Return the audit events, of one kind or all, oldest first."""
        with self.database.read() as session:
            return audit_log.events(session, event=event)

    def wait_for_event(self, event: str, count: int = 1) -> list[AuditEvent]:
        """Wait until an event was recorded `count` times."""
        wait_for(lambda: len(self.events(event)) >= count, f"{count} x {event}")
        return self.events(event)

    def broken_audit_rows(self) -> list[Flaw]:
        """Return what is wrong with the audit rows."""
        with self.database.read() as session:
            return verify(session)

    def instances(self, study_uid: str) -> list[Instance]:
        """Return the rows of the images of a study."""
        with self.database.read() as session:
            return instances.of_study(session, study_uid)

    def instance(self, ds: Dataset) -> Instance:
        """Return the row of an image."""
        (row,) = (
            each for each in self.instances(ds.StudyInstanceUID) if each.sop_instance_uid == ds.SOPInstanceUID
        )
        return row

    def results(self, study_uid: str) -> list[Result]:
        """Return the results of a study, oldest first."""
        with self.database.read() as session:
            return results.of_study(session, study_uid)

    def study(self, study_uid: str) -> Study:
        """Return the row of a study."""
        with self.database.read() as session:
            return studies.get(session, study_uid)

    def open_studies(self) -> int:
        """Return how many studies are not concluded."""
        query = "SELECT count(*) FROM studies WHERE state NOT IN ('DONE', 'FAILED')"
        with self.database.read() as session:
            return int(session.scalar(text(query)) or 0)

    def deliveries(self) -> Counter[str]:
        """Return how many deliveries are in each state that has any."""
        with self.database.read() as session:
            found = deliveries.counts(session)
        return Counter({str(state): number for state, number in found.items() if number})

    def delivered(self) -> int:
        """Return how many objects were delivered."""
        return self.deliveries()[DeliveryState.DELIVERED]

    def undelivered(self) -> int:
        """Return how many objects are not yet kept by the PACS they are for."""
        counts = self.deliveries()
        return counts["PENDING"] + counts["SENT"]

    def unfinished(self) -> int:
        """Return how much is left to do; 0: nothing."""
        return self.open_studies() + self.undelivered()

    def pending(self) -> list[Delivery]:
        """Return the head of each line of deliveries, whenever it is due."""
        with self.database.read() as session:
            return deliveries.due(session, now=self.clock() + YEAR)

    def uncommitted(self) -> list[Delivery]:
        """Return what was taken and is not yet committed."""
        with self.database.read() as session:
            return deliveries.to_be_committed(session, now=self.clock() + YEAR)

    def studies_on_disk(self, folder: str = "instances") -> set[str]:
        """Return the names of the study folders that hold files."""
        return {path.parent.name for path in (self.data_dir / folder).glob("*/*/*.dcm")}

    def stored_files(self) -> list[str]:
        """Return every DICOM file or part of one under the data folder, relative to it."""
        found = (path for path in self.data_dir.rglob("*") if path.is_file())
        return sorted(
            str(path.relative_to(self.data_dir))
            for path in found
            if ".db" not in path.name and path.name != "node.log"
        )

    def files_on_disk(self) -> set[str]:
        """Return the files of images and results, relative to the data folder."""
        found = (path for top in KINDS for path in (self.data_dir / top).rglob("*") if path.is_file())
        return {str(path.relative_to(self.data_dir)) for path in found}

    def files_of_rows(self, *, gone: bool = False) -> set[str]:
        """Return the files of images and results that rows name as kept, or as gone."""
        where = "file_gone_at IS NOT NULL" if gone else "file_gone_at IS NULL"
        query = " UNION ".join(f"SELECT path FROM {table} WHERE {where}" for table in KINDS)  # noqa: S608 - from here
        with self.database.read() as session:
            return set(session.scalars(text(query)))
