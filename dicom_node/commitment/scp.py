"""The receiver's side of storage commitment: requests of peers, and answers of destinations."""

import threading
from dataclasses import replace
from datetime import timedelta
from io import BytesIO
from typing import Any
from weakref import WeakKeyDictionary

import structlog
from pydicom import Dataset
from pydicom.uid import UID
from pynetdicom import evt
from pynetdicom.dimse_messages import N_ACTION_RQ, N_EVENT_REPORT_RQ, N_EVENT_REPORT_RSP
from pynetdicom.dimse_primitives import N_EVENT_REPORT
from pynetdicom.dsutils import encode

from dicom_node.commitment.answers import our_answer, take_answer
from dicom_node.errors import TooManyReferences, Unparsable
from dicom_node.network import commitment_messages
from dicom_node.network.header import PARSER_ERRORS
from dicom_node.network.peer import Peer
from dicom_node.runtime import Runtime
from store.errors import InvalidUID, StoreUnavailable
from store.files.file_store import check_uid
from store.rows import commitments
from store.rows.commitments import Report

SUCCESS = 0x0000
UNKNOWN_TRANSACTION = 0x0110  # Processing failure
NO_SUCH_INSTANCE = 0x0112
NO_SUCH_EVENT_TYPE = 0x0113
NO_SUCH_ACTION = 0x0123
STATUS_OF: dict[type[Exception], int] = {
    StoreUnavailable: 0x0213,  # Resource limitation
    TooManyReferences: 0x0213,
    InvalidUID: 0x0115,  # Invalid argument value
    Unparsable: 0x0115,
}
"""N-ACTION and N-EVENT-REPORT status codes (PS3.7 Annex C)."""

PEER_STAYS_S = 0.5
"""A peer that is still associated this long after our response waits for the report there."""
WORKER_TAKES_OVER_S = 10.0
MESSAGE_IDS = 1 << 16
MAX_REPORTS_OWED = 200
"""To one AE title; more requests are refused until it has taken some reports."""

log = structlog.get_logger(__name__)


def answer_status(event: evt.Event, runtime: Runtime, peer: Peer) -> int:
    """Take the answer that an N-EVENT-REPORT request brings; return the status for it."""
    if (refusal := _misaddressed(event.request.AffectedSOPInstanceUID)) is not None:
        return refusal
    if event.request.EventTypeID not in {commitment_messages.ALL_KEPT, commitment_messages.SOME_FAILED}:
        return NO_SUCH_EVENT_TYPE
    try:
        answer = commitment_messages.read_answer(_data_set(event, "event_information"))
        known = take_answer(runtime.database, runtime.settings, answer, peer=peer, now=runtime.clock())
    except tuple(STATUS_OF) as error:
        log.warning("commitment answer not taken", peer_ae=peer.ae_title, error=type(error).__name__)
        return STATUS_OF[type(error)]
    return SUCCESS if known else UNKNOWN_TRANSACTION


