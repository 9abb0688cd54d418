"""The listening socket, and the objects of pynetdicom that are replaced for each connection."""

import select
import socket
import socketserver
import ssl
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import structlog
from pynetdicom.transport import RequestHandler, ThreadedAssociationServer

from dicom_node.network.peer import Peer
from dicom_node.process.logs import printable
from dicom_node.receive.dimse import FileBackedDIMSE
from dicom_node.receive.quota import Quota
from dicom_node.receive.upper_layer import AcceptorSocket, AcceptorUpperLayer, UpperLayerLimits

TOO_MANY_CONNECTIONS = "too many connections from this address"
SEND_BUFFER_BYTES = 65_536
"""Responses are small: once so many bytes are unread by the peer, sending times out."""

log = structlog.get_logger(__name__)


class Connection(RequestHandler):
    """One connection in its own thread: TLS handshake, wait for the first byte, association, clean-up."""

    server: "AssociationServer"
    request: Any

    def setup(self) -> None:
        """Register with the server, which may close the connection."""
        self.server.open_connections.add(self)

    def shut(self) -> None:
        """Shut the socket down, which ends every wait for it."""
        with suppress(OSError):
            self.request.shutdown(socket.SHUT_RDWR)

    def handle(self) -> None:
        """Run the association to its end, then call the server's `on_end`."""
        # Otherwise each C-STORE response waits for the peer's delayed acknowledgement (RFC 1122 4.2.3.2).
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.request.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        if not self._shake_hands():
            return
        if not self._await_first_byte():
            self._refuse("no association request in time")
            return
        association = self._create_association()
        try:
            association.run_reactor()
        except Exception:
            log.exception("the thread of an association failed")
        finally:
            association.dul.kill_dul()
            association.dul.join()
            self.server.on_end(association)

    def finish(self) -> None:
        """Close the socket."""
        self.request.close()
        self.server.open_connections.discard(self)

    def _shake_hands(self) -> bool:
        """Do the TLS handshake in this thread, so that a silent peer does not block the accepting thread."""
        if self.server.tls is None:
            return True
        self.request.settimeout(self.server.limits.request_timeout_s)
        try:
            self.request = self.server.tls.wrap_socket(self.request, server_side=True)
        except OSError as error:
            why = "not in time" if isinstance(error, TimeoutError) else getattr(error, "reason", None)
            self._refuse(f"no TLS connection: {printable(why or type(error).__name__)}")
            return False
        return True

    def _await_first_byte(self) -> bool:
        """Wait until data can be read, before the objects and threads of an association are made."""
        if isinstance(self.request, ssl.SSLSocket) and self.request.pending():
            return True
        poll = select.poll()
        poll.register(self.request, select.POLLIN)
        return bool(poll.poll(self.server.limits.request_timeout_s * 1000))

    def _refuse(self, reason: str) -> None:
        self.server.on_refused(reason, Peer(ae_title="", ip=self.client_address[0]))

    def _create_association(self) -> Any:
        association = super()._create_association()
        limits = self.server.limits
        association.dul = AcceptorUpperLayer(association, limits)
        association.dul.socket = AcceptorSocket(association, self.request, timeout_s=limits.pdu_timeout_s)
        # Set again: the setters pass the values to timers of the new `dul`.
        association.acse_timeout = limits.request_timeout_s
        association.network_timeout = self.ae.network_timeout
        association.dimse = FileBackedDIMSE(
            association,
            self.server.incoming,
            require_room=self.server.require_room,
            max_object_bytes=limits.max_object_bytes,
        )
        return association


class AssociationServer(ThreadedAssociationServer):
    """Listens on one port.

    Args:
        *args: of pynetdicom's server, passed by `AE.make_server`.
        incoming: folder for data sets that are being received.
        require_room: raises StoreUnavailable when the disk is low.
        share_port: let several processes accept from the port (SO_REUSEPORT).
        limits: of each connection.
        connections: counts connections per host; may be shared with another server.
        tls: None for a port without TLS.
        on_end: called with each association, or attempt at one, after its end.
        on_refused: called with reason and peer for a connection without an association request.
        **kwargs: of pynetdicom's server.
    """

    request_queue_size = 128
    daemon_threads = True
    block_on_close = False

    def __init__(
        self,
        *args: Any,
        incoming: Path,
        require_room: Callable[[], None],
        share_port: bool,
        limits: UpperLayerLimits,
        connections: Quota,
        tls: ssl.SSLContext | None,
        on_end: Callable[[Any], None],
        on_refused: Callable[[str, Peer], None],
        **kwargs: Any,
    ) -> None:
        self.incoming = incoming
        self.require_room = require_room
        self.limits = limits
        self.tls = tls
        self.on_end = on_end
        self.on_refused = on_refused
        self._connections = connections
        self.open_connections: set[Connection] = set()
        self._share_port = share_port
        super().__init__(*args, request_handler=Connection, **kwargs)

    def server_bind(self) -> None:
        """Bind the port, shared if asked for."""
        if self._share_port:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        super().server_bind()

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ARG002 - socketserver's
        """Count the connection of a host before a thread is made for it; False at the limit."""
        host = client_address[0]
        if self._connections.take(host):
            return True
        self.on_refused(TOO_MANY_CONNECTIONS, Peer(ae_title="", ip=host))
        return False

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start the connection's thread; if that fails, stop counting the connection."""
        try:
            super().process_request(request, client_address)
        except RuntimeError:
            self._connections.give_back(client_address[0])
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Run the connection and stop counting it, however it ends."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.shutdown_request(request)
            self._connections.give_back(client_address[0])

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - socketserver's
        """Log an unexpected error of one connection; the server goes on."""
        log.exception("a connection failed", peer_ip=client_address[0])  # noqa: LOG004 - called while handling

    def stop_listening(self) -> None:
        """Close the port while `serve_forever` runs; open associations go on."""
        # Not pynetdicom's shutdown(), which removes the server from AE._servers: it is not in there.
        socketserver.BaseServer.shutdown(self)
        self.server_close()

    def close_connections(self) -> None:
        """Close all open connections, whose threads then end."""
        for connection in list(self.open_connections):
            connection.shut()
