"""Associations that this node opens; whatever the peer answers, the outcome is a value."""

import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any

import structlog
from pydicom import Dataset
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import SCP_SCU_RoleSelectionNegotiation
from pynetdicom.presentation import PresentationContext
from pynetdicom.transport import AssociationSocket

from dicom_node.errors import SettingsError
from dicom_node.network.association_pdus import readable_answer, readable_rejection
from dicom_node.network.names import NAMES
from dicom_node.network.outcomes import (
    NotAssociated,
    Outcome,
    UnknownAETitle,
    Unreachable,
    Unsupported,
    outcome_of,
)
from dicom_node.network.tls import client_context
from dicom_node.network.upper_layer import (
    ABORT,
    ASSOCIATE_AC,
    ASSOCIATE_RJ,
    BoundedSocket,
    BoundedUpperLayer,
)
from dicom_node.settings.sections import Destination, TLSSettings

UNKNOWN_AE = {(1, 1, 3), (1, 1, 7)}
"""Result, source and reason of an A-ASSOCIATE-RJ (PS3.8 9.3.4): rejected permanently by the service user,
calling or called AE title not recognized. Some peers send other permanent rejections when they are busy."""
NO_TLS = TLSSettings()
MAX_PDU_BYTES = 16_382
"""Of a PDU that a peer may send to us; responses are small."""

log = structlog.get_logger(__name__)


class _Socket(BoundedSocket):
    """The connection to an acceptor, which keeps the error of a failed attempt to connect."""

    failure: BaseException | None = None

    def _shutdown_socket(self) -> None:
        # When connecting fails, pynetdicom calls this while it handles the exception.
        self.failure = sys.exception() or self.failure
        super()._shutdown_socket()


class _UpperLayer(BoundedUpperLayer):
    """The upper layer service provider (PS3.8) of one association in which this node is the requestor."""

    FIRST_PDUS = (ASSOCIATE_AC, ASSOCIATE_RJ, ABORT)
    rejection: tuple[int, int, int] | None = None
    """Result, source and reason of an A-ASSOCIATE-RJ as they came; pynetdicom takes only listed ones."""

    def decoded(self, received: bytes) -> tuple[Any, str]:
        """Decode a PDU, as `BoundedUpperLayer.decoded`."""
        if received[0] == ASSOCIATE_AC:
            received = readable_answer(received)
        elif received[0] == ASSOCIATE_RJ:
            received, self.rejection = readable_rejection(received)
        return super().decoded(received)


class _AE(AE):
    """An AE whose associations have the upper layer of this module; keeps the last one."""

    opened: Association | None = None
    timeout_s: float

    def _create_socket(self, association: Any, address: Any, tls_args: Any) -> AssociationSocket:
        association.dul = _UpperLayer(association, max_pdu_bytes=MAX_PDU_BYTES, pdu_timeout_s=self.timeout_s)
        # Set again: the setters pass the values to timers of the new `dul`.
        association.acse_timeout = association.network_timeout = self.timeout_s
        connection = _Socket(association, address=address)
        connection.tls_args, connection.timeout_s = tls_args, self.timeout_s
        self.opened, self.connection = association, connection
        return connection


@contextmanager
def open_association(
    peer: Destination,
    contexts: list[PresentationContext],
    *,
    calling_ae: str,
    tls: TLSSettings = NO_TLS,
    roles: Sequence[SCP_SCU_RoleSelectionNegotiation] = (),
    handlers: Sequence[tuple[evt.EventType, Callable[[evt.Event], Any]]] = (),
) -> Generator[Association | NotAssociated]:
    """Open an association as requestor for the block, or yield why there is none.

    Args:
        peer: the acceptor.
        contexts: the proposed presentation contexts.
        calling_ae: AE title of this node.
        tls: used for a peer with `tls = true`.
        roles: SCP/SCU role selection (PS3.7 D.3.3.4).
        handlers: pynetdicom events and their handlers.
    """
    ae = _AE(calling_ae)
    ae.timeout_s = peer.timeout_s
    ae.connection_timeout = ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = peer.timeout_s
    try:
        yield _associate(ae, peer, contexts, tls, ext_neg=list(roles), evt_handlers=list(handlers))
    finally:
        _close(ae)


def exchange(association: Association, request: Callable[[], Dataset]) -> Outcome:
    """Send a request over an established association; return the outcome of its response."""
    if not association.is_established:
        return Unreachable(why="the association ended before the request was sent")
    try:
        return outcome_of(request())
    except Exception as error:  # noqa: BLE001 - pynetdicom raises any type on unexpected responses
        log.warning("request failed", error=type(error).__name__)
        # After an error inside pynetdicom the association may be out of step.
        association.abort()
        return Unreachable(why=f"the association failed: {type(error).__name__}")


def _associate(
    ae: _AE, peer: Destination, contexts: list[PresentationContext], tls: TLSSettings, **options: Any
) -> Association | NotAssociated:
    try:
        association = ae.associate(
            NAMES.addresses(peer.host)[0],
            peer.port,
            contexts,
            ae_title=peer.ae_title,
            max_pdu=MAX_PDU_BYTES,
            tls_args=(client_context(tls), peer.host) if peer.tls else None,
            **options,
        )
        return association if association.is_established else _failure(association, ae.connection, peer)
    except (OSError, SettingsError) as error:
        return Unreachable(why=f"{peer.host}: {getattr(error, 'strerror', None) or error}")
    except Exception as error:  # noqa: BLE001 - pynetdicom raises any type on unexpected answers
        return Unreachable(why=f"no association with {peer.ae_title}: {type(error).__name__}")


def _close(ae: _AE) -> None:
    association = ae.opened
    if association is None:
        return
    if association.is_established:
        association.release()
    association.dul.kill_dul()
    if association.dul.is_alive():
        association.dul.join(ae.timeout_s)
    ae.connection._shutdown_socket()  # noqa: SLF001 - defined above


def _failure(association: Association, connection: _Socket, peer: Destination) -> NotAssociated:
    if association.rejected_contexts:
        return not_accepted(association.requestor.requested_contexts)
    if (rejection := association.dul.rejection) is not None:
        answer = association.acceptor.primitive
        why = f"association rejected: {answer.result_str}, {answer.reason_str} {rejection}"
        return UnknownAETitle(why=why) if rejection in UNKNOWN_AE else Unreachable(why=why)
    found = connection.failure or association.dul.end_reason
    why = f"no association with {peer.ae_title} at {peer.host}:{peer.port}"
    return Unreachable(why=f"{why}: {found}" if found else why)


def not_accepted(contexts: Sequence[PresentationContext]) -> Unsupported:
    """Return the outcome for contexts of which the peer accepted none."""
    pairs = [f"{context.abstract_syntax} in {context.transfer_syntax[0]}" for context in contexts]
    return Unsupported(why=f"not accepted by the peer: {', '.join(pairs)}")
