"""Storage commitment in the receiver: N-ACTION requests of peers, N-EVENT-REPORTs of destinations."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
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
from store.files.uids import check_uid
from store.rows import commitment_reports
from store.rows.commitment_reports import CommitmentReport

SUCCESS = 0x0000
UNKNOWN_TRANSACTION = 0x0110  # Processing failure
NO_SUCH_INSTANCE = 0x0112
NO_SUCH_EVENT_TYPE = 0x0113
EVENT_TYPES = {commitment_messages.EVENT_TYPE_SUCCESSFUL, commitment_messages.EVENT_TYPE_FAILURES_EXIST}
NO_SUCH_ACTION = 0x0123
STATUS_OF: dict[type[Exception], int] = {
    StoreUnavailable: 0x0213,  # Resource limitation
    TooManyReferences: 0x0213,
    InvalidUID: 0x0115,  # Invalid argument value
    Unparsable: 0x0115,
}
"""DIMSE status of an N-ACTION or N-EVENT-REPORT response by error (PS3.7 Annex C)."""

REPORT_DELAY_S = 0.5
"""Between the N-ACTION response and the report on the same association, if that is still open then."""
WORKER_TAKES_OVER_S = 10.0
"""After this time without success the worker sends the report on an association of its own."""
MESSAGE_IDS = 1 << 16
MAX_PENDING_REPORTS = 200
"""PENDING reports per AE title; further requests are refused."""

log = structlog.get_logger(__name__)


def answer_status(event: evt.Event, runtime: Runtime, peer: Peer) -> int:
    """Apply the answer in an N-EVENT-REPORT request; return the DIMSE status of the response."""
    if (refusal := _misaddressed(event.request.AffectedSOPInstanceUID)) is not None:
        return refusal
    if event.request.EventTypeID not in EVENT_TYPES:
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
        self._sent: WeakKeyDictionary[Any, dict[int, CommitmentReport]] = WeakKeyDictionary()
        """Per association, the reports without a response yet, by Message ID."""

    @property
    def handlers(self) -> list[tuple[evt.EventType, Callable[[evt.Event], Any]]]:
        """The pynetdicom events with their handlers."""
        return [
            (evt.EVT_DIMSE_RECV, self._on_message),
            (evt.EVT_N_ACTION, self._on_request),
            (evt.EVT_N_EVENT_REPORT, self._on_answer),
        ]

    def _on_message(self, event: evt.Event) -> None:
        """Replace UIDs that keep pynetdicom from answering; take the responses to our reports."""
        command = event.message.command_set
        if isinstance(event.message, N_ACTION_RQ):
            command.RequestedSOPClassUID = commitment_messages.SOP_CLASS
            command.RequestedSOPInstanceUID = _uid_or_none(command.get("RequestedSOPInstanceUID"))
        elif isinstance(event.message, N_EVENT_REPORT_RQ):
            command.AffectedSOPClassUID = commitment_messages.SOP_CLASS
            command.AffectedSOPInstanceUID = _uid_or_none(command.get("AffectedSOPInstanceUID"))
        elif isinstance(event.message, N_EVENT_REPORT_RSP) and command.get("Status") == SUCCESS:
            report = self._sent.get(event.assoc, {}).pop(command.get("MessageIDBeingRespondedTo"), None)
            if report is not None:
                self._was_reported(report)

    def _on_answer(self, event: evt.Event) -> tuple[int, None]:
        return answer_status(event, self._runtime, Peer.of(event.assoc)), None

    def _on_request(self, event: evt.Event) -> tuple[int, None]:
        status = _misaddressed(event.request.RequestedSOPInstanceUID)
        if status is None and event.action_type != commitment_messages.ACTION_TYPE_REQUEST:
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
        """Record a request and schedule its report; the response is sent after the commit."""
        transaction_uid, references = commitment_messages.read_request(_data_set(event, "action_information"))
        peer, now = Peer.of(event.assoc), self._runtime.clock()
        with self._runtime.database.transaction() as session:
            if commitment_reports.count_pending(session, peer.ae_title) >= MAX_PENDING_REPORTS:
                raise TooManyReferences
            report = commitment_reports.add(
                session,
                transaction_uid,
                references,
                peer_ae=peer.ae_title,
                peer_ip=peer.ip,
                next_attempt_at=now + timedelta(seconds=WORKER_TAKES_OVER_S),
                now=now,
            )
        report_now = partial(self._report, event.assoc, event.context.context_id, report)
        event.assoc.dimse.call_later(REPORT_DELAY_S, report_now)

    def _report(self, association: Any, context_id: int, report: CommitmentReport) -> None:
        """Send a report on the association of the request if it is still open; else the worker sends it.

        Runs in the thread of the association, which sends everything else too: fragments of two messages
        must not be mixed (PS3.8 7.6).
        The response is taken in `_on_message` and not waited for, so that the peer may go on with other
        requests or release the association.
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
        self._sent.setdefault(association, {})[message.MessageID] = report
        association.dimse.send_msg(message, context_id)

    def _was_reported(self, report: CommitmentReport) -> None:
        try:
            with self._runtime.database.transaction() as session:
                commitment_reports.reported(session, report, now=self._runtime.clock())
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
    """Return the status for a request to another than the well-known SOP Instance; None for that one."""
    return None if instance == commitment_messages.SOP_INSTANCE else NO_SUCH_INSTANCE


def _data_set(event: evt.Event, name: str) -> Dataset:
    try:
        ds: Dataset = getattr(event, name)
    except PARSER_ERRORS as error:
        raise Unparsable(type(error).__name__) from error
    return ds


def _uid_or_none(value: object) -> UID:
    try:
        return UID(check_uid(str(value or "")))
    except InvalidUID:
        return commitment_messages.NO_UID
