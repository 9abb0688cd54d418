"""The steps of a node, one at a time, in the test's own process."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from pydicom.dataset import FileDataset

from dicom_node.commitment.scu import ask_due
from dicom_node.delivery.outbox import deliver_due
from dicom_node.network.peer import Peer
from dicom_node.receive.ingest import Ingest
from dicom_node.receive.recovery import adopt_orphans
from dicom_node.roles.worker import work_once
from dicom_node.runtime import Runtime
from dicom_node.settings.sections import Destination, JobSettings, RetentionSettings, StudySettings
from dicom_node.storage.retention import RetentionSweep
from dicom_node.study.completion import complete_studies
from dicom_node.study.pipeline import Pipeline
from store.db.database import Database
from store.db.states import InstanceState
from store.files.digest import data_set_sha256
from store.files.layout import spread
from store.rows import deliveries, delivery_transitions, results
from store.rows.instances import NewInstance, register
from store.rows.results import NewResult
from support import builders
from support.node_runtime import AdjustableClock, Volume

QUIET = timedelta(seconds=StudySettings().quiet_seconds + 1)


class NodeSteps:
    """What roles do, without roles: the clock stands still in between."""

    database: Database
    files: Volume
    clock: AdjustableClock
    runtime: Runtime

    @property
    def pipeline(self) -> Pipeline:
        """The pipeline of a worker."""
        raise NotImplementedError

    @property
    def now(self) -> datetime:
        """The time of day, which only the test moves."""
        return self.clock.now

    @now.setter
    def now(self, moment: datetime) -> None:
        self.clock.now = moment

    @property
    def ingest(self) -> Ingest:
        """What takes instances in."""
        return Ingest(self.database, self.files, self.clock)

    def receive(self, ds: FileDataset) -> str:
        """Take an image in as the receiver does, without one; return the audit event."""
        path = builders.save(ds, self.files.incoming / "one.part")
        uids = {"sop_class_uid": ds.SOPClassUID, "sop_instance_uid": ds.SOPInstanceUID}
        return self.ingest.receive(path, **uids, sender=Peer(ae_title="SCANNER", ip="127.0.0.1"))

    def adopt_orphans(self) -> int:
        """Look for files without a row in the whole data folder; return how many got one."""
        return adopt_orphans(self.runtime, self.ingest)

    def complete(self) -> int:
        """Let the quiet period pass; return how many studies became complete."""
        self.now += QUIET
        return complete_studies(self.database, StudySettings(), now=self.now)

    def work_once(self, **job: Any) -> bool:
        """Do one job, by these rules; return whether there was one."""
        settings = self.pipeline.runtime.settings.model_copy(update={"job": JobSettings(**job)})
        return work_once(replace(self.pipeline, runtime=replace(self.pipeline.runtime, settings=settings)))

    def work(self) -> None:
        """Complete every study and do all jobs."""
        self.complete()
        while self.work_once():
            pass

    def use_destinations(self, *destinations: Destination) -> None:
        """Change the destinations of the settings."""
        settings = self.runtime.settings.model_copy(update={"destinations": destinations})
        self.runtime = replace(self.runtime, settings=settings)

    def deliver(self) -> int:
        """Send what is due to every destination; return how many deliveries were tried."""
        return sum(deliver_due(self.runtime, each) for each in self.runtime.settings.destinations)

    def deliver_everything(self) -> None:
        """Have every delivery taken, without a PACS."""
        with self.database.transaction() as session:
            while due := deliveries.due(session, now=self.now + timedelta(days=1)):
                for each in due:
                    delivery_transitions.delivered(session, each, status=0, now=self.now)

    def ask(self) -> int:
        """Ask every destination for storage commitment."""
        return sum(ask_due(self.runtime, each) for each in self.runtime.settings.destinations)

    def apply_retention(self, *, days: float = 30, **policy: Any) -> int:
        """Remove files by these rules; return how many."""
        retention = RetentionSettings(days=days, **policy)
        settings = self.runtime.settings.model_copy(update={"retention": retention})
        return RetentionSweep(replace(self.runtime, settings=settings)).run()

    def add_result(self, number: int, *, study: int = 1, kind: str = "tid5200") -> str:
        """Put an object of a study into the outbox of every destination; return its UID."""
        study_uid = f"1.2.3.{study}"
        make = builders.vendor_sr if kind == "tid5200" else builders.secondary_capture
        ds = make(StudyInstanceUID=study_uid, InstanceNumber=number)
        path = builders.save(ds, self.files.absolute(f"results/{spread(study_uid)}/{study_uid}/{number}.dcm"))
        new = NewResult(
            kind=kind,
            study_uid=study_uid,
            revision=1,
            source_sop_instance_uid="1.2.3",
            sop_instance_uid=ds.SOPInstanceUID,
            sop_class_uid=ds.SOPClassUID,
            path=str(path.relative_to(self.files.absolute("."))),
            sha256=data_set_sha256(path),
        )
        names = [destination.name for destination in self.runtime.settings.destinations]
        with self.database.transaction() as session:
            register(session, _scanned(study_uid), now=self.now)
            results.add(session, new, destinations=names, now=self.now)
        return str(ds.SOPInstanceUID)


def _scanned(study_uid: str) -> NewInstance:
    return NewInstance(
        sop_instance_uid=f"{study_uid}.9",
        sop_class_uid="1.2.840.10008.5.1.4.1.1.6.1",
        study_uid=study_uid,
        series_uid="1.2.3",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        path=f"instances/{study_uid}.dcm",
        sha256="0" * 64,
        size_bytes=1,
        peer_ae=None,
        peer_ip=None,
        state=InstanceState.RECEIVED,
    )
