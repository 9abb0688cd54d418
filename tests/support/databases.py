"""Databases with all their tables, copied instead of migrated: hundreds of tests need one."""

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

from store.db.database import Database


@cache
def template() -> Path:
    """Return the file of an empty database of this version, to be copied; it goes with this process."""
    folder = tempfile.mkdtemp(prefix="echonode-template-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = Path(folder) / "echonode.db"
    database = Database(f"sqlite:///{path}")
    database.upgrade()
    database.close()
    return path


def upgraded(url: str, **options: float) -> Database:
    """Return the database at a URL; one that is not there yet begins as an empty one of this version."""
    database = Database(url, **options)
    if not database.path.exists():
        database.path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(template(), database.path)
    return database
