"""Recording of audit events that belong to no other change of rows: associations, refusals, start, stop."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypedDict, Unpack

import structlog

from dicom_node.process.clock import Clock
from store.audit import audit_log
from store.db.database import Database
from store.errors import StoreUnavailable

MAX_WAITING = 10_000
"""Rows kept in memory while the database is unavailable."""
log = structlog.get_logger(__name__)


class AuditColumns(TypedDict, total=False):
    """Optional columns of an audit row."""

    peer_ae: str | None
    peer_ip: str | None
    study_uid: str | None
    sop_instance_uid: str | None


@dataclass(frozen=True, kw_only=True)
class _WaitingRow:
    """The arguments of `audit_log.record`."""

    event: str
    outcome: str
    at: datetime
    detail: Mapping[str, object]
    columns: AuditColumns


class AuditRecorder:
    """Writes audit rows at once, or, while the database is unavailable, keeps them until it is available.

    So an association does not fail because its audit row cannot be written now.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._waiting: list[_WaitingRow] = []
        self._lost = 0
        self._writing = threading.Lock()

    def record(
        self,
        event: str,
        outcome: str = "success",
        *,
        detail: Mapping[str, object],
        **columns: Unpack[AuditColumns],
    ) -> None:
        """Write a row and all that wait; see `audit_log.record`."""
        self.defer(event, outcome, detail=detail, **columns)
        self.flush()

    def defer(
        self,
        event: str,
        outcome: str = "success",
        *,
        detail: Mapping[str, object],
        **columns: Unpack[AuditColumns],
    ) -> None:
        """Keep a row until the next `flush`; see `audit_log.record`."""
        log.info(event, outcome=outcome, **columns, **detail)
        if len(self._waiting) >= MAX_WAITING:
            self._lost += 1
            log.error("audit row lost, too many wait for the database", lost=event)
            return
        row = _WaitingRow(event=event, outcome=outcome, at=self._clock(), detail=detail, columns=columns)
        self._waiting.append(row)

    def flush(self, *, wait: bool = False) -> None:
        """Write the waiting rows, unless another thread is writing; with `wait`, after that thread."""
        while self._waiting and self._writing.acquire(blocking=wait):
            try:
                self._write()
            except StoreUnavailable as error:
                log.error("audit rows wait for the database", waiting=len(self._waiting), error=str(error))  # noqa: TRY400 - expected, and said in one line
                return
            finally:
                self._writing.release()

    def close(self) -> None:
        """Write the waiting rows; log how many could not be written and are lost."""
        self.flush(wait=True)
        if self._waiting or self._lost:
            log.error("audit rows lost at the end", lost=len(self._waiting) + self._lost)

    def _write(self) -> None:
        rows, lost = list(self._waiting), self._lost
        with self._database.transaction() as session:
            for row in rows:
                audit_log.record(session, row.event, row.outcome, at=row.at, detail=row.detail, **row.columns)
            if lost:
                detail = {"rows": lost}
                audit_log.record(session, "audit.rows_lost", "failure", at=self._clock(), detail=detail)
        del self._waiting[: len(rows)]
        self._lost -= lost
