"""The listening socket and what is set up for each connection that comes in."""

import socket
import socketserver
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pynetdicom.transport import RequestHandler, ThreadedAssociationServer

from dicom_node.spool import SpoolingProvider


class Connection(RequestHandler):
    """One connection: its association runs in a thread of its own, this one waits for the end."""

    server: "AssociationServer"

    def handle(self) -> None:
        """Run the association to its end, then tell the server's `on_end`."""
        # Without it the answer to each C-STORE waits for the peer's delayed acknowledgement.
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().handle()
        self._association.join()
        self._association.dul.join()
        self.request.close()  # pynetdicom leaves it open when the peer was first to close
        self.server.on_end(self._association)

    def _create_association(self) -> Any:
        self._association = super()._create_association()
        self._association.dimse = SpoolingProvider(
            self._association, self.server.incoming, self.server.require_room
        )
        return self._association


class AssociationServer(ThreadedAssociationServer):
    """Listens; with `share_port` several processes accept from one port (SO_REUSEPORT)."""

    request_queue_size = 128
    daemon_threads = True
    block_on_close = False

    def __init__(
        self,
        *args: Any,
        incoming: Path,
        require_room: Callable[[], None],
        share_port: bool,
        on_end: Callable[[Any], None],
        **kwargs: Any,
    ) -> None:
        self.incoming = incoming
        self.require_room = require_room
        self.on_end = on_end
        self._share_port = share_port
        super().__init__(*args, request_handler=Connection, **kwargs)

    def server_bind(self) -> None:
        """Bind the port."""
        if self._share_port:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        super().server_bind()

    def stop_listening(self) -> None:
        """Close the port; associations that are open go on. Only while `serve_forever` runs."""
        # Not our parent's shutdown(): that one undoes the registration of AE.start_server.
        socketserver.BaseServer.shutdown(self)
        self.server_close()
