"""One received instance: durable file first, row and audit second, only then success."""

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
    """Takes instances into the store; safe to call from several threads and processes."""

    def __init__(self, database: Database, files: FileStore, clock: Clock) -> None:
        self._database = database
        self._files = files
        self._clock = clock

    def receive(self, received: Path, *, sop_class_uid: str, sop_instance_uid: str, sender: Peer) -> str:
        """Keep the object that a C-STORE request announced by these two UIDs.

        On return it is durable and `received` is gone.

        Returns:
            The audit event written: instance.received, instance.duplicate or instance.conflict.

        Raises:
            Unparsable: the bytes are no data set.
            InvalidUID: the data set lacks a UID or has a bad one.
            IdentityMismatch: the data set is another object than the request said.
            StoreUnavailable: disk or database trouble.
        """
        header = read_header(received)
        if (header.sop_class_uid, header.sop_instance_uid) != (sop_class_uid, sop_instance_uid):
            raise IdentityMismatch
        return self._keep(received, header, sender, event="instance.received")

    def adopt_orphans(self) -> int:
        """Give rows to files that have none: a crash came between file and row. Returns how many.

        Raises:
            StoreUnavailable: disk or database trouble.
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
        second_name = self._files.incoming / f"{uuid4()}.part"
        os.link(orphan, second_name)
        sender = Peer(ae_title=header.sender_ae or "", ip="")
        return self._keep(second_name, header, sender, event="instance.adopted") == "instance.adopted"

    def _keep(self, received: Path, header: Header, sender: Peer, *, event: str) -> str:
        kept = self._files.keep_instance(
            received, study_uid=header.study_uid, sop_instance_uid=header.sop_instance_uid
        )
        with self._database.transaction() as session:
            if kept.outcome != "conflict" and self._register(session, kept, header, sender, event):
                return event
            kept = self._again(session, kept, header)
            event = "instance.conflict" if kept.outcome == "conflict" else "instance.duplicate"
            _audit(session, event, kept, header, sender, at=self._clock())
            return event

    def _again(self, session: Session, kept: KeptFile, header: Header) -> KeptFile:
        """Take in what has a row already; its file may have been removed by retention since.

        The same bytes take their place again and start no work. Retention waits for this transaction
        to end, so a file that is there now stays there.
        """
        if kept.outcome == "conflict":
            return kept
        row = instances.get(session, header.sop_instance_uid)
        if row.study_uid != header.study_uid:
            return replace(kept, outcome="conflict")
        if row.sha256 != kept.sha256:
            return self._files.set_aside(kept, sop_instance_uid=header.sop_instance_uid)
        if not self._files.absolute(kept.path).exists():
            raise StoreUnavailable("retention was just removing the file of this instance")
        if row.file_gone_at is not None:
            instances.file_returned(session, header.sop_instance_uid, now=self._clock())
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
    """Ultrasound is analysed; our own results and everything else are kept."""
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
