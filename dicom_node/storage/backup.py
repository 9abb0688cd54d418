"""`echonode backup` and `echonode restore`."""

from contextlib import closing
from pathlib import Path

from rich.console import Console

from dicom_node import __version__
from dicom_node.process.clock import utc_now
from dicom_node.process.locks import node_stands_still
from dicom_node.settings import Settings
from store import backup
from store.audit import audit_log
from store.db.database import Database
from store.rows import file_scans


def back_up(settings: Settings, target: Path) -> int:
    """Write a verified copy of the database to `target`; the node may run.

    Raises:
        StoreError: there is no database, it is damaged, or the disk is full.
    """
    with closing(Database(settings.store_url)) as database:
        size_bytes = backup.backup(database.path, target)
    _print(f"{size_bytes / 2**20:.1f} MB in {target}")
    return 0


def restore(settings: Settings, source: Path) -> int:
    """Replace the database by a backup; the node must not run.

    At its next start the receiver writes rows for the files received since the backup.

    Raises:
        NodeError: the node runs.
        StoreError: `source` is not a backup or is damaged, or the disk is full.
    """
    now = utc_now()
    with node_stands_still(settings.node.data_dir), closing(Database(settings.store_url)) as database:
        former = backup.restore(source, database.path, now=now)
        database.upgrade()
        with database.transaction() as session:
            newest = audit_log.events(session, limit=1)
            detail = {
                "version": __version__,
                "backup_until": newest[0].at.isoformat() if newest else None,
                "former_database": former and former.name,
            }
            audit_log.record(session, "database.restored", at=now, detail=detail)
            file_scans.request(session, "restored")
    _print(f"restored from {source}" + (f"; the former database is {former}" if former else ""))
    return 0


def _print(sentence: str) -> None:
    Console().print(sentence, soft_wrap=True, highlight=False, markup=False)
