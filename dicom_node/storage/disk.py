"""Free space in the data folder: below a threshold, associations are rejected transiently."""

import threading

from dicom_node.audit.recorder import AuditRecorder
from dicom_node.settings.sections import DiskSettings
from store.errors import StoreUnavailable
from store.files.file_store import FileStore

MEGABYTE = 2**20
HYSTERESIS = 1.05
"""The disk stops being low at this multiple of the threshold, so that one file does not toggle it."""


def is_low(free_bytes: int, *, was_low: bool, policy: DiskSettings) -> bool:
    """Tell whether less than `soft_free_mb` are free; after that, until `HYSTERESIS` times as many are."""
    return free_bytes < policy.soft_free_mb * MEGABYTE * (HYSTERESIS if was_low else 1)


class DiskWatch:
    """Tells whether the disk has room for another association; records changes, not each answer."""

    def __init__(self, files: FileStore, policy: DiskSettings, recorder: AuditRecorder) -> None:
        self._files = files
        self._policy = policy
        self._recorder = recorder
        self._was_low = False
        self._rejected = 0
        self._lock = threading.Lock()

    def has_room(self) -> bool:
        """Tell whether an association may be accepted; count it as rejected if not."""
        return self._look(asked=True)

    def look(self) -> bool:
        """Notice a change that no association has noticed; return whether there is room."""
        return self._look(asked=False)

    def _look(self, *, asked: bool) -> bool:
        with self._lock:
            free_bytes = self._free_bytes()
            low = is_low(free_bytes, was_low=self._was_low, policy=self._policy)
            changed, self._was_low = low != self._was_low, low
            self._rejected += low and asked
            rejected = self._rejected
            if not low:
                self._rejected = 0
        if changed:
            self._record(low=low, free_mb=free_bytes // MEGABYTE, rejected=rejected)
        return not low

    def _free_bytes(self) -> int:
        try:
            return self._files.free_bytes()
        except StoreUnavailable:
            return 0  # the folder is missing

    def _record(self, *, low: bool, free_mb: int, rejected: int) -> None:
        detail = {"free_mb": free_mb, "soft_free_mb": self._policy.soft_free_mb}
        if low:
            self._recorder.record("disk.low", "refused", detail=detail)
        else:
            self._recorder.record("disk.recovered", detail={**detail, "associations_rejected": rejected})
