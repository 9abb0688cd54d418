"""A data folder with studies that are received, measured and delivered without any process or network."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import builders
import standin
from pydicom.dataset import FileDataset
from pydicom.uid import generate_uid
from runtimes import runtime

from dicom_node.identity import installation_uid
from dicom_node.network.peer import Peer
from dicom_node.process.clock import Clock, utc_now
from dicom_node.receive.ingest import Ingest
from dicom_node.report.plan import ReportPlan
from dicom_node.roles.worker import work_once
from dicom_node.runtime import Runtime
from dicom_node.settings import JobSettings, RetentionSettings, Settings, StudySettings
from dicom_node.storage.retention import apply_retention
from dicom_node.study.completion import complete_studies
from dicom_node.study.pipeline import Pipeline
from store.audit import audit_log
from store.db.database import Database
from store.files.file_store import FileStore
from store.rows import deliveries, delivery_transitions, instances

DAY = timedelta(days=1)


class Volume(FileStore):
    """A data folder whose volume has as much room as the test says."""

    room = 2**40

    def free_bytes(self) -> int:
        """Return what the test says."""
        return self.room


class House:
    """A data folder with studies in it; the present is `later` than the clock on the wall."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = Database(f"sqlite:///{folder}/echonode.db")
        self.database.upgrade()
        self.files = Volume(folder)
        self.later = timedelta()
        self.settings = Settings()
        self.ingest = Ingest(self.database, self.files, utc_now)

    def now(self) -> datetime:
        """Return the time."""
        return datetime.now(UTC) + self.later

    def receive(self, study: int, number: int = 1, **attributes: Any) -> str:
        """Take an image in; return the event."""
        path = builders.save(image(study, number, **attributes), self.files.incoming / "one.part")
        ds = image(study, number)
        uids = {"sop_class_uid": ds.SOPClassUID, "sop_instance_uid": ds.SOPInstanceUID}
        return self.ingest.receive(path, **uids, sender=Peer(ae_title="SCANNER", ip=""))

    def work(self, **job: Any) -> None:
        """Complete every study and do all jobs."""
        complete_studies(self.database, StudySettings(), now=self.now() + timedelta(minutes=1))
        settings = self.settings.model_copy(update={"job": JobSettings(**job)})
        pipeline = Pipeline(
            runtime=self.runtime(settings, clock=lambda: self.now() + timedelta(minutes=1)),
            analyzer=standin.steps(),
            plan=ReportPlan(by_destination={"pacs": frozenset({"tid5200", "overlay"})}),
            installation_uid=installation_uid(self.folder),
        )
        while work_once(pipeline):
            pass

    def deliver(self) -> None:
        """Let the PACS take everything that is due."""
        later = self.now() + DAY
        with self.database.transaction() as session:
            while due := deliveries.due(session, now=later):
                for each in due:
                    delivery_transitions.delivered(session, each, status=0, now=self.now())

    def finish(self, study: int, images: int = 1) -> None:
        """Bring a study from its first image to its end."""
        for number in range(1, images + 1):
            self.receive(study, number)
        self.work()
        self.deliver()

    def tidy(self, *, days: float = 30, **policy: Any) -> int:
        """Let retention do its work by these rules."""
        settings = self.settings.model_copy(update={"retention": RetentionSettings(days=days, **policy)})
        return apply_retention(self.runtime(settings))

    def runtime(self, settings: Settings, clock: Clock | None = None) -> Runtime:
        """Return what the node would work with by these settings."""
        return runtime(settings=settings, database=self.database, files=self.files, clock=clock or self.now)

    def there(self, folder: str = "instances") -> set[str]:
        """Return the names of the study folders that hold files."""
        return {path.parent.name for path in (self.folder / folder).glob("*/*.dcm")}

    def events(self, event: str) -> list[audit_log.AuditEvent]:
        """Return audit events, oldest first."""
        with self.database.read() as session:
            return audit_log.events(session, event=event)

    def images(self, study: int) -> list[instances.Instance]:
        """Return the rows of a study."""
        with self.database.read() as session:
            return instances.of_study(session, study_uid(study))


def study_uid(study: int) -> str:
    """Return the UID of a study."""
    return str(generate_uid(entropy_srcs=["retention", str(study)]))


def image(study: int, number: int, **attributes: Any) -> FileDataset:
    """Return an image; its UID depends on the numbers alone."""
    uid = generate_uid(entropy_srcs=["retention", str(study), str(number)])
    fixed = {"StudyInstanceUID": study_uid(study), "InstanceNumber": number, "SOPInstanceUID": uid}
    return builders.image_2d(**fixed, **attributes)
