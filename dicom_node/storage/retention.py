"""Removal of the files of finished studies; rows and audit events stay.

The rows say that files are gone before they are (`store.rows.file_removals`): no other writer waits for the
disk, and after a crash the next run ends what was begun.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog

from dicom_node.runtime import Runtime
from dicom_node.settings.sections import RetentionSettings
from dicom_node.storage.disk import is_low
from store.audit import audit_log
from store.db.states import StudyState
from store.rows import file_removals, retention_candidates
from store.rows.file_removals import FileRemoval, Kind
from store.rows.retention_candidates import RetentionCandidate, StudyFiles

log = structlog.get_logger()

BATCH = 32
"""Files per transaction."""
PAGE = 100
"""Studies looked at before it is asked whether to go on in this run."""
RUN_S = 20.0
"""After so long a run ends; the next one goes on where it was."""


class RetentionSweep:
    """Walks the studies with files by age, a page or more in each run, and from the first after the last."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._after: dict[tuple[Kind, bool], StudyFiles | None] = {}
        """Where to go on, by kind, and whether the walk is one over studies of any age."""
        self._conflicts_after = ""

    def run(self) -> int:
        """Remove files that `removal_reason` allows, oldest studies first; return how many.

        Raises:
            StoreUnavailable: disk or database error.
        """
        deadline_s = self._runtime.steady_s() + RUN_S
        removed = self._end_what_was_begun()
        for kind in retention_candidates.KINDS:
            for any_age in self._walks(kind):
                removed += self._walk(kind, any_age=any_age, deadline_s=deadline_s)
        return removed + self._remove_conflicts()

    def _walks(self, kind: Kind) -> list[bool]:
        """Return which walks there are: over studies that are old enough, and over all."""
        policy = self._runtime.settings.retention
        by_age = [False] if policy.days else []
        early = kind == "instance" and (
            policy.once_committed or (policy.days and _is_disk_low(self._runtime))
        )
        return [*by_age, True] if early else by_age

    def _walk(self, kind: Kind, *, any_age: bool, deadline_s: float) -> int:
        """Look at pages of studies as long as something is removed and there is time."""
        removed, key = 0, (kind, any_age)
        while not self._runtime.stop.is_set():
            page = self._page(kind, any_age=any_age)
            self._after[key] = page[-1] if len(page) == PAGE else None
            removed_now = self._look_at(kind, page)
            removed += removed_now
            if not removed_now or self._after[key] is None or self._runtime.steady_s() > deadline_s:
                break
        return removed

    def _page(self, kind: Kind, *, any_age: bool) -> list[StudyFiles]:
        days = timedelta(days=self._runtime.settings.retention.days)
        before = None if any_age else self._runtime.clock() - days
        after = self._after.get((kind, any_age))
        with self._runtime.database.read() as session:
            return retention_candidates.oldest(session, kind, before=before, after=after, limit=PAGE)

    def _look_at(self, kind: Kind, page: Sequence[StudyFiles]) -> int:
        """Remove what may be removed of a page, and note of the others when something happened last."""
        with self._runtime.database.read() as session:
            known = {each.study_uid: each.last_event_at for each in page}
            found = [retention_candidates.candidate(session, kind, uid) for uid in known]
        candidates = sorted(filter(None, found), key=lambda each: each.last_event_at)
        removed, younger = 0, []
        for each in candidates:
            removed_now = self._remove_all(each)
            removed += removed_now
            if not removed_now and each.last_event_at > known[each.study_uid]:
                younger.append(each)
        if younger:
            with self._runtime.database.transaction() as session:
                retention_candidates.move_forward(session, younger)
        return removed

    def _remove_all(self, candidate: RetentionCandidate) -> int:
        runtime, removed = self._runtime, 0
        policy, disk_low = runtime.settings.retention, _is_disk_low(runtime)
        if removal_reason(candidate, now=runtime.clock(), policy=policy, disk_low=disk_low):
            while batch := self._remove_some(candidate):
                removed += batch
        return removed

    def _remove_some(self, candidate: RetentionCandidate) -> int:
        """Remove a batch of files of a study if `removal_reason` still allows it; return how many."""
        runtime, disk_low = self._runtime, _is_disk_low(self._runtime)
        with runtime.database.transaction() as session:
            current = retention_candidates.candidate(session, candidate.kind, candidate.study_uid)
            if current is None:
                return 0
            now = runtime.clock()
            why = removal_reason(current, now=now, policy=runtime.settings.retention, disk_low=disk_low)
            if why is None:
                return 0
            paths = retention_candidates.paths(session, current, limit=BATCH)
            removals = retention_candidates.mark_gone(session, current, paths, why=why, now=now)
        return self._remove(removals)

    def _remove(self, removals: Sequence[FileRemoval]) -> int:
        freed = self._runtime.files.remove([each.path for each in removals])
        with self._runtime.database.transaction() as session:
            now = self._runtime.clock()
            retention_candidates.removed(session, removals, size_bytes=freed, now=now)
        study, because = removals[0].study_uid, removals[0].because
        log.info("retention.removed", study=study, files=len(removals), because=because)
        return len(removals)

    def _end_what_was_begun(self) -> int:
        """Remove the files whose rows a run before a crash has changed."""
        removed = 0
        while begun := self._begun():
            removed += self._remove(begun)
        return removed

    def _begun(self) -> list[FileRemoval]:
        with self._runtime.database.read() as session:
            return file_removals.first(session, limit=BATCH)

    def _remove_conflicts(self) -> int:
        """Remove files in conflicts/, which have no rows, by the age of the file; return how many."""
        runtime = self._runtime
        days, now = runtime.settings.retention.days, runtime.clock()
        if not days:
            return 0
        old, self._conflicts_after = runtime.files.conflicts_before(
            now - timedelta(days=days), after=self._conflicts_after
        )
        if old:
            freed = runtime.files.remove(old)
            with runtime.database.transaction() as session:
                detail = {"files": len(old), "size_bytes": freed, "because": "age"}
                audit_log.record(session, "conflict.file_removed", at=now, detail=detail)
        return len(old)


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
