"""The web port as a thread of the supervisor: whatever befalls it, the node goes on receiving."""

from collections.abc import Callable
from threading import Event, Thread
from types import TracebackType
from typing import Self

import structlog

from dicom_node.errors import NodeError
from dicom_node.monitoring.metrics import registry
from dicom_node.monitoring.web.pages import Application, application
from dicom_node.monitoring.web.password import Password
from dicom_node.monitoring.web.server import Server
from dicom_node.runtime import Runtime
from store.errors import StoreError

log = structlog.get_logger()

RETRY_S = 5.0
POLL_S = 0.2


class WebService:
    """Answers from `with` on; while it cannot, tries again every few seconds.

    Args:
        runtime: the supervisor's; nothing is written.
        on_trouble: told once why the port cannot be opened.
    """

    def __init__(self, runtime: Runtime, *, on_trouble: Callable[[str], None]) -> None:
        self._runtime = runtime
        self._on_trouble = on_trouble
        self._stop = Event()
        self._thread = Thread(target=self._run, name="web", daemon=True)
        self.listening = Event()
        self.port = 0
        """Where it listens, once it does."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        said = ""
        while not self._stop.is_set():
            try:
                self._serve()
            except (OSError, NodeError, StoreError) as error:
                if str(error) != said:
                    said = str(error)
                    log.error("web.cannot_listen", error=said)  # noqa: TRY400 - a sentence, no traceback
                    self._on_trouble(said)
                self._stop.wait(RETRY_S)

    def _serve(self) -> None:
        web = self._runtime.settings.web
        with Server(web.host, web.port, self._application()) as server:
            self.port = server.server_port
            self.listening.set()
            log.info("web.listening", host=web.host, port=self.port)
            Thread(target=self._shut_down, args=(server,), name="web stop", daemon=True).start()
            server.serve_forever(POLL_S)

    def _shut_down(self, server: Server) -> None:
        self._stop.wait()
        server.shutdown()

    def _application(self) -> Application:
        return application(
            self._runtime, registry=registry(self._runtime), password=Password.of(self._runtime.settings.web)
        )
