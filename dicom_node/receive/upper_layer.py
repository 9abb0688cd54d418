"""The upper layer of an association in which this node is the acceptor."""

import socket
from dataclasses import dataclass
from typing import Any

import structlog
from pynetdicom.pdu import A_ASSOCIATE_AC

from dicom_node.network.association_pdus import CALLED, CALLING, Titles, decoded_request
from dicom_node.network.upper_layer import ASSOCIATE_RQ, BoundedSocket, BoundedUpperLayer

MAX_REQUESTS_WAITING = 8
"""With so many unanswered requests queued, no further PDU is read. Without asynchronous operations
(PS3.7 D.3.3.3) a peer sends one request at a time."""
REQUEST_RECEIVED = "Evt6"
"""Event of the state machine for an A-ASSOCIATE-RQ (PS3.8 table 9-10)."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class UpperLayerLimits:
    """Limits of one connection."""

    max_pdu_bytes: int
    pdu_timeout_s: float
    """From the first to the last byte of a PDU."""
    request_timeout_s: float
    """From connecting to the A-ASSOCIATE-RQ, and for a TLS handshake."""
    max_object_bytes: int
    """Of one data set."""


class AcceptorSocket(BoundedSocket):
    """The connection of a requestor."""

    def __init__(self, association: Any, connection: socket.socket, *, timeout_s: float) -> None:
        super().__init__(association, client_socket=connection)
        self.timeout_s = timeout_s


class AcceptorUpperLayer(BoundedUpperLayer):
    """The upper layer service provider (PS3.8) of one association in which this node is the acceptor."""

    FIRST_PDUS = (ASSOCIATE_RQ,)

    def __init__(self, association: Any, limits: UpperLayerLimits) -> None:
        super().__init__(association, max_pdu_bytes=limits.max_pdu_bytes, pdu_timeout_s=limits.pdu_timeout_s)
        self.titles: Titles | None = None
        """Of the request; None until it was received."""

    def run_reactor(self) -> None:
        """Serve the connection to its end; then close it and wake the thread that waits for primitives."""
        try:
            super().run_reactor()
        except Exception:
            log.exception("the network thread of an association failed")
        finally:
            self.socket.close()
            self.to_user_queue.put(None)

    def may_read(self) -> bool:
        """Tell whether the next PDU may be read: not before most of the queued requests are answered."""
        return super().may_read() and self.assoc.dimse.msg_queue.qsize() < MAX_REQUESTS_WAITING

    def decoded(self, received: bytes) -> tuple[Any, str]:
        """Decode a PDU, as `BoundedUpperLayer.decoded`."""
        if not self.is_first:
            return super().decoded(received)
        request, self.titles = decoded_request(received)
        return request, REQUEST_RECEIVED

    def _send(self, pdu: Any) -> None:
        if isinstance(pdu, A_ASSOCIATE_AC) and self.titles is not None:
            self.socket.send(_with_titles(pdu.encode(), self.titles.fields))
        else:
            super()._send(pdu)


def _with_titles(answer: bytes, titles: bytes) -> bytes:
    """Return an A-ASSOCIATE-AC with the AE titles of the request, byte by byte (PS3.8 table 9-17)."""
    return answer[: CALLED.start] + titles + answer[CALLING.stop :]
