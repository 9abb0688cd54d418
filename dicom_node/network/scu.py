"""C-ECHO and C-STORE to one peer; every outcome is a value, no exception is raised."""

import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from socket import SHUT_RDWR
from typing import Any

from pydicom import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info
from pynetdicom import AE, _config, evt
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import SCP_SCU_RoleSelectionNegotiation
from pynetdicom.presentation import PresentationContext, build_context
from pynetdicom.sop_class import Verification
from pynetdicom.transport import AssociationSocket

from dicom_node.errors import SettingsError
from dicom_node.network.tls import client_context
from dicom_node.settings.sections import Destination, TLSSettings

# Send the bytes of the file in fragments without decoding them, so that every attempt sends equal bytes.
_config.STORE_SEND_CHUNKED_DATASET = True

UNKNOWN_AE = {(1, 1, 3), (1, 1, 7)}
"""Result, source and reason of an A-ASSOCIATE-RJ (PS3.8 9.3.4): rejected permanently by the service user,
calling or called AE title not recognized. Some peers send other permanent rejections when they are busy."""
NO_TLS = TLSSettings()
STATUS_SUCCESS = 0x0000
STATUS_DUPLICATE_SOP_INSTANCE = 0x0111


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """The peer has the object: success (0x0000), a warning (0xBxxx) or "duplicate SOP instance" (0x0111)."""

    status: int


@dataclass(frozen=True, kw_only=True)
class Refused:
    """The peer answered with a failure status (PS3.4 B.2.3, PS3.7 Annex C).

    The Error Comment is left out: it may quote patient data.
    """

    status: int

    def __str__(self) -> str:
        return f"refused with status 0x{self.status:04X}"


@dataclass(frozen=True, kw_only=True)
class _NoResponse:
    """The peer did not answer the request, for a reason in words."""

    why: str

    def __str__(self) -> str:
        return self.why


class Unreachable(_NoResponse):
    """No connection, association rejected for now or aborted, or a timeout."""


class UnknownAETitle(_NoResponse):
    """The peer rejected the association because it does not know one of the AE titles, see `UNKNOWN_AE`."""


class Unsupported(_NoResponse):
    """The peer rejected the presentation context of this SOP class and transfer syntax."""


class Unreadable(_NoResponse):
    """The file to be sent is missing or not a DICOM file."""


NotAssociated = Unreachable | UnknownAETitle | Unsupported
Outcome = Accepted | Refused | NotAssociated | Unreadable


def echo(peer: Destination, *, calling_ae: str, tls: TLSSettings = NO_TLS) -> Outcome:
    """Send a C-ECHO; `tls` is used for a peer with `tls = true`."""
    with open_association(peer, [build_context(Verification)], calling_ae=calling_ae, tls=tls) as association:
        if isinstance(association, NotAssociated):
            return association
        return outcome_of(association.send_c_echo())


def send_objects(
    peer: Destination, paths: Sequence[Path], *, calling_ae: str, tls: TLSSettings = NO_TLS
) -> Generator[Outcome]:
    """Send files in order over one association (C-STORE), yielding the outcome of each after its response.

    Each pair of SOP class and transfer syntax among the files is proposed in a presentation context of
    its own, so that the peer can reject one without the others.
    """
    contexts = [_context(path) for path in paths]
    proposals = {_pair(context): context for context in contexts if isinstance(context, PresentationContext)}
    if not proposals:
        yield from (context for context in contexts if isinstance(context, Unreadable))
        return
    contexts_proposed = list(proposals.values())
    with open_association(peer, contexts_proposed, calling_ae=calling_ae, tls=tls) as association:
        for path, context in zip(paths, contexts, strict=True):
            if isinstance(context, Unreadable):
                yield context
            elif isinstance(association, NotAssociated):
                yield association
            else:
                yield _send_object(association, path, context)


