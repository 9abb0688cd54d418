"""Migration of a database to the tables of this version."""

import fcntl
import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Engine

from store.db.schema import REVISION
from store.errors import StoreError

if TYPE_CHECKING:
    from alembic.config import Config

MIGRATIONS = Path(__file__).parent / "migrations"
LOCK_SUFFIX = "-upgrade"
"""Of an empty file beside the database, locked by the process that migrates it."""
LARGE_BYTES = 100 * 2**20
"""Of a database whose migration takes more than a moment, so that it is announced."""

log = logging.getLogger(__name__)


def is_current(path: Path) -> bool:
    """Tell whether a database has the tables of this version; False too when it cannot be read."""
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
            found = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    except sqlite3.DatabaseError:
        return False
    return found == [(REVISION,)]


def alembic_config() -> "Config":
    """Return what Alembic needs to know."""
    from alembic.config import Config  # noqa: PLC0415 - a process needs it for a moment

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def migrate(path: Path, writer: Engine) -> None:
    """Migrate in one write transaction, while no other process does.

    Raises:
        StoreError: the tables are of a newer version.
    """
    # Imported here: a process needs it for a moment, and its memory for ever.
    import alembic.command  # noqa: PLC0415 - as above
    from alembic.util import CommandError  # noqa: PLC0415 - as above

    config = alembic_config()
    with _alone(path):
        if is_current(path):
            return
        if path.stat().st_size > LARGE_BYTES:
            size_mb = path.stat().st_size >> 20
            log.warning("the tables of %s (%d MB) are migrated, which may take minutes", path, size_mb)
        try:
            with writer.begin() as connection:
                config.attributes["connection"] = connection
                alembic.command.upgrade(config, "head")
        except CommandError as error:
            raise StoreError(f"{path} was not made by this version or an older one: {error}") from error


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Wait, however long, until no other process migrates; the kernel lets go when that one dies."""
    with path.with_name(path.name + LOCK_SUFFIX).open("w", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.info("another process migrates the tables of %s", path)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
