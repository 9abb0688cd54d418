"""Files of finished studies go after a while; rows and audit stay.

A file goes first and its row says so afterwards, both inside one write transaction: nobody can open
the study again meanwhile, and after a crash in between the next sweep does the same once more.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from dicom_node.settings import RetentionSettings, Settings
from dicom_node.storage.disk import is_low
from store.audit import audit_log
from store.db.database import Database
from store.db.states import StudyState
from store.files.file_store import FileStore
from store.rows import retention_candidates
from store.rows.retention_candidates import RetentionCandidate

log = structlog.get_logger()

INTERVAL_S = 60.0
BATCH = 32
"""Files per transaction: others wait for the database no longer than these take to remove."""


@dataclass(frozen=True, kw_only=True)
class Keeper:
    """Whose files, by which rules, at what time."""

    settings: Settings
    database: Database
    files: FileStore
    clock: Callable[[], datetime]


def tidy(keeper: Keeper) -> int:
    """Remove every file that may go, oldest studies first; return how many."""
    policy, removed = keeper.settings.retention, 0
    for kind in retention_candidates.KINDS:
        with keeper.database.read() as session:
            held = retention_candidates.candidates(session, kind)
        for candidate in held:
            if reason_to_go(candidate, now=keeper.clock(), policy=policy, pressed=_pressed(keeper)):
                removed += _remove_all(keeper, candidate)
    return removed + _remove_conflicts(keeper)


def reason_to_go(
    candidate: RetentionCandidate, *, now: datetime, policy: RetentionSettings, pressed: bool
) -> str | None:
    """Say why the files of a study may go now: "age", "committed" or "disk"; None when they may not.

    Never those of a study that is not finished. Age counts from the last image or revision. What nobody
    may ever need again may go earlier: received files of a study that is DONE, once its results are
    taken for good, or when the disk is low. A FAILED study keeps its files to their full age: they
    are all there is of it. Results are small, and what a later revision refers to: age only, too.
    """
    if candidate.state not in {StudyState.DONE, StudyState.FAILED, None} or candidate.awaits_delivery:
        return None
    if policy.days and now - candidate.last_event_at >= timedelta(days=policy.days):
        return "age"
    if candidate.kind == "result" or candidate.state is StudyState.FAILED:
        return None
    if policy.once_committed and candidate.all_taken:
        return "committed"
    return "disk" if pressed and policy.days else None


def _pressed(keeper: Keeper) -> bool:
    return is_low(keeper.files.free_bytes(), was_low=True, policy=keeper.settings.disk)


def _remove_all(keeper: Keeper, candidate: RetentionCandidate) -> int:
    removed = 0
    while batch := _remove_some(keeper, candidate):
        removed += batch
    return removed


def _remove_some(keeper: Keeper, candidate: RetentionCandidate) -> int:
    """Remove a batch of files of a study, if its state still lets them go; return how many."""
    pressed = _pressed(keeper)
    with keeper.database.transaction() as session:
        for current in retention_candidates.candidates(session, candidate.kind, candidate.study_uid):
            now = keeper.clock()
            why = reason_to_go(current, now=now, policy=keeper.settings.retention, pressed=pressed)
            gone = retention_candidates.paths(session, current, limit=BATCH)
            if why:
                freed = keeper.files.remove(gone)
                retention_candidates.mark_gone(session, current, gone, size_bytes=freed, why=why, now=now)
                log.info("retention.removed", study=current.study_uid, files=len(gone), because=why)
                return len(gone)
    return 0


def _remove_conflicts(keeper: Keeper) -> int:
    """Files kept aside have no row: their age is that of the file."""
    days, now = keeper.settings.retention.days, keeper.clock()
    old = keeper.files.conflicts_before(now - timedelta(days=days)) if days else []
    if old:
        freed = keeper.files.remove(old)
        with keeper.database.transaction() as session:
            detail = {"files": len(old), "size_bytes": freed, "because": "age"}
            audit_log.record(session, "conflict.file_removed", at=now, detail=detail)
    return len(old)
