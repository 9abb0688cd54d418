"""The listening socket and what is set up for each connection that comes in."""

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
from dicom_node.receive.upper_layer import BoundedSocket, BoundedUpperLayer, UpperLayerLimits

TOO_MANY_CONNECTIONS = "too many connections from this address"
SEND_BUFFER_BYTES = 65_536
"""Answers are small; a peer that reads none of them is noticed after this many."""

log = structlog.get_logger(__name__)


class Connection(RequestHandler):
    """One connection, in a thread of its own: handshake, first byte, association, clean-up."""

    server: "AssociationServer"
    request: Any

    def setup(self) -> None:
        """Be known to the server, so that it can close the connection."""
        self.server.open_connections.add(self)

    def shut(self) -> None:
        """Close the connection under whoever waits for it."""
        with suppress(OSError):
            self.request.shutdown(socket.SHUT_RDWR)

    def handle(self) -> None:
        """Run the association to its end, then tell the server's `on_end`."""
        # Without it the answer to each C-STORE waits for the peer's delayed acknowledgement.
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.request.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        if not self._is_secured():
            return
        if not self._has_spoken():
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
        """Close the connection, whoever was first to."""
        self.request.close()
        self.server.open_connections.discard(self)

    def _is_secured(self) -> bool:
        """Shake hands, here and not where connections are accepted: a silent peer stops only itself."""
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

    def _has_spoken(self) -> bool:
        """Wait for the first byte: until then a connection costs one sleeping thread, and no association."""
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
        association.dul = BoundedUpperLayer(association, limits)
        association.dul.socket = BoundedSocket(association, self.request, timeout_s=limits.pdu_timeout_s)
        # Set again, because they go into timers of the DUL.
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
    """Listens; with `share_port` several processes accept from one port (SO_REUSEPORT).

    `connections` may be shared with another server, `tls` is for a port that speaks nothing else.
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
        on_refused: Callable[..., None],
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
        """Bind the port."""
        if self._share_port:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        super().server_bind()

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ARG002 - socketserver's
        """Refuse a host that has its fill of connections, before a thread is made for this one."""
        host = client_address[0]
        if self._connections.take(host):
            return True
        self.on_refused(TOO_MANY_CONNECTIONS, Peer(ae_title="", ip=host))
        return False

    def process_request(self, request: Any, client_address: Any) -> None:
        """Start the connection's thread; without one the connection is given up."""
        try:
            super().process_request(request, client_address)
        except RuntimeError:
            self._connections.give_back(client_address[0])
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Run the connection and give its place back, however it ends."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.shutdown_request(request)
            self._connections.give_back(client_address[0])

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - socketserver's
        """Log an error of ours; the next connection is another matter."""
        log.exception("a connection failed", peer_ip=client_address[0])  # noqa: LOG004 - called while handling

    def stop_listening(self) -> None:
        """Close the port; associations that are open go on. Only while `serve_forever` runs."""
        # Not our parent's shutdown(): that one undoes the registration of AE.start_server.
        socketserver.BaseServer.shutdown(self)
        self.server_close()

    def close_connections(self) -> None:
        """Close what is still open; each connection's thread then comes to its end."""
        for connection in list(self.open_connections):
            connection.shut()
