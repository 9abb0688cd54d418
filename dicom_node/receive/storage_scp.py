"""The handlers of pynetdicom's events for C-ECHO and C-STORE, where errors become DIMSE status codes.

Storage commitment has its own handlers and status codes, in `commitment.scp`.
"""

from collections.abc import Callable, Sequence
from typing import Any

import structlog
from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom import evt
from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.pdu_primitives import SOPClassCommonExtendedNegotiation
from pynetdicom.sop_class import Verification

from dicom_node.audit.recorder import AuditRecorder
from dicom_node.errors import IdentityMismatch, Unparsable
from dicom_node.network.commitment_messages import NO_UID, SOP_CLASS
from dicom_node.network.peer import Peer
from dicom_node.process.logs import printable
from dicom_node.receive.admission import AssociationAdmission
from dicom_node.receive.ingest import Ingest
from store.errors import InvalidUID, StoreUnavailable
from store.files.uids import check_uid

SUCCESS = 0x0000
PROCESSING_FAILURE = 0x0110
CONFLICT_STATUS = {"success": SUCCESS, "duplicate": 0x0111}
"""Status for another image under a known UID, by `node.conflict_status`; it is kept aside in either case."""
STATUS_OF: dict[type[Exception], int] = {
    StoreUnavailable: 0xA700,  # Refused: Out of Resources; the requestor may try again
    InvalidUID: 0xA900,  # Error: Data Set does not match SOP Class; here for any invalid UID
    IdentityMismatch: 0xA900,
    Unparsable: 0xC001,  # Error: Cannot understand (0xC000 to 0xCFFF)
}
"""C-STORE status codes of PS3.4 B.2.3."""

Handler = tuple[evt.EventType, Callable[[evt.Event], Any]]
"""A pynetdicom event and the function called for it."""
STORAGE_SERVICE_CLASS = "1.2.840.10008.4.2"
NO_STORAGE = {Verification, SOP_CLASS}
"""The accepted SOP classes that are not storage classes."""
MAX_COMMENT = 64  # Error Comment is LO (PS3.7 C)

log = structlog.get_logger(__name__)


