"""The WSGI application with /healthz and /metrics; GET only."""

import json
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any, NamedTuple
from wsgiref.types import StartResponse, WSGIEnvironment

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from dicom_node.monitoring.web.health import OK, health
from dicom_node.monitoring.web.password import Password
from dicom_node.runtime import Runtime

Application = Callable[[WSGIEnvironment, StartResponse], Iterable[bytes]]
TEXT = "text/plain; charset=utf-8"


class Page(NamedTuple):
    """An HTTP response."""

    status: HTTPStatus
    content_type: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


def application(
    runtime: Runtime,
    *,
    registry: CollectorRegistry,
    password: Password | None,
) -> Application:
    """Return the WSGI application (PEP 3333)."""
    since_s = runtime.steady_s()
    pages: dict[str, Callable[[], Page]] = {
        "/healthz": lambda: _health_page(runtime, since_s),
        "/metrics": lambda: Page(HTTPStatus.OK, CONTENT_TYPE_LATEST, generate_latest(registry)),
    }

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        page = _refusal(environ, password, pages) or pages[environ["PATH_INFO"]]()
        headers = [
            ("Content-Type", page.content_type),
            ("Content-Length", str(len(page.body))),
            ("Cache-Control", "no-store"),
            *page.headers,
        ]
        start_response(f"{page.status.value} {page.status.phrase}", headers)
        return [page.body]

    return answer


def _refusal(environ: WSGIEnvironment, password: Password | None, pages: Iterable[str]) -> Page | None:
    """Return the response to a request that is refused; None for a valid one.

    The password is checked first, so that without it every path gets the same response.
    """
    if password is not None and not password.fits(environ.get("HTTP_AUTHORIZATION", "")):
        return _plain(HTTPStatus.UNAUTHORIZED, ("WWW-Authenticate", 'Basic realm="echonode"'))
    if environ["REQUEST_METHOD"] != "GET":
        return _plain(HTTPStatus.METHOD_NOT_ALLOWED, ("Allow", "GET"))
    return None if environ["PATH_INFO"] in pages else _plain(HTTPStatus.NOT_FOUND)


def _plain(status: HTTPStatus, *headers: tuple[str, str]) -> Page:
    return Page(status, TEXT, f"{status.phrase}\n".encode(), headers)


def _health_page(runtime: Runtime, since_s: float) -> Page:
    checks = health(runtime, since_s=since_s)
    well = all(found == OK for found in checks.values())
    document: dict[str, Any] = {"status": OK if well else "failing", "checks": checks}
    status = HTTPStatus.OK if well else HTTPStatus.SERVICE_UNAVAILABLE
    return Page(status, "application/json", json.dumps(document).encode())
