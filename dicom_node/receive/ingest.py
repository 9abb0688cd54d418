"""Storing of one received instance: first the file, then its row and audit event in one transaction."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import structlog
from sqlalchemy.orm import Session

from dicom_node.errors import IdentityMismatch
from dicom_node.network.header import Header, read_header
from dicom_node.network.peer import Peer
from dicom_node.network.presentation_contexts import ULTRASOUND_CLASSES
from dicom_node.process.clock import Clock
from dicom_node.receive.correction import corrected_attributes
from store.audit import audit_log
from store.db.database import Database
from store.db.states import InstanceState
from store.errors import StoreUnavailable
from store.files.file_store import FileStore
from store.files.placing import KeptFile
from store.rows import file_removals, instances
from store.rows.instances import Instance

ATTEMPTS = 5
"""To receive an instance again while other threads do so too."""

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
            The audit event written: instance.received, instance.duplicate, instance.corrected or
            instance.conflict.

        Raises:
            Unparsable: the file is not a data set.
            InvalidUID: a UID of the data set is missing or invalid.
            IdentityMismatch: the data set has other UIDs than the request.
            StoreUnavailable: disk or database error.
        """
        header = read_header(received)
        if (header.sop_class_uid, header.sop_instance_uid) != (sop_class_uid, sop_instance_uid):
            raise IdentityMismatch
        return self.keep(received, header, sender, event="instance.received")

    def keep(self, received: Path, header: Header, sender: Peer, *, event: str) -> str:
        """Link the file, write its row, and only then remove `received`, by which a crash is found out.

        `event` is instance.received or instance.adopted; see `receive` for what is returned and raised.
        """
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
        if kept.outcome != "conflict":
            with self._database.transaction() as session:
                if self._register(session, kept, header, sender, event):
                    return event
        for _ in range(ATTEMPTS):
            with self._database.read() as session:
                row = instances.find(session, header.sop_instance_uid)
            again = self._again(row, kept, header, is_new=event == "instance.received")
            if self._record(row, again, header, sender):
                return again.event
            kept = again.kept
        raise StoreUnavailable("the instance is being received several times at once")

    def _again(self, row: Instance | None, kept: KeptFile, header: Header, *, is_new: bool) -> "_Again":
        """Decide what a file is whose UID exists already, and put it where it belongs.

        Its files are moved before its row is written, and not while the database is locked.
        """
        if row is None or row.study_uid != header.study_uid:
            elsewhere = {"study_of_the_first": row.study_uid} if row else {}
            return _Again("instance.conflict", self._aside(kept, header), elsewhere)
        if row.sha256 == kept.sha256:
            return _Again("instance.duplicate", self._restored(row, kept), {})
        current = self._files.absolute(row.path)
        changed = corrected_attributes(current, self._files.absolute(kept.path)) if current.exists() else None
        if changed is None or not is_new or InstanceState.OWN in (row.state, first_state(header)):
            return _Again("instance.conflict", self._aside(kept, header), {})
        promoted = self._files.keep_version(
            kept, study_uid=header.study_uid, sop_instance_uid=header.sop_instance_uid
        )
        detail = {"replaces_sha256": row.sha256, "changed": changed}
        return _Again("instance.corrected", promoted, detail)

    def _restored(self, row: Instance, kept: KeptFile) -> KeptFile:
        """Return the one file of an instance that came again, of two with the same data set."""
        if kept.path != row.path and self._files.absolute(row.path).exists():
            self._files.remove([kept.path])
            return replace(kept, path=row.path)
        return kept

    def _aside(self, kept: KeptFile, header: Header) -> KeptFile:
        if kept.outcome == "conflict":
            return kept
        return self._files.move_to_conflicts(kept.path, kept.sha256, sop_instance_uid=header.sop_instance_uid)

    def _record(self, row: Instance | None, again: "_Again", header: Header, sender: Peer) -> bool:
        """Write the audit event and the changes of the row; False if somebody changed the row meanwhile."""
        now = self._clock()
        with self._database.transaction() as session:
            if instances.find(session, header.sop_instance_uid) != row:
                return False
            if again.event == "instance.corrected":
                new = self._new_instance(again.kept, header, sender)
                instances.correct(session, new, now=now)
            elif again.event == "instance.duplicate" and row is not None:
                self._require_there(session, again.kept)
                if row.file_gone_at is not None or row.path != again.kept.path:
                    instances.file_restored(session, row.sop_instance_uid, again.kept.path, now=now)
            _audit(session, again, header, sender, at=now)
        if again.event == "instance.corrected" and row is not None:
            # After a crash here, the next start finds the earlier version beside this one, without a row.
            self._files.move_to_conflicts(row.path, row.sha256, sop_instance_uid=row.sop_instance_uid)
        return True

    def _require_there(self, session: Session, kept: KeptFile) -> None:
        """Refuse a file whose row says since a moment ago that it is gone, which it will be."""
        if file_removals.pending(session, [kept.path]) or not self._files.absolute(kept.path).exists():
            raise StoreUnavailable("retention was just removing the file of this instance")

    def _register(self, session: Session, kept: KeptFile, header: Header, sender: Peer, event: str) -> bool:
        new = self._new_instance(kept, header, sender)
        return instances.register(session, new, now=self._clock(), event=event)

    @staticmethod
    def _new_instance(kept: KeptFile, header: Header, sender: Peer) -> instances.NewInstance:
        return instances.NewInstance(
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


def first_state(header: Header) -> InstanceState:
    """Return RECEIVED for ultrasound images, OWN for results of an echonode, KEPT for everything else."""
    if header.is_own:
        return InstanceState.OWN
    return InstanceState.RECEIVED if header.sop_class_uid in ULTRASOUND_CLASSES else InstanceState.KEPT


@dataclass(frozen=True)
class _Again:
    """What became of an instance that was received again."""

    event: str
    """instance.duplicate, instance.conflict or instance.corrected."""
    kept: KeptFile
    detail: Mapping[str, object]
    """For the audit event."""


def _audit(session: Session, again: _Again, header: Header, sender: Peer, *, at: datetime) -> None:
    kept = again.kept
    audit_log.record(
        session,
        again.event,
        "refused" if again.event == "instance.conflict" else "success",
        at=at,
        **sender.columns,
        study_uid=header.study_uid,
        sop_instance_uid=header.sop_instance_uid,
        detail={"path": kept.path, "sha256": kept.sha256, "size_bytes": kept.size_bytes, **again.detail},
    )
