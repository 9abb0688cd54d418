"""Rows of images that no database knows, for what needs a row only to say which image it is."""

from datetime import UTC, datetime
from pathlib import Path

from pydicom import Dataset, dcmread

from store.db.states import InstanceState
from store.rows.instances import Instance

UIDS = ("SOPInstanceUID", "SOPClassUID", "StudyInstanceUID", "SeriesInstanceUID")


def row_of(image: Dataset) -> Instance:
    """Return the row of an image that was just received; an image without a UID has "1.2.3" there."""
    instance, sop_class, study, series = (str(image.get(keyword) or "1.2.3") for keyword in UIDS)
    return Instance(
        sop_instance_uid=instance,
        sop_class_uid=sop_class,
        study_uid=study,
        series_uid=series,
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        path="received",
        sha256="0" * 64,
        size_bytes=1,
        peer_ae=None,
        peer_ip=None,
        state=InstanceState.RECEIVED,
        reason=None,
        detail={},
        received_at=datetime(2026, 1, 2, tzinfo=UTC),
        file_gone_at=None,
    )


def row_of_file(path: Path) -> Instance:
    """Return the row of a stored image, however damaged its file is."""
    try:
        return row_of(dcmread(path, force=True, specific_tags=list(UIDS), stop_before_pixels=True))
    except Exception:  # noqa: BLE001 - any bytes
        return row_of(Dataset())
