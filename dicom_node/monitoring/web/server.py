"""An HTTP server that limits the number of connections and the duration of each."""

import socket
import time
from contextlib import suppress
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import structlog

from dicom_node.monitoring.web.pages import Application

log = structlog.get_logger()

MAX_CONNECTIONS = 16
"""Beyond it, the oldest connection is closed."""
CONNECTION_LIMIT_S = 10.0
"""From accepting a connection to the last byte of the response."""


class Handler(WSGIRequestHandler):
    """One request, which is not logged: monitoring systems send one every few seconds."""

    timeout = CONNECTION_LIMIT_S

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the signature of http.server
        """Write nothing: the request line may hold anything."""


class Server(ThreadingMixIn, WSGIServer):
    """Listens from construction on; `serve_forever` answers.

    Raises:
        OSError: the port is in use or may not be opened.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = 32

    def __init__(self, host: str, port: int, application: Application) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._opened: dict[socket.socket, float] = {}
        super().__init__((host, port), Handler)
        self.set_app(application)

    def server_bind(self) -> None:
        """Bind the port without the reverse name look-up of `HTTPServer`."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a new connection, closing the oldest ones beyond `MAX_CONNECTIONS`."""
        too_many = len(self._opened) + 1 - MAX_CONNECTIONS
        for oldest in list(self._opened)[: max(too_many, 0)]:
            self._shut(oldest)
        self._opened[request] = time.monotonic()
        super().process_request(request, client_address)

    def service_actions(self) -> None:
        """Close connections older than `CONNECTION_LIMIT_S`; `serve_forever` calls it every 0.5 s."""
        for request, since in list(self._opened.items()):
            if time.monotonic() - since > CONNECTION_LIMIT_S:
                self._shut(request)

    def shutdown_request(self, request: Any) -> None:
        """Stop counting a connection that has ended."""
        self._opened.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - the signature is socketserver's
        """Log a failed connection in one line instead of a traceback; most were closed early."""
        log.debug("web.connection_failed", peer=client_address[0])

    def _shut(self, request: socket.socket) -> None:
        self._opened.pop(request, None)
        # The connection's thread reads the end of the stream and closes the socket.
        with suppress(OSError):
            request.shutdown(socket.SHUT_RDWR)
