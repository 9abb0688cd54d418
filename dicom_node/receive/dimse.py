"""DIMSE messages whose C-STORE data sets are written to disk fragment by fragment.

In pynetdicom's own chunked mode a full disk or an invalid UID aborts the association. Here the requestor
gets a DIMSE status (PS3.4 B.2.3) and can go on with its next object.
"""

import os
import re
import tempfile
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

from pydicom.dataset import FileMetaDataset
from pynetdicom import evt
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.dimse_messages import C_STORE_RQ, N_ACTION_RQ, N_EVENT_REPORT_RQ, DIMSEMessage
from pynetdicom.dimse_primitives import C_CANCEL, C_STORE, N_EVENT_REPORT
from pynetdicom.dsutils import encode_file_meta

from dicom_node.errors import ProtocolViolation, Unparsable
from dicom_node.identity import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from store.errors import InvalidUID, StoreError, StoreUnavailable
from store.files.uids import check_uid

IN_MEMORY = (N_ACTION_RQ, N_EVENT_REPORT_RQ)
MAX_IN_MEMORY_BYTES = 2 << 20
"""Of a storage commitment data set: 10,000 references of up to 168 bytes each fit."""
ROOM_STEP_BYTES = 4 << 20
"""Bytes written between two checks of the free disk space."""
MAX_COMMAND_BYTES = 64 * 1024
"""Of a command set; real ones have a few hundred bytes."""


class IncomingDataSet(BytesIO):
    """The data set of one message, to which pynetdicom writes fragments: a file for a C-STORE request.

    `write` runs in pynetdicom's network thread; errors of disk and UIDs are raised by `finish`.
    """

    def __init__(
        self,
        message: Any,
        association: Any,
        folder: Path,
        *,
        require_room: Callable[[], None],
        max_bytes: int,
    ) -> None:
        super().__init__()
        self._require_room = require_room
        self._unchecked_bytes = 0
        self._message = message
        self._association = association
        self._folder = folder
        self._max_bytes = max_bytes
        self._received_bytes = 0
        self._descriptor: int | None = None
        self._path: Path | None = None
        self._error: StoreError | None = None
        self._is_too_large = False

    def write(self, fragment: Any) -> int:
        """Append a fragment; the first one of a C-STORE request creates the file.

        Raises:
            ProtocolViolation: the data set exceeds `max_bytes`. A DIMSE status is no help here: the
                requestor reads it only after its last fragment.
        """
        self._received_bytes += len(fragment)
        if self._received_bytes > self._max_bytes:
            raise ProtocolViolation(f"a data set of more than {self._max_bytes} bytes")
        if isinstance(self._message, IN_MEMORY):
            self._write_in_memory(fragment)
        elif isinstance(self._message, C_STORE_RQ) and self._error is None:
            try:
                self._append(fragment)
            except OSError as error:
                self._error = StoreUnavailable(f"{error.strerror}: incoming")
                self.discard()
            except StoreUnavailable as error:
                self._error = error
                self.discard()
            except InvalidUID as error:
                self._error = error
        return len(fragment)

    def finish(self) -> Path:
        """Close the file and return its path; the caller moves it away or calls `discard`.

        Raises:
            StoreUnavailable: the disk is full or failing.
            InvalidUID: SOP Class or SOP Instance UID of the request is invalid; nothing was written.
            Unparsable: the request has no data set.
        """
        self._close()
        if self._error is not None:
            raise self._error
        if self._path is None:
            raise Unparsable("the request came without a data set")
        return self._path

    @property
    def has_file(self) -> bool:
        """True from the first fragment of a C-STORE request until `discard`."""
        return self._path is not None

    def discard(self) -> bool:
        """Remove the file; return whether it existed."""
        self._close()
        path, self._path = self._path, None
        existed = path is not None and path.exists()
        if path is not None:
            path.unlink(missing_ok=True)
        return existed

    def _write_in_memory(self, fragment: bytes) -> None:
        """Keep a data set up to `MAX_IN_MEMORY_BYTES`; a larger one is emptied, and so fails to parse."""
        self._is_too_large |= self.tell() + len(fragment) > MAX_IN_MEMORY_BYTES
        if self._is_too_large:
            self.seek(0)
            self.truncate()
        else:
            super().write(fragment)

    def _append(self, fragment: bytes) -> None:
        self._unchecked_bytes += len(fragment)
        if self._descriptor is None or self._unchecked_bytes >= ROOM_STEP_BYTES:
            self._require_room()
            self._unchecked_bytes = 0
        if self._descriptor is None:
            meta = self._file_meta()
            self._descriptor, name = tempfile.mkstemp(suffix=".part", dir=self._folder)
            self._path = Path(name)
            _write_all(self._descriptor, bytes(128) + b"DICM" + encode_file_meta(meta))
        _write_all(self._descriptor, fragment)

    def _file_meta(self) -> FileMetaDataset:
        command = self._message.command_set
        syntaxes = {
            context.context_id: context.transfer_syntax[0] for context in self._association.accepted_contexts
        }
        meta = FileMetaDataset()
        meta.FileMetaInformationVersion = b"\x00\x01"
        meta.MediaStorageSOPClassUID = check_uid(str(command.get("AffectedSOPClassUID") or ""))
        meta.MediaStorageSOPInstanceUID = check_uid(str(command.get("AffectedSOPInstanceUID") or ""))
        meta.TransferSyntaxUID = syntaxes[self._message.context_id]
        meta.ImplementationClassUID = IMPLEMENTATION_CLASS_UID
        meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME
        # VR AE has no backslash, so that an escaped byte becomes one "?" here; the audit log has the title.
        meta.SourceApplicationEntityTitle = re.sub(r"\\x..", "?", self._association.dul.titles.calling_ae)
        return meta

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