class CommitmentSCP:
    """Handlers of the storage commitment events of all associations of one receiver process."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._told: WeakKeyDictionary[Any, dict[int, Report]] = WeakKeyDictionary()

    @property
    def handlers(self) -> list[tuple[Any, Any]]:
        """What pynetdicom calls, and when."""
        return [
            (evt.EVT_DIMSE_RECV, self._on_message),
            (evt.EVT_N_ACTION, self._on_request),
            (evt.EVT_N_EVENT_REPORT, self._on_answer),
        ]

    def _on_message(self, event: evt.Event) -> None:
        """Make sure that pynetdicom can answer, whatever the UIDs are; note who took our report."""
        command = event.message.command_set
        if isinstance(event.message, N_ACTION_RQ):
            command.RequestedSOPClassUID = commitment_messages.SOP_CLASS
            command.RequestedSOPInstanceUID = _uid_or_none(command.get("RequestedSOPInstanceUID"))
        elif isinstance(event.message, N_EVENT_REPORT_RQ):
            command.AffectedSOPClassUID = commitment_messages.SOP_CLASS
            command.AffectedSOPInstanceUID = _uid_or_none(command.get("AffectedSOPInstanceUID"))
        elif isinstance(event.message, N_EVENT_REPORT_RSP) and command.get("Status") == SUCCESS:
            report = self._told.get(event.assoc, {}).pop(command.get("MessageIDBeingRespondedTo"), None)
            if report is not None:
                self._was_reported(report)

    def _on_answer(self, event: evt.Event) -> tuple[int, None]:
        return answer_status(event, self._runtime, _peer(event)), None

    def _on_request(self, event: evt.Event) -> tuple[int, None]:
        status = _misaddressed(event.request.RequestedSOPInstanceUID)
        if status is None and event.action_type != commitment_messages.REQUEST:
            status = NO_SUCH_ACTION
        try:
            if status is None:
                self._accept(event)
                return SUCCESS, None
        except tuple(STATUS_OF) as error:
            status = STATUS_OF[type(error)]
        detail = {"status": f"0x{status:04X}"}
        self._runtime.recorder.defer(
            "commitment.refused", "refused", **Peer.of(event.assoc).columns, detail=detail
        )
        return status, None

    def _accept(self, event: evt.Event) -> None:
        """Record what was asked; once that is durable the peer may rely on an answer."""
        transaction_uid, references = commitment_messages.read_request(_data_set(event, "action_information"))
        peer, now = _peer(event), self._runtime.clock()
        with self._runtime.database.transaction() as session:
            if commitments.owed(session, peer.ae_title) >= MAX_REPORTS_OWED:
                raise TooManyReferences
            report = commitments.request_report(
                session,
                transaction_uid,
                references,
                peer_ae=peer.ae_title,
                peer_ip=peer.ip,
                next_attempt_at=now + timedelta(seconds=WORKER_TAKES_OVER_S),
                now=now,
            )
        context_id = event.context.context_id
        # Not here: the response to this request has to go first.
        timer = threading.Timer(PEER_STAYS_S, self._report, (event.assoc, context_id, report))
        timer.daemon = True
        timer.start()

    def _report(self, association: Any, context_id: int, report: Report) -> None:
        """Report on the peer's own association while it stands; else the worker will.

        The response is not waited for (see `_on_message`), so that a peer that does not want the
        report here can go on or release.
        """
        if not association.is_established:
            return
        try:
            with self._runtime.database.read() as session:
                event_type, ds = commitment_messages.answer_data_set(our_answer(session, report))
        except StoreUnavailable as error:
            log.warning("commitment report waits", error=str(error))
            return
        message = _event_report(association, context_id, event_type, ds)
        message.MessageID = report.id % MESSAGE_IDS
        self._told.setdefault(association, {})[message.MessageID] = report
        association.dimse.send_msg(message, context_id)

    def _was_reported(self, report: Report) -> None:
        try:
            with self._runtime.database.transaction() as session:
                commitments.reported(session, report, now=self._runtime.clock())
        except StoreUnavailable as error:
            log.warning("commitment report will be repeated", error=str(error))


def _event_report(association: Any, context_id: int, event_type: int, ds: Dataset) -> N_EVENT_REPORT:
    contexts = {each.context_id: each for each in association.accepted_contexts}
    syntax = contexts[context_id].transfer_syntax[0]
    message = N_EVENT_REPORT()
    message.AffectedSOPClassUID, message.AffectedSOPInstanceUID = (
        commitment_messages.SOP_CLASS,
        commitment_messages.SOP_INSTANCE,
    )
    message.EventTypeID = event_type
    message.EventInformation = BytesIO(encode(ds, syntax.is_implicit_VR, syntax.is_little_endian) or b"")
    return message


def _misaddressed(instance: str) -> int | None:
    return None if instance == commitment_messages.SOP_INSTANCE else NO_SUCH_INSTANCE


def _data_set(event: evt.Event, name: str) -> Dataset:
    try:
        ds: Dataset = getattr(event, name)
    except PARSER_ERRORS as error:
        raise Unparsable(type(error).__name__) from error
    return ds


def _peer(event: evt.Event) -> Peer:
    peer = Peer.of(event.assoc)
    return replace(peer, ae_title=peer.ae_title.strip())


def _uid_or_none(value: object) -> UID:
    try:
        return UID(check_uid(str(value or "")))
    except InvalidUID:
        return commitment_messages.NO_UID