class StorageSCP:
    """Handlers of all events of all associations of one receiver process."""

    def __init__(
        self,
        *,
        admission: AssociationAdmission,
        ingest: Ingest,
        recorder: AuditRecorder,
        conflict_status: int,
        more_handlers: Sequence[Handler],
    ) -> None:
        self._admission = admission
        self._more_handlers = more_handlers
        self._ingest = ingest
        self._recorder = recorder
        self._conflict_status = conflict_status
        self._open: set[Any] = set()
        self._storing: set[Any] = set()

    @property
    def handlers(self) -> list[Handler]:
        """The pynetdicom events with their handlers."""
        return [
            (evt.EVT_REQUESTED, lambda event: self._admission.decide(event.assoc)),
            (evt.EVT_SOP_COMMON, self._on_sop_common),
            (evt.EVT_ESTABLISHED, self._on_established),
            (evt.EVT_DIMSE_RECV, self._on_message),
            (evt.EVT_C_ECHO, lambda _: SUCCESS),
            (evt.EVT_C_STORE, self._on_store),
            *self._more_handlers,
        ]

    @property
    def open_associations(self) -> frozenset[Any]:
        """The accepted associations that have not ended."""
        return frozenset(self._open)

    @property
    def is_storing(self) -> bool:
        """True while some C-STORE request is being handled."""
        return bool(self._storing)

    def on_end(self, association: Any) -> None:
        """Clean up after an association or an attempt at one, and record how an accepted one ended."""
        abandoned = association.dimse.discard_unserved()
        upper_layer = association.dul
        self._admission.release(association)
        if association not in self._open:
            return
        self._open.discard(association)
        if association.is_released:
            self._recorder.record("association.closed", **Peer.of(association).columns, detail={})
        else:
            idle = "nothing came for too long" if upper_layer.idle_timer_expired() else "ended by this node"
            reason = upper_layer.end_reason or idle
            detail = {"objects_cut_off": abandoned, "reason": reason}
            self._recorder.record(
                "association.aborted", "failure", **Peer.of(association).columns, detail=detail
            )

    def _on_sop_common(self, event: evt.Event) -> dict[UID, SOPClassCommonExtendedNegotiation]:
        """Declare retired and private SOP classes, unknown to pynetdicom, as storage (PS3.7 D.3.3.6)."""
        items = {}
        for context in event.assoc.acceptor.supported_contexts:
            items[context.abstract_syntax] = _storage_item(context.abstract_syntax)
        for other in NO_STORAGE:
            items.pop(other)
        return {**items, NO_UID: _storage_item(NO_UID)}

    def _on_established(self, event: evt.Event) -> None:
        association = event.assoc
        self._open.add(association)
        detail = {
            "contexts": len(association.accepted_contexts),
            "contexts_rejected": sorted(
                {printable(context.abstract_syntax) for context in association.rejected_contexts}
            ),
        }
        self._recorder.record("association.opened", **Peer.of(association).columns, detail=detail)

    def _on_message(self, event: evt.Event) -> None:
        """Replace UIDs of a C-STORE request that keep pynetdicom from answering it."""
        if not isinstance(event.message, C_STORE_RQ):
            return
        command = event.message.command_set
        classes = {context.abstract_syntax for context in event.assoc.accepted_contexts}
        if str(command.get("AffectedSOPClassUID") or "") not in classes - NO_STORAGE:
            command.AffectedSOPClassUID = NO_UID
        try:
            check_uid(str(command.get("AffectedSOPInstanceUID") or ""))
        except InvalidUID:
            command.AffectedSOPInstanceUID = NO_UID

    def _on_store(self, event: evt.Event) -> Dataset:
        association, incoming = event.assoc, event.request.DataSet
        self._storing.add(association)
        try:
            return _status(self._store(event))
        except tuple(STATUS_OF) as error:
            self._audit_refusal(event, error)
            return _status(STATUS_OF[type(error)], error)
        except Exception as error:
            log.exception("c-store failed", **Peer.of(association).columns)
            return _status(PROCESSING_FAILURE, error)
        finally:
            incoming.discard()
            self._storing.discard(association)

    def _store(self, event: evt.Event) -> int:
        received = event.request.DataSet.finish()
        if event.request.AffectedSOPClassUID != event.context.abstract_syntax:
            raise IdentityMismatch
        peer = Peer.of(event.assoc)
        outcome = self._ingest.receive(
            received,
            sop_class_uid=event.request.AffectedSOPClassUID,
            sop_instance_uid=event.request.AffectedSOPInstanceUID,
            sender=peer,
        )
        log.info(outcome, **peer.columns, sop_instance_uid=event.request.AffectedSOPInstanceUID)
        return self._conflict_status if outcome == "instance.conflict" else SUCCESS

    def _audit_refusal(self, event: evt.Event, error: Exception) -> None:
        uid = event.request.AffectedSOPInstanceUID
        # Not `record` with an unavailable database: its timeout would delay the response a second time.
        write = self._recorder.defer if isinstance(error, StoreUnavailable) else self._recorder.record
        write(
            "instance.refused",
            "refused",
            **Peer.of(event.assoc).columns,
            sop_instance_uid=None if uid == NO_UID else str(uid),
            detail={
                "status": f"0x{STATUS_OF[type(error)]:04X}",
                "reason": printable(error, 200),
                "sop_class_uid": printable(event.context.abstract_syntax),
            },
        )


def _storage_item(sop_class: UID) -> SOPClassCommonExtendedNegotiation:
    item = SOPClassCommonExtendedNegotiation()
    item.sop_class_uid = sop_class
    item.service_class_uid = UID(STORAGE_SERVICE_CLASS)
    return item


def _status(code: int, error: Exception | None = None) -> Dataset:
    status = Dataset()
    status.Status = code
    if error is not None:
        status.ErrorComment = printable(type(error).__doc__, MAX_COMMENT)
    return status
