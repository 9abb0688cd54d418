"""Removal of the files of finished studies; rows and audit events stay.

Files are removed and their rows changed inside one write transaction, so that no late image can reopen
the study in between. After a crash the next call finds the rows unchanged and removes them again.
"""

from datetime import datetime, timedelta

import structlog

from dicom_node.runtime import Runtime
from dicom_node.settings.sections import RetentionSettings
from dicom_node.storage.disk import is_low
from store.audit import audit_log
from store.db.states import StudyState
from store.rows import retention_candidates
from store.rows.retention_candidates import RetentionCandidate

log = structlog.get_logger()

BATCH = 32
"""Files per transaction; other writers wait while they are removed."""


def apply_retention(runtime: Runtime) -> int:
    """Remove all files that `removal_reason` allows, oldest studies first; return how many."""
    policy, removed = runtime.settings.retention, 0
    for kind in retention_candidates.KINDS:
        with runtime.database.read() as session:
            candidates = retention_candidates.candidates(session, kind)
        for candidate in candidates:
            disk_low = _is_disk_low(runtime)
            if removal_reason(candidate, now=runtime.clock(), policy=policy, disk_low=disk_low):
                removed += _remove_all(runtime, candidate)
    return removed + _remove_conflicts(runtime)


def removal_reason(
    candidate: RetentionCandidate, *, now: datetime, policy: RetentionSettings, disk_low: bool
) -> str | None:
    """Return why the files of a study may be removed now; None if they may not.

    "age": the study is finished, all deliveries have ended, and `last_event_at` is `days` ago.
    "committed": received files of a DONE study, all of whose results were taken, with `once_committed`.
    "disk": received files of a DONE study while the disk is low, unless files are kept forever (`days` 0).

    Results and the files of a FAILED study are removed by age only: a later revision refers to the
    results, and of a failed study nothing but its files exists.
    """
    if candidate.state not in {StudyState.DONE, StudyState.FAILED, None} or candidate.awaits_delivery:
        return None
    if policy.days and now - candidate.last_event_at >= timedelta(days=policy.days):
        return "age"
    if candidate.kind == "result" or candidate.state is StudyState.FAILED:
        return None
    if policy.once_committed and candidate.all_taken:
        return "committed"
    return "disk" if disk_low and policy.days else None


def _is_disk_low(runtime: Runtime) -> bool:
    return is_low(runtime.files.free_bytes(), was_low=True, policy=runtime.settings.disk)


def _remove_all(runtime: Runtime, candidate: RetentionCandidate) -> int:
    removed = 0
    while batch := _remove_some(runtime, candidate):
        removed += batch
    return removed


def _remove_some(runtime: Runtime, candidate: RetentionCandidate) -> int:
    """Remove a batch of files of a study if `removal_reason` still allows it; return how many."""
    disk_low = _is_disk_low(runtime)
    with runtime.database.transaction() as session:
        for current in retention_candidates.candidates(session, candidate.kind, candidate.study_uid):
            now = runtime.clock()
            why = removal_reason(current, now=now, policy=runtime.settings.retention, disk_low=disk_low)
            paths = retention_candidates.paths(session, current, limit=BATCH)
            if why:
                freed = runtime.files.remove(paths)
                retention_candidates.mark_gone(session, current, paths, size_bytes=freed, why=why, now=now)
                log.info("retention.removed", study=current.study_uid, files=len(paths), because=why)
                return len(paths)
    return 0


def _remove_conflicts(runtime: Runtime) -> int:
    """Remove files in conflicts/, which have no rows, by the age of the file; return how many."""
    days, now = runtime.settings.retention.days, runtime.clock()
    old = runtime.files.conflicts_before(now - timedelta(days=days)) if days else []
    if old:
        freed = runtime.files.remove(old)
        with runtime.database.transaction() as session:
            detail = {"files": len(old), "size_bytes": freed, "because": "age"}
            audit_log.record(session, "conflict.file_removed", at=now, detail=detail)
    return len(old)
