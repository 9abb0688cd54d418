"""Audit rows that stand for no other change: associations, refusals, start and stop."""

import threading
from collections.abc import Mapping
from typing import Any

import structlog

from dicom_node.process.clock import Clock
from store.audit import audit_log
from store.db.database import Database
from store.errors import StoreUnavailable

MAX_WAITING = 10_000
log = structlog.get_logger(__name__)


class AuditRecorder:
    """Writes such rows at once, or, while the database is unavailable, with the next one that works.

    An association must not fail because its audit row cannot be written now.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._waiting: list[dict[str, Any]] = []
        self._lost = 0
        self._writing = threading.Lock()

    def record(
        self, event: str, outcome: str = "success", *, detail: Mapping[str, object], **about: str | None
    ) -> None:
        """Write a row; `about` are the columns peer_ae, peer_ip, study_uid, sop_instance_uid."""
        self.defer(event, outcome, detail=detail, **about)
        self.flush()

    def defer(
        self, event: str, outcome: str = "success", *, detail: Mapping[str, object], **about: str | None
    ) -> None:
        """Like `record`, but leave the writing to the next `flush`."""
        log.info(event, outcome=outcome, **about, **detail)
        row = {"event": event, "outcome": outcome, "at": self._clock(), "detail": detail, **about}
        if len(self._waiting) < MAX_WAITING:
            self._waiting.append(row)
        else:
            self._lost += 1
            log.error("audit row lost, too many wait for the database", lost=event)

    def flush(self, *, wait: bool = False) -> None:
        """Write the rows that wait, unless another thread is doing so; with `wait` after that thread."""
        while self._waiting and self._writing.acquire(blocking=wait):
            try:
                self._write()
            except StoreUnavailable as error:
                log.error("audit rows wait for the database", waiting=len(self._waiting), error=str(error))  # noqa: TRY400 - expected, and said in one line
                return
            finally:
                self._writing.release()

    def close(self) -> None:
        """Write what waits; what cannot be written now is lost, and said in the log."""
        self.flush(wait=True)
        if self._waiting or self._lost:
            log.error("audit rows lost at the end", lost=len(self._waiting) + self._lost)

    def _write(self) -> None:
        rows, lost = list(self._waiting), self._lost
        with self._database.transaction() as session:
            for row in rows:
                audit_log.record(session, **row)
            if lost:
                # The gap itself is on record.
                detail = {"rows": lost}
                audit_log.record(session, "audit.rows_lost", "failure", at=self._clock(), detail=detail)
        del self._waiting[: len(rows)]
        self._lost -= lost