def _send_object(association: Association, path: Path, context: PresentationContext) -> Outcome:
    if not association.is_established:
        return Unreachable(why="the association ended before this object was sent")
    if _pair(context) not in {_pair(accepted) for accepted in association.accepted_contexts}:
        return _not_accepted([context])
    try:
        return outcome_of(association.send_c_store(path))
    except RuntimeError:
        # pynetdicom's error when the association ended since the check above.
        return Unreachable(why="the association ended before this object was sent")


def outcome_of(response: Dataset) -> Outcome:
    """Return the outcome for a response of pynetdicom; an empty data set means that none came."""
    if "Status" not in response:
        return Unreachable(why="the association was aborted or timed out before the answer came")
    return outcome_of_status(int(response.Status))


def outcome_of_status(status: int) -> Accepted | Refused:
    """Return the outcome for a DIMSE status (PS3.4 B.2.3, PS3.7 Annex C)."""
    if status in (STATUS_SUCCESS, STATUS_DUPLICATE_SOP_INSTANCE) or status >> 12 == 0xB:  # noqa: PLR2004 - 0xBxxx
        return Accepted(status=status)
    return Refused(status=status)


def _context(path: Path) -> PresentationContext | Unreadable:
    try:
        meta = read_file_meta_info(path)
        return build_context(meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID)
    except (OSError, InvalidDicomError, AttributeError, ValueError) as error:
        return Unreadable(why=f"{type(error).__name__}: {error}")


def _pair(context: PresentationContext) -> tuple[str, str]:
    """Return SOP class and transfer syntax of a context proposed by this module, which has one of each."""
    return str(context.abstract_syntax), str(context.transfer_syntax[0])


class _Socket(AssociationSocket):
    """A socket that is always closed, and that keeps the error of a failed connection.

    pynetdicom calls shutdown() before close(); shutdown() raises when the peer has closed the connection.
    """

    failure: BaseException | None = None

    def _shutdown_socket(self) -> None:
        # When connecting fails, pynetdicom calls this while it handles the exception.
        self.failure = sys.exception() or self.failure
        if self.socket is not None:
            with suppress(OSError):
                self.socket.shutdown(SHUT_RDWR)
            self.socket.close()


class _AE(AE):
    """An AE that keeps the socket of its association in `connection`."""

    def _create_socket(self, association: Any, address: Any, tls_args: Any) -> AssociationSocket:
        self.connection = _Socket(association, address=address)
        self.connection.tls_args = tls_args
        return self.connection


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
    ae.connection_timeout = ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = peer.timeout_s
    try:
        association = ae.associate(
            peer.host,
            peer.port,
            contexts,
            ae_title=peer.ae_title,
            ext_neg=list(roles),
            evt_handlers=list(handlers),
            tls_args=(client_context(tls), peer.host) if peer.tls else None,
        )
    except (OSError, SettingsError) as error:
        yield Unreachable(why=f"{peer.host}: {getattr(error, 'strerror', None) or error}")
        return
    try:
        yield association if association.is_established else _failure(association, ae.connection, peer)
    finally:
        if association.is_established:
            association.release()
        association.dul.join(peer.timeout_s)
        ae.connection._shutdown_socket()  # noqa: SLF001 - defined above


def _failure(association: Association, connection: _Socket, peer: Destination) -> NotAssociated:
    if association.rejected_contexts:
        return _not_accepted(association.rejected_contexts)
    if association.is_rejected:
        answer = association.acceptor.primitive
        why = f"association rejected: {answer.result_str}, {answer.reason_str}"
        unknown_ae = (answer.result, answer.result_source, answer.diagnostic) in UNKNOWN_AE
        return UnknownAETitle(why=why) if unknown_ae else Unreachable(why=why)
    why = f"no association with {peer.ae_title} at {peer.host}:{peer.port}"
    return Unreachable(why=f"{why}: {connection.failure}" if connection.failure else why)


def _not_accepted(contexts: Sequence[PresentationContext]) -> Unsupported:
    pairs = [f"{context.abstract_syntax} in {context.transfer_syntax[0]}" for context in contexts]
    return Unsupported(why=f"not accepted by the peer: {', '.join(pairs)}")
