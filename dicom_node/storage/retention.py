"""Files of finished studies go after a while; rows and audit stay.

A file goes first and its row says so afterwards, both inside one write transaction: nobody can open
the study again meanwhile, and after a crash in between the next run does the same once more.
"""

from datetime import datetime, timedelta

import structlog

from dicom_node.runtime import Runtime
from dicom_node.settings import RetentionSettings
from dicom_node.storage.disk import is_low
from store.audit import audit_log
from store.db.states import StudyState
from store.rows import retention_candidates
from store.rows.retention_candidates import RetentionCandidate

log = structlog.get_logger()

BATCH = 32
"""Files per transaction: others wait for the database no longer than these take to remove."""


def apply_retention(runtime: Runtime) -> int:
    """Remove every file that may go, oldest studies first; return how many."""
    policy, removed = runtime.settings.retention, 0
    for kind in retention_candidates.KINDS:
        with runtime.database.read() as session:
            held = retention_candidates.candidates(session, kind)
        for candidate in held:
            if reason_to_go(candidate, now=runtime.clock(), policy=policy, pressed=_pressed(runtime)):
                removed += _remove_all(runtime, candidate)
    return removed + _remove_conflicts(runtime)


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


def _pressed(runtime: Runtime) -> bool:
    return is_low(runtime.files.free_bytes(), was_low=True, policy=runtime.settings.disk)


def _remove_all(runtime: Runtime, candidate: RetentionCandidate) -> int:
    removed = 0
    while batch := _remove_some(runtime, candidate):
        removed += batch
    return removed


def _remove_some(runtime: Runtime, candidate: RetentionCandidate) -> int:
    """Remove a batch of files of a study, if its state still lets them go; return how many."""
    pressed = _pressed(runtime)
    with runtime.database.transaction() as session:
        for current in retention_candidates.candidates(session, candidate.kind, candidate.study_uid):
            now = runtime.clock()
            why = reason_to_go(current, now=now, policy=runtime.settings.retention, pressed=pressed)
            gone = retention_candidates.paths(session, current, limit=BATCH)
            if why:
                freed = runtime.files.remove(gone)
                retention_candidates.mark_gone(session, current, gone, size_bytes=freed, why=why, now=now)
                log.info("retention.removed", study=current.study_uid, files=len(gone), because=why)
                return len(gone)
    return 0


def _remove_conflicts(runtime: Runtime) -> int:
    """Files kept aside have no row: their age is that of the file."""
    days, now = runtime.settings.retention.days, runtime.clock()
    old = runtime.files.conflicts_before(now - timedelta(days=days)) if days else []
    if old:
        freed = runtime.files.remove(old)
        with runtime.database.transaction() as session:
            detail = {"files": len(old), "size_bytes": freed, "because": "age"}
            audit_log.record(session, "conflict.file_removed", at=now, detail=detail)
    return len(old)
