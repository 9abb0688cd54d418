"""One peer, asked to answer or to store: every way it can go is a value, never an exception."""

import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from socket import SHUT_RDWR
from typing import Any

from pydicom import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info
from pynetdicom import AE, _config
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext, build_context
from pynetdicom.sop_class import Verification
from pynetdicom.transport import AssociationSocket

from dicom_node.errors import SettingsError
from dicom_node.network.tls import client_context
from dicom_node.settings import Destination, TLSSettings

# The file's own bytes go out, in pieces: nothing is decoded, and what is sent twice is equal.
_config.STORE_SEND_CHUNKED_DATASET = True

UNKNOWN_AE = {(1, 1, 3), (1, 1, 7)}
"""Rejected permanently by the service user: calling, called AE title not recognised (PS3.8 9.3.4).

Other "permanent" rejections are what some peers say when they are busy.
"""
NO_TLS = TLSSettings()
STATUS_SUCCESS = 0x0000
STATUS_DUPLICATE_SOP_INSTANCE = 0x0111


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """The peer has it; a status other than 0x0000 is a warning (0xBxxx) or "had it already" (0x0111)."""

    status: int


@dataclass(frozen=True, kw_only=True)
class Refused:
    """The peer answered with a failure status (PS3.4 B.2.3, PS3.7 Annex C).

    Its Error Comment is not kept: it may quote the patient's data.
    """

    status: int

    def __str__(self) -> str:
        return f"refused with status 0x{self.status:04X}"


@dataclass(frozen=True, kw_only=True)
class Unreachable:
    """No answer: no connection, association rejected or aborted, or a timeout."""

    why: str

    def __str__(self) -> str:
        return self.why


@dataclass(frozen=True, kw_only=True)
class Unwelcome:
    """The peer rejected the association for good: it does not know one of the AE titles (PS3.8 9.3.4)."""

    why: str

    def __str__(self) -> str:
        return self.why


@dataclass(frozen=True, kw_only=True)
class Unsupported:
    """The peer does not take this SOP class in this transfer syntax."""

    why: str

    def __str__(self) -> str:
        return self.why


@dataclass(frozen=True, kw_only=True)
class Unreadable:
    """The file to be sent is missing or no DICOM file."""

    why: str

    def __str__(self) -> str:
        return self.why


NotAssociated = Unreachable | Unwelcome | Unsupported
Outcome = Accepted | Refused | NotAssociated | Unreadable


def echo(peer: Destination, *, calling_ae: str, tls: TLSSettings = NO_TLS) -> Outcome:
    """Ask the peer for a sign of life (C-ECHO); `tls` is for a peer with `tls = true`."""
    with associated(peer, [build_context(Verification)], calling_ae=calling_ae, tls=tls) as association:
        if isinstance(association, NotAssociated):
            return association
        return outcome_of(association.send_c_echo())


def send_objects(
    peer: Destination, paths: Sequence[Path], *, calling_ae: str, tls: TLSSettings = NO_TLS
) -> Generator[Outcome]:
    """Send files in order over one association, yielding what became of each as soon as it is known.

    Exactly the SOP classes and transfer syntaxes of the files are proposed, one presentation
    context each, so that the peer can refuse one without refusing the others.
    """
    contexts = [_context(path) for path in paths]
    proposals = {_pair(context): context for context in contexts if isinstance(context, PresentationContext)}
    if not proposals:
        yield from (context for context in contexts if isinstance(context, Unreadable))
        return
    with associated(peer, list(proposals.values()), calling_ae=calling_ae, tls=tls) as association:
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
        # The peer left between the check above and the request.
        return Unreachable(why="the association ended before this object was sent")


def outcome_of(answer: Dataset) -> Outcome:
    """Return what an answer means; an empty one means that none came."""
    if "Status" not in answer:
        return Unreachable(why="the association was aborted or timed out before the answer came")
    return classified(int(answer.Status))


def classified(status: int) -> Accepted | Refused:
    """Sort a status into kept by the peer, and not (PS3.4 B.2.3, PS3.7 Annex C)."""
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
    """SOP class and transfer syntax; a proposal of ours holds one of each."""
    return str(context.abstract_syntax), str(context.transfer_syntax[0])


class _Socket(AssociationSocket):
    """A socket that is closed however the connection ended, and that knows why there was none.

    pynetdicom forgets to close it when the peer is gone, because it calls shutdown() first, which fails.
    """

    failure: BaseException | None = None

    def _shutdown_socket(self) -> None:
        # Without a connection, pynetdicom calls this while it handles the error.
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
def associated(
    peer: Destination,
    contexts: list[PresentationContext],
    *,
    calling_ae: str,
    tls: TLSSettings = NO_TLS,
    **options: Any,
) -> Generator[Association | NotAssociated]:
    """Open an association for the block, or say why there is none; `options` are pynetdicom's."""
    ae = _AE(calling_ae)
    ae.connection_timeout = ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = peer.timeout_s
    try:
        options["tls_args"] = (client_context(tls), peer.host) if peer.tls else None
        association = ae.associate(peer.host, peer.port, contexts, ae_title=peer.ae_title, **options)
    except (OSError, SettingsError) as error:
        yield Unreachable(why=f"{peer.host}: {getattr(error, 'strerror', None) or error}")
        return
    try:
        yield association if association.is_established else _why_not(association, ae.connection, peer)
    finally:
        if association.is_established:
            association.release()
        association.dul.join(peer.timeout_s)
        ae.connection._shutdown_socket()  # noqa: SLF001 - our own


def _why_not(association: Association, connection: _Socket, peer: Destination) -> NotAssociated:
    if association.rejected_contexts:
        return _not_accepted(association.rejected_contexts)
    if association.is_rejected:
        answer = association.acceptor.primitive
        why = f"association rejected: {answer.result_str}, {answer.reason_str}"
        unknown_ae = (answer.result, answer.result_source, answer.diagnostic) in UNKNOWN_AE
        return Unwelcome(why=why) if unknown_ae else Unreachable(why=why)
    why = f"no association with {peer.ae_title} at {peer.host}:{peer.port}"
    return Unreachable(why=f"{why}: {connection.failure}" if connection.failure else why)


def _not_accepted(contexts: Sequence[PresentationContext]) -> Unsupported:
    pairs = [f"{context.abstract_syntax} in {context.transfer_syntax[0]}" for context in contexts]
    return Unsupported(why=f"not accepted by the peer: {', '.join(pairs)}")
