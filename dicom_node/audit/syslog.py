"""Audit messages to a syslog server over TLS (RFC 5425): the audit table is the queue, a cursor says how far.

Syslog has no acknowledgement. So each batch is a TLS session of its own, ended in order: the server's
answer to our close_notify says that it has read everything before, and only then the cursor moves. A
server that is killed meanwhile gets the batch again: at least once, never not at all.
"""

import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog

from dicom_node.audit.dicom_message import frame
from dicom_node.process.clock import SteadyClock, steady_s
from dicom_node.settings import Settings
from store.audit import export_cursor
from store.audit.audit_log import AuditEvent
from store.db.database import Database

NAME = "syslog"
BATCH = 500
BATCHES_PER_RUN = 20
TIMEOUT_S = 10.0
FIRST_WAIT_S, LONGEST_WAIT_S = 5.0, 300.0
MOST_DOUBLINGS = 10
"""More would only make the number larger than `LONGEST_WAIT_S`."""

log = structlog.get_logger(__name__)


@dataclass(kw_only=True)
class SyslogExporter:
    """Sends what waits; while the server is away it is tried again after 5 s, doubling up to 5 minutes.

    The attempts in vain are counted in its row, so that a restart goes on with the longer waits.
    """

    settings: Settings
    database: Database
    steady_s: SteadyClock = steady_s
    _again_at_s: float | None = None
    """When a server that is away may be tried again; None: it is not known to be away."""

    def send_waiting(self) -> int:
        """Send the rows that wait; return how many. A dead server costs one timeout, nothing else.

        Called before it may try a dead server again, it does nothing.
        """
        if not self.settings.audit.syslog_host or self._waits():
            return 0
        sent = 0
        try:
            while sent < BATCH * BATCHES_PER_RUN and (batch := self._waiting()):
                self._send(batch)
                sent += len(batch)
        except OSError as error:
            self._put_off(str(error))
        else:
            self._again_at_s = None
        return sent

    def _waits(self) -> bool:
        return self._again_at_s is not None and self.steady_s() < self._again_at_s

    def _put_off(self, error: str) -> None:
        with self.database.transaction() as session:
            attempts = export_cursor.record_failure(session, NAME, error)
        wait_s = min(FIRST_WAIT_S * 2 ** min(attempts - 1, MOST_DOUBLINGS), LONGEST_WAIT_S)
        self._again_at_s = self.steady_s() + wait_s
        log.error("syslog.unreachable", error=error, attempts=attempts, again_in_s=wait_s)

    def _waiting(self) -> list[AuditEvent]:
        with self.database.read() as session:
            return export_cursor.unsent(session, NAME, limit=BATCH)

    def _send(self, batch: Sequence[AuditEvent]) -> None:
        ae_title = self.settings.node.ae_title
        frames = [made for event in batch if (made := frame(event, ae_title=ae_title)) is not None]
        if frames:
            send(self.settings, frames)
        with self.database.transaction() as session:
            export_cursor.advance(session, NAME, batch[-1].id)


def lag_s(database: Database, *, now: datetime) -> float:
    """Return the age in seconds of the oldest row that the syslog server does not have; 0 when it has all.

    Raises:
        StoreUnavailable: the database cannot be read.
    """
    with database.read() as session:
        oldest = export_cursor.oldest_unsent(session, NAME)
    return 0.0 if oldest is None else max(0.0, (now - oldest).total_seconds())


def attempts_in_vain(database: Database) -> int:
    """Return how often the syslog server was tried in vain since it last took something.

    Raises:
        StoreUnavailable: the database cannot be read.
    """
    with database.read() as session:
        return export_cursor.attempts(session, NAME)


def send(settings: Settings, frames: Sequence[bytes]) -> None:
    """Send frames in one TLS session and see it ended in order.

    Raises:
        OSError: no connection, a certificate that is not trusted, or no orderly end; nothing may
            have arrived, or everything.
    """
    address = (settings.audit.syslog_host, settings.audit.syslog_port)
    context = _context(settings)
    with (
        socket.create_connection(address, timeout=TIMEOUT_S) as plain,
        context.wrap_socket(plain, server_hostname=address[0]) as tls,
    ):
        tls.sendall(b"".join(frames))
        try:
            tls.unwrap().close()
        except ssl.SSLEOFError:
            # Some servers close without a word (against RFC 5425 4.4); a dead one takes no new connection.
            socket.create_connection(address, timeout=TIMEOUT_S).close()


def _context(settings: Settings) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=settings.audit.syslog_ca or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.tls.certificate:
        context.load_cert_chain(settings.tls.certificate, settings.tls.private_key)
    return context
