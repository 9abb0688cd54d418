"""A sender that may misbehave: associations, C-STORE of any bytes under any UIDs."""

# ruff: noqa: SLF001 - a hostile sender goes past pynetdicom's own checks

import json
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset
from pydicom.filereader import read_file_meta_info
from pydicom.uid import UID, ExplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import encode
from pynetdicom.pdu_primitives import P_DATA
from pynetdicom.presentation import PresentationContext, build_context

from support.wait import wait_for


@contextmanager
def association(
    port: int, *contexts: PresentationContext, called: str = "ECHONODE", **options: Any
) -> Iterator[Association]:
    """Open an association with the given contexts; it is released at the end if it still stands."""
    ae = AE("SCANNER")
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 30
    opened = ae.associate("127.0.0.1", port, contexts=list(contexts), ae_title=called, **options)
    connection = opened.dul.socket and opened.dul.socket.socket
    try:
        yield opened
    finally:
        if opened.is_established:
            opened.release()
        if connection:
            connection.close()  # pynetdicom forgets to when the peer was first


def contexts_of(*datasets: Dataset, syntax: str = ExplicitVRLittleEndian) -> list[PresentationContext]:
    """Return one context per SOP class of the data sets."""
    return [build_context(sop_class, syntax) for sop_class in sorted({ds.SOPClassUID for ds in datasets})]


def push(port: int, *datasets: Dataset) -> list[int | None]:
    """Send data sets in one association and return the status of each; None for no answer."""
    with association(port, *contexts_of(*datasets)) as opened:
        assert opened.is_established
        return [opened.send_c_store(ds).get("Status") for ds in datasets]


def encoded(ds: Dataset, syntax: str = ExplicitVRLittleEndian) -> bytes:
    """Return the bytes of a data set in a transfer syntax."""
    uid = UID(syntax)
    data = encode(ds, uid.is_implicit_VR, uid.is_little_endian, uid.is_deflated)
    assert data is not None
    return data


def fragments(
    opened: Association, data: bytes, *, sop_class: str | None, sop_instance: str | None, context: int = 0
) -> list[P_DATA]:
    """Return the P-DATA requests of a C-STORE of any bytes under any UIDs; `context` counts the accepted."""
    request = C_STORE()
    request.MessageID = 1
    request.Priority = 0x0002
    request._affected_sop_class_uid = None if sop_class is None else UID(sop_class)
    request._affected_sop_instance_uid = None if sop_instance is None else UID(sop_instance)
    request.DataSet = BytesIO(data)
    message = C_STORE_RQ()
    message.primitive_to_message(request)
    if not data:
        message.command_set.CommandDataSetType = 0x0101  # no data set (PS3.7 E.1)
    context_id = opened.accepted_contexts[context].context_id
    return list(message.encode_msg(context_id, opened.dimse.maximum_pdu_size))


@contextmanager
def paused(opened: Association) -> Iterator[None]:
    """Keep pynetdicom from taking the answers that the test waits for."""
    opened._reactor_checkpoint.clear()
    wait_for(lambda: opened._is_paused, "the reactor to pause")
    yield
    opened._reactor_checkpoint.set()


def status_of_answer(opened: Association) -> int | None:
    """Wait for the answer to a C-STORE; None when the association ended instead."""
    _, answer = opened.dimse.get_msg(block=True)
    return None if answer is None else answer.Status


def store_raw(opened: Association, data: bytes, **about: Any) -> int | None:
    """Send a C-STORE of any bytes under any UIDs, see `fragments`; returns its status."""
    with paused(opened):
        for fragment in fragments(opened, data, **about):
            opened.dul.send_pdu(fragment)
        return status_of_answer(opened)


def data_set_bytes(path: Path) -> bytes:
    """Return what follows the file meta information of a DICOM file."""
    meta = read_file_meta_info(path)
    return path.read_bytes()[144 + meta.FileMetaInformationGroupLength :]


def log_lines(text: str) -> list[dict[str, Any]]:
    """Return the JSON log lines of a process."""
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]
