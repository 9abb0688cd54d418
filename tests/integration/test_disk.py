"""Low disk: when it begins, when it is over, and what is said about it."""

from pathlib import Path

import pytest
from support.databases import upgraded

from dicom_node.audit.recorder import AuditRecorder
from dicom_node.process.clock import utc_now
from dicom_node.settings.sections import DiskSettings
from dicom_node.storage.disk import MEGABYTE, DiskWatch, is_low
from store.audit import audit_log
from store.errors import StoreUnavailable
from store.files.file_store import FileStore

POLICY = DiskSettings(soft_free_mb=100, hard_free_mb=10)


@pytest.mark.parametrize(
    ("free_mb", "was_low", "low"),
    [
        (100, False, False),
        (99, False, True),
        (100, True, True),  # once low, five percent more are needed
        (104, True, True),
        (105, True, False),
    ],
)
def test_low(free_mb: int, was_low: bool, low: bool) -> None:
    """Low begins below the threshold and ends a little above it."""
    assert is_low(free_mb * MEGABYTE, was_low=was_low, policy=POLICY) is low


class Volume(FileStore):
    """A data folder whose volume has as much room as the test says."""

    free_mb = 1000

    def free_bytes(self) -> int:
        """Return what the test says; a negative number means that the folder is gone."""
        if self.free_mb < 0:
            raise StoreUnavailable
        return self.free_mb * MEGABYTE


def test_a_change_is_audited_once_and_the_rejected_are_counted(tmp_path: Path) -> None:
    """Thousand senders in vain make two rows: when it began, and when it was over with their number."""
    database = upgraded(f"sqlite:///{tmp_path}/echonode.db")
    volume = Volume(tmp_path)
    watch = DiskWatch(volume, POLICY, AuditRecorder(database, utc_now))
    assert watch.has_room()
    volume.free_mb = 50
    assert not any(watch.has_room() for _ in range(1000))
    volume.free_mb = 200
    assert watch.has_room()
    volume.free_mb = -1
    assert not watch.has_room()
    with database.read() as session:
        found = [(each.event, each.detail) for each in audit_log.events(session)]
    database.close()

    low = {"free_mb": 50, "soft_free_mb": 100}
    assert found == [
        ("disk.low", low),
        ("disk.recovered", {**low, "free_mb": 200, "associations_rejected": 1000}),
        ("disk.low", {**low, "free_mb": 0}),
    ]


def test_results_are_not_written_into_the_reserve(tmp_path: Path) -> None:
    """Below the hard threshold a result is refused as passing trouble, before the disk refuses."""
    volume = Volume(tmp_path, reserve_bytes=10 * MEGABYTE)
    volume.free_mb = 9
    with pytest.raises(StoreUnavailable, match="less than 10 MB"):
        volume.keep_result(b"", study_uid="1.2", sop_instance_uid="1.2.3")

    assert list((tmp_path / "results").iterdir()) == []
