"""C-ECHO and C-STORE to one peer; every outcome is a value, no exception is raised."""

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pydicom import dcmread
from pydicom.filereader import read_file_meta_info
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import _config
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext, build_context
from pynetdicom.sop_class import Verification

from dicom_node.network.header import PARSER_ERRORS
from dicom_node.network.outcomes import NotAssociated, NotTried, Outcome, Unreachable, Unreadable
from dicom_node.network.requestor import NO_TLS, exchange, not_accepted, open_association
from dicom_node.settings.sections import Destination, TLSSettings
from store.errors import StoreError
from store.files.digest import data_set_sha256

# Send the bytes of the file in fragments without decoding them, so that every attempt sends equal bytes.
_config.STORE_SEND_CHUNKED_DATASET = True

Pair = tuple[str, str]
"""SOP class and transfer syntax."""


@dataclass(frozen=True, kw_only=True)
class Outgoing:
    """A file to be sent."""

    path: Path
    sha256: str | None = None
    """As of `data_set_sha256`; a file with another digest is damaged and not sent. None: not checked."""


@dataclass(frozen=True, kw_only=True)
class _Sendable:
    """A file that can be sent, and the contexts in which it can be, the preferred one first."""

    path: Path
    contexts: Sequence[PresentationContext]


def echo(peer: Destination, *, calling_ae: str, tls: TLSSettings = NO_TLS) -> Outcome:
    """Send a C-ECHO; `tls` is used for a peer with `tls = true`."""
    with open_association(peer, [build_context(Verification)], calling_ae=calling_ae, tls=tls) as association:
        if isinstance(association, NotAssociated):
            return association
        return exchange(association, association.send_c_echo)


def send_objects(
    peer: Destination, objects: Iterable[Outgoing], *, calling_ae: str, tls: TLSSettings = NO_TLS
) -> Generator[Outcome]:
    """Send files in order over one association (C-STORE), yielding the outcome of each after its response.

    Each pair of SOP class and transfer syntax is proposed in a presentation context of its own, so that
    the peer can reject one without the others. Besides Explicit VR Little Endian the default transfer
    syntax is proposed (PS3.5 10.1); where it alone is accepted, the data set is encoded in it.
    """
    files = [_sendable(each) for each in objects]
    proposals: Mapping[Pair, PresentationContext] = {
        _pair(context): context for each in files if isinstance(each, _Sendable) for context in each.contexts
    }
    if not proposals:
        yield from (each for each in files if isinstance(each, Unreadable | Unreachable))
        return
    with open_association(peer, list(proposals.values()), calling_ae=calling_ae, tls=tls) as association:
        tried = False
        for file in files:
            if not isinstance(file, _Sendable):
                yield file
            elif isinstance(association, NotAssociated):
                yield association
            elif tried and not association.is_established:
                yield NotTried(why="the association ended before this object was sent")
            else:
                tried = True
                yield _send(association, file)


def _send(association: Association, file: _Sendable) -> Outcome:
    accepted = {_pair(context) for context in association.accepted_contexts}
    usable = [context for context in file.contexts if _pair(context) in accepted]
    if not usable:
        return not_accepted(file.contexts)
    if usable[0] is file.contexts[0]:
        return exchange(association, partial(association.send_c_store, file.path))
    try:
        ds = dcmread(file.path)  # pynetdicom encodes it in the accepted transfer syntax
    except PARSER_ERRORS as error:
        return Unreadable(why=f"{type(error).__name__} while reading the file")
    return exchange(association, partial(association.send_c_store, ds))


def _sendable(outgoing: Outgoing) -> _Sendable | Unreadable | Unreachable:
    path = outgoing.path
    try:
        meta = read_file_meta_info(path)
        contexts = _contexts(meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID)
        is_damaged = outgoing.sha256 is not None and data_set_sha256(path) != outgoing.sha256
    except FileNotFoundError:
        return Unreadable(why="the file is gone")
    except (*PARSER_ERRORS, StoreError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            # Of the disk or the process, such as too many open files: it may pass.
            return Unreachable(why=f"the file cannot be read: {error.strerror}")
        return Unreadable(why=f"the file is not a DICOM file: {type(error).__name__}")
    return Unreadable(why="the file is damaged") if is_damaged else _Sendable(path=path, contexts=contexts)


def _contexts(sop_class: str, syntax: str) -> list[PresentationContext]:
    own = build_context(sop_class, syntax)
    return (
        [own, build_context(sop_class, ImplicitVRLittleEndian)] if syntax == ExplicitVRLittleEndian else [own]
    )


def _pair(context: PresentationContext) -> Pair:
    """Return SOP class and transfer syntax of a context proposed by this module, which has one of each."""
    return str(context.abstract_syntax), str(context.transfer_syntax[0])
