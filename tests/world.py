"""A data folder with results to deliver, at a time that the test moves."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import builders
from runtimes import runtime

from dicom_node.commitment.scu import ask_due
from dicom_node.delivery.outbox import deliver_due
from dicom_node.settings import DeliverySettings, Destination, NodeSettings, PeerSettings, Settings
from store.audit import audit_log
from store.db.database import Database
from store.db.states import InstanceState
from store.rows import deliveries, results
from store.rows.instances import NewInstance, register
from store.rows.results import NewResult


class World:
    """A data folder with rows to deliver, at a time that the test moves."""

    def __init__(
        self, folder: Path, *destinations: Destination, peers: Sequence[PeerSettings] = (), **delivery: float
    ) -> None:
        self.database = Database(f"sqlite:///{folder}/echonode.db")
        self.database.upgrade()
        self.now = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
        settings = Settings(
            node=NodeSettings(data_dir=folder),
            destinations=destinations,
            peers=tuple(peers),
            delivery=DeliverySettings(**delivery),
        )
        self.runtime = runtime(settings=settings, database=self.database, clock=lambda: self.now)

    def add(self, number: int, *, study: int = 1, kind: str = "tid5200") -> str:
        """Put an object of a study into the outbox of every destination; return its UID."""
        study_uid = f"1.2.3.{study}"
        make = builders.vendor_sr if kind == "tid5200" else builders.secondary_capture
        ds = make(StudyInstanceUID=study_uid, InstanceNumber=number)
        path = builders.save(ds, self.runtime.files.absolute(f"results/{study_uid}/{number}.dcm"))
        new = NewResult(
            kind=kind,
            study_uid=study_uid,
            revision=1,
            source_sop_instance_uid="1.2.3",
            sop_instance_uid=ds.SOPInstanceUID,
            sop_class_uid=ds.SOPClassUID,
            path=str(path.relative_to(self.runtime.files.absolute("."))),
            sha256="0" * 64,
        )
        names = [destination.name for destination in self.runtime.settings.destinations]
        with self.database.transaction() as session:
            register(session, _scanned(study_uid), now=self.now)
            results.add(session, new, destinations=names, now=self.now)
        return str(ds.SOPInstanceUID)

    def settle_on(self, *destinations: Destination) -> None:
        """Change the destinations of the settings."""
        settings = self.runtime.settings.model_copy(update={"destinations": destinations})
        self.runtime = replace(self.runtime, settings=settings)

    def deliver(self) -> int:
        """Sweep once over every destination."""
        return sum(deliver_due(self.runtime, each) for each in self.runtime.settings.destinations)

    def ask(self) -> int:
        """Ask every destination for storage commitment."""
        return sum(ask_due(self.runtime, each) for each in self.runtime.settings.destinations)

    def states(self) -> dict[str, int]:
        """Return how many deliveries are in each state that has any."""
        with self.database.read() as session:
            return {state: number for state, number in deliveries.counts(session).items() if number}

    def sent(self) -> list[deliveries.Delivery]:
        """Return what was taken and is not yet committed."""
        with self.database.read() as session:
            return deliveries.to_be_committed(session, now=self.now + timedelta(days=365))

    def waiting(self) -> list[deliveries.Delivery]:
        """Return the head of each line, whenever it is due."""
        with self.database.read() as session:
            return deliveries.due(session, now=self.now + timedelta(days=365))

    def events(self, event: str) -> list[audit_log.AuditEvent]:
        """Return the audit events of one kind, oldest first."""
        with self.database.read() as session:
            return audit_log.events(session, event=event)


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
