"""Storing of one received instance: first the file, then its row and audit event in one transaction."""

from datetime import datetime
from pathlib import Path
from typing import Literal

import structlog
from sqlalchemy.orm import Session

from dicom_node.errors import IdentityMismatch, Unparsable
from dicom_node.network.header import Header, read_header
from dicom_node.network.peer import Peer
from dicom_node.network.presentation_contexts import ULTRASOUND_CLASSES
from dicom_node.process.clock import Clock
from store.audit import audit_log
from store.db.database import Database
from store.db.states import InstanceState
from store.errors import InvalidUID, NotFound, StoreUnavailable
from store.files.file_store import FileStore
from store.files.placing import KeptFile
from store.rows import file_removals, instances

log = structlog.get_logger(__name__)


class Ingest:
    """Stores instances; may be called by several threads and processes at once."""

    def __init__(self, database: Database, files: FileStore, clock: Clock) -> None:
        self._database = database
        self._files = files
        self._clock = clock

    def receive(self, received: Path, *, sop_class_uid: str, sop_instance_uid: str, sender: Peer) -> str:
        """Store the file of a C-STORE request; on return file and row are durable and `received` is removed.

        Args:
            received: the file, in `FileStore.incoming`.
            sop_class_uid: Affected SOP Class UID of the request.
            sop_instance_uid: Affected SOP Instance UID of the request.
            sender: the requestor.

        Returns:
            The audit event written: instance.received, instance.duplicate or instance.conflict.

        Raises:
            Unparsable: the file is not a data set.
            InvalidUID: a UID of the data set is missing or invalid.
            IdentityMismatch: the data set has other UIDs than the request.
            StoreUnavailable: disk or database error.
        """
        header = read_header(received)
        if (header.sop_class_uid, header.sop_instance_uid) != (sop_class_uid, sop_instance_uid):
            raise IdentityMismatch
        return self._keep(received, header, sender, event="instance.received")

    def adopt(self, link: Path) -> bool:
        """Write the row of a file that a crash left without one; return whether it was missing.

        Args:
            link: in `FileStore.incoming`, removed at the end.

        Raises:
            StoreUnavailable: disk or database error.
        """
        try:
            header = read_header(link)
        except (Unparsable, InvalidUID) as error:
            log.warning("file without row left alone", file=link.name, error=str(error))
            self._files.discard(link)
            return False
        if self._has_row(link, header.sop_instance_uid):
            self._files.discard(link)  # the crash came after the commit
            return False
        sender = Peer(ae_title=header.sender_ae, ip="")
        return self._keep(link, header, sender, event="instance.adopted") == "instance.adopted"

    def _has_row(self, link: Path, sop_instance_uid: str) -> bool:
        """Tell whether the row of a UID says that this file is there."""
        try:
            with self._database.read() as session:
                row = instances.get(session, sop_instance_uid)
            return row.file_gone_at is None and link.samefile(self._files.absolute(row.path))
        except (NotFound, FileNotFoundError):
            return False

    def _keep(self, received: Path, header: Header, sender: Peer, *, event: str) -> str:
        """Link the file, write its row, and only then remove `received`, by which a crash is found out."""
        kept = self._files.keep_instance(
            received, study_uid=header.study_uid, sop_instance_uid=header.sop_instance_uid
        )
        try:
            event = self._write_row(kept, header, sender, event)
        except Exception:
            if kept.outcome == "new":
                self._files.leave_for_next_start(kept)
            raise
        self._files.discard(received, kept)
        return event

    def _write_row(self, kept: KeptFile, header: Header, sender: Peer, event: str) -> str:
        with self._database.transaction() as session:
            if kept.outcome != "conflict" and self._register(session, kept, header, sender, event):
                return event
            outcome = self._reconcile(session, kept, header)
            if outcome in {kept.outcome, "duplicate"}:
                return _audit(session, f"instance.{outcome}", kept, header, sender, at=self._clock())
        # Not inside the transaction: other writers would wait for the disk.
        moved = self._files.move_to_conflicts(kept, sop_instance_uid=header.sop_instance_uid)
        with self._database.transaction() as session:
            return _audit(session, "instance.conflict", moved, header, sender, at=self._clock())

    def _reconcile(
        self, session: Session, kept: KeptFile, header: Header
    ) -> Literal["duplicate", "conflict"]:
        """Compare a file with the row that its UID already has; the row's file may have been removed.

        The same data set is kept again without a new job; another one, or one of another study, belongs
        in conflicts/.

        Raises:
            StoreUnavailable: the row says since a moment ago that the file is gone, which it will be.
        """
        row = instances.get(session, header.sop_instance_uid)
        if kept.outcome == "conflict" or (row.study_uid, row.sha256) != (header.study_uid, kept.sha256):
            return "conflict"
        if file_removals.pending(session, [kept.path]) or not self._files.absolute(kept.path).exists():
            raise StoreUnavailable("retention was just removing the file of this instance")
        if row.file_gone_at is not None or row.path != kept.path:
            instances.file_restored(session, header.sop_instance_uid, path=kept.path, now=self._clock())
        return "duplicate"

    def _register(self, session: Session, kept: KeptFile, header: Header, sender: Peer, event: str) -> bool:
        new = instances.NewInstance(
            sop_instance_uid=header.sop_instance_uid,
            sop_class_uid=header.sop_class_uid,
            study_uid=header.study_uid,
            series_uid=header.series_uid,
            transfer_syntax_uid=header.transfer_syntax_uid,
            path=kept.path,
            sha256=kept.sha256,
            size_bytes=kept.size_bytes,
            **sender.columns,
            state=first_state(header),
        )
        return instances.register(session, new, now=self._clock(), event=event)


def first_state(header: Header) -> InstanceState:
    """Return RECEIVED for ultrasound images, OWN for results of an echonode, KEPT for everything else."""
    if header.is_own:
        return InstanceState.OWN
    return InstanceState.RECEIVED if header.sop_class_uid in ULTRASOUND_CLASSES else InstanceState.KEPT


def _audit(
    session: Session, event: str, kept: KeptFile, header: Header, sender: Peer, *, at: datetime
) -> str:
    """Record what became of a file that got no row, and return the event."""
    audit_log.record(
        session,
        event,
        "success" if event == "instance.duplicate" else "refused",
        at=at,
        **sender.columns,
        study_uid=header.study_uid,
        sop_instance_uid=header.sop_instance_uid,
        detail={"path": kept.path, "sha256": kept.sha256, "size_bytes": kept.size_bytes},
    )
    return event
