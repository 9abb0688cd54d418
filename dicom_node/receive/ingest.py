"""Storing of one received instance: first the file, then its row and audit event in one transaction."""

import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from uuid import uuid4

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
from store.errors import InvalidUID, StoreUnavailable
from store.files.file_store import FileStore, KeptFile
from store.rows import instances

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

    def adopt_orphans(self) -> int:
        """Write the rows of files that a crash left without one; return how many.

        Raises:
            StoreUnavailable: disk or database error.
        """
        return sum(self._adopt(path) for path in self._orphans())

    def _orphans(self) -> Iterator[Path]:
        with self._database.read() as session:
            known = instances.known_paths(session)
        for relative in self._files.instance_paths():
            if relative not in known:
                yield self._files.absolute(relative)

    def _adopt(self, orphan: Path) -> bool:
        try:
            header = read_header(orphan)
        except (Unparsable, InvalidUID) as error:
            log.warning("file without row left alone", file=orphan.name, error=str(error))
            return False
        link = self._files.incoming / f"{uuid4()}.part"
        os.link(orphan, link)
        sender = Peer(ae_title=header.sender_ae, ip="")
        return self._keep(link, header, sender, event="instance.adopted") == "instance.adopted"

    def _keep(self, received: Path, header: Header, sender: Peer, *, event: str) -> str:
        kept = self._files.keep_instance(
            received, study_uid=header.study_uid, sop_instance_uid=header.sop_instance_uid
        )
        with self._database.transaction() as session:
            if kept.outcome != "conflict" and self._register(session, kept, header, sender, event):
                return event
            kept = self._reconcile(session, kept, header)
            event = "instance.conflict" if kept.outcome == "conflict" else "instance.duplicate"
            _audit(session, event, kept, header, sender, at=self._clock())
            return event

    def _reconcile(self, session: Session, kept: KeptFile, header: Header) -> KeptFile:
        """Compare a file with the row that its UID already has; the row's file may have been removed.

        The same data set is kept again without a new job; another one moves to conflicts/. Retention
        removes files in write transactions too, so the file cannot be removed before this one ends.
        """
        if kept.outcome == "conflict":
            return kept
        row = instances.get(session, header.sop_instance_uid)
        if row.study_uid != header.study_uid:
            return replace(kept, outcome="conflict")
        if row.sha256 != kept.sha256:
            return self._files.move_to_conflicts(kept, sop_instance_uid=header.sop_instance_uid)
        if not self._files.absolute(kept.path).exists():
            raise StoreUnavailable("retention was just removing the file of this instance")
        if row.file_gone_at is not None:
            instances.file_restored(session, header.sop_instance_uid, now=self._clock())
        return kept

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
) -> None:
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
