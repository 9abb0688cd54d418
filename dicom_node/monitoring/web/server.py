"""An HTTP server that nobody can hold up: few connections, each for a short time, the oldest gives way."""

import socket
import time
from contextlib import suppress
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import structlog

from dicom_node.monitoring.web.pages import Application

log = structlog.get_logger()

MOST_CONNECTIONS = 16
LIFE_S = 10.0
"""From the first byte of a request to the last of its answer, however slowly either drips."""


class Handler(WSGIRequestHandler):
    """One request; silent, because a scrape every few seconds is no news."""

    timeout = LIFE_S

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the signature of http.server
        """Write nothing: the words of a stranger."""


class Server(ThreadingMixIn, WSGIServer):
    """Listens from construction on; `serve_forever` answers.

    Raises:
        OSError: the port is taken, or not ours to take.
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
        """Bind, without asking a name server who we are."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Make room for a new connection: the oldest ones give way."""
        too_many = len(self._opened) + 1 - MOST_CONNECTIONS
        for oldest in list(self._opened)[: max(too_many, 0)]:
            self._cut(oldest)
        self._opened[request] = time.monotonic()
        super().process_request(request, client_address)

    def service_actions(self) -> None:
        """End connections that are too old; called several times a second."""
        for request, since in list(self._opened.items()):
            if time.monotonic() - since > LIFE_S:
                self._cut(request)

    def shutdown_request(self, request: Any) -> None:
        """Forget a connection that has ended."""
        self._opened.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - the signature is socketserver's
        """Say in one line what socketserver would print as a traceback: mostly a connection cut off."""
        log.debug("web.connection_failed", peer=client_address[0])

    def _cut(self, request: socket.socket) -> None:
        self._opened.pop(request, None)
        # Its thread finds the end of the stream, and closes.
        with suppress(OSError):
            request.shutdown(socket.SHUT_RDWR)