class FileBackedDIMSE(DIMSEServiceProvider):
    """The DIMSE service provider of one association, with an `IncomingDataSet` in every message."""

    def __init__(
        self, association: Any, folder: Path, *, require_room: Callable[[], None], max_object_bytes: int
    ) -> None:
        super().__init__(association)
        self._require_room = require_room
        self.message: DIMSEMessage | None = None
        self._folder = folder
        self._max_object_bytes = max_object_bytes
        self._incoming: list[IncomingDataSet] = []
        self._later: list[tuple[float, Callable[[], None]]] = []

    def call_later(self, delay_s: float, call: Callable[[], None]) -> None:
        """Have the thread of the association call a function; may be called by that thread only."""
        self._later.append((time.monotonic() + delay_s, call))

    def get_msg(self, block: bool = False) -> tuple[int | None, Any]:
        """Return the next request with its context ID, (None, None) if there is none; call what is due."""
        now_s = time.monotonic()
        due = [each for each in self._later if each[0] <= now_s]
        for each in due:
            self._later.remove(each)
            each[1]()
        message: tuple[int | None, Any] = super().get_msg(block)
        return message

    def receive_primitive(self, primitive: Any) -> None:
        """Take a P-DATA indication (PS3.8 7.6); a message that cannot be decoded aborts the association."""
        message = self.message = self.message or self._new_message()
        try:
            if message.decode_msg(primitive, self.assoc):
                self.message = None
                evt.trigger(self.assoc, evt.EVT_DIMSE_RECV, {"message": message})
                self._queue(message.context_id, message.message_to_primitive())
            elif message.encoded_command_set.tell() > MAX_COMMAND_BYTES:
                raise ProtocolViolation(f"a command of more than {MAX_COMMAND_BYTES} bytes")  # noqa: TRY301
        except ProtocolViolation as violation:
            self.dul.end(str(violation))
        except Exception as error:  # noqa: BLE001 - pynetdicom raises any type on malformed bytes
            self.dul.end(f"undecodable message: {type(error).__name__}")

    def _queue(self, context_id: int, message: Any) -> None:
        # C-CANCEL concerns operations with several responses, none of which this node serves (PS3.7 9.3.2.3).
        if isinstance(message, C_CANCEL):
            return
        # The only response to a request of this node as acceptor is that to an N-EVENT-REPORT.
        if not message.is_valid_request and not isinstance(message, N_EVENT_REPORT):
            raise ProtocolViolation("an incomplete request, or an answer to nothing")
        # A C-STORE request of another class than its context's gets a status, see `storage_scp`.
        if message.is_valid_request and not isinstance(message, C_STORE):
            contexts = {each.context_id: each.abstract_syntax for each in self.assoc.accepted_contexts}
            if _sop_class(message) != contexts.get(context_id):
                raise ProtocolViolation("a request for another SOP class than its context is for")
        # pynetdicom would serve each N-EVENT-REPORT in a new thread, without a limit.
        self.msg_queue.put((context_id, message))

    def _new_message(self) -> DIMSEMessage:
        message = DIMSEMessage()
        message.data_set = incoming = IncomingDataSet(
            message,
            self.assoc,
            self._folder,
            require_room=self._require_room,
            max_bytes=self._max_object_bytes,
        )
        self._incoming = [*(known for known in self._incoming if known.has_file), incoming]
        return message

    def discard_unserved(self) -> int:
        """Remove the files of requests without a response; return how many."""
        return sum([incoming.discard() for incoming in self._incoming])


def _sop_class(message: Any) -> Any:
    """Return the Affected or Requested SOP Class UID of a request (PS3.7 9, 10)."""
    return getattr(message, "AffectedSOPClassUID", None) or getattr(message, "RequestedSOPClassUID", None)


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
