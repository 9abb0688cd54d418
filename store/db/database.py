"""The SQLite database of a node: transactions of several processes, migrations, integrity check."""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DatabaseError, DisconnectionError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session
from sqlalchemy.pool import QueuePool

from store.errors import StoreError, StoreUnavailable
from store.files.filesystems import network_type

SCHEME = "sqlite:///"
MIGRATIONS = Path(__file__).parent / "migrations"

DAMAGED = "the database {path} is damaged ({what}); stop the node and run `echonode restore BACKUP`"
DAMAGE_CODES = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
START_CHECK_S = 1.0
"""Time limit of the receiver's integrity check, enough for about 270 MB. The worker checks without limit."""
PROGRESS_STEPS = 100_000
"""Virtual machine instructions of SQLite between two checks of the time limit: some milliseconds."""


class Database:
    """One SQLite file in WAL mode; `upgrade` must have run once before anything is read or written.

    Args:
        url: `sqlite:////absolute/path/of/the.db`, on a local disk; a path as it is, where `%`, `?` and
            `#` stand for themselves.
        busy_timeout_s: seconds to wait for another writer before `StoreUnavailable`.

    Raises:
        StoreError: the URL names no SQLite file.

    Attributes:
        path: the file.
    """

    def __init__(self, url: str, *, busy_timeout_s: float = 15.0) -> None:
        scheme, path = url[: len(SCHEME)], url[len(SCHEME) :]
        if scheme != SCHEME or path in ("", ":memory:"):
            raise StoreError(f"{url} is not the URL of an SQLite file")
        self.path = Path(path).absolute()
        self._busy_timeout_s = busy_timeout_s
        # One connection: the threads of this process queue for it, so only one of them writes.
        self._writer = self._engine("BEGIN IMMEDIATE", pool_size=1, max_overflow=0)
        self._reader = self._engine("BEGIN", pool_size=5, max_overflow=20, query_only=True)

    def upgrade(self) -> None:
        """Create the file, or migrate its tables to this version; several processes may call it at once.

        Raises:
            StoreUnavailable: the folder cannot be written, or the database is locked or damaged.
            StoreError: the tables are of a newer version, or the file is on a network file system.
        """
        # Imported here: a process needs it for a moment, and its memory for ever.
        import alembic.command  # noqa: PLC0415 - as above
        from alembic.config import Config  # noqa: PLC0415 - as above
        from alembic.util import CommandError  # noqa: PLC0415 - as above

        self._require_local_disk()
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
        config.set_main_option("path_separator", "os")
        self._create()
        try:
            # One write transaction: a second process waits for it and then has nothing to migrate.
            with self._translated(), self._writer.begin() as connection:
                config.attributes["connection"] = connection
                alembic.command.upgrade(config, "head")
        except CommandError as error:
            raise StoreError(f"{self.path} was not made by this version or an older one: {error}") from error

    def check(self, *, limit_s: float | None = None) -> bool:
        """Run SQLite's integrity check without that of the indexes (PRAGMA quick_check).

        Args:
            limit_s: stop after this many seconds; None: no limit.

        Returns:
            True when the check was completed within the limit.

        Raises:
            StoreUnavailable: the database is damaged or missing.
        """
        deadline = None if limit_s is None else time.monotonic() + limit_s
        try:
            with closing(self._connect(query_only=True)) as connection:
                if deadline is not None:
                    connection.set_progress_handler(lambda: time.monotonic() > deadline, PROGRESS_STEPS)
                errors = integrity_errors(connection)
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
                return False
            raise StoreUnavailable(self._message(error)) from error
        if errors:
            raise StoreUnavailable(DAMAGED.format(path=self.path, what=errors[0]))
        return True

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """Open a session that may write; commits at the end, rolls back on any exception.

        Not re-entrant: a nested one waits for the outer one until the timeout.

        Raises:
            StoreUnavailable: database locked, full, read-only, damaged or missing.
        """
        with self._translated(), Session(self._writer) as session, session.begin():
            yield session

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Open a session that reads one consistent snapshot and cannot write.

        Raises:
            StoreUnavailable: database damaged or missing, or a write was tried.
        """
        with self._translated(), Session(self._reader) as session:
            yield session

    def close(self) -> None:
        """Close every connection."""
        self._writer.dispose()
        self._reader.dispose()

    def _require_local_disk(self) -> None:
        found = network_type(self.path.parent)
        if found is not None:
            raise StoreError(
                f"{self.path} is on a network file system ({found}), where SQLite loses data: "
                "put the database on a local disk"
            )

    def _message(self, error: BaseException | None) -> str:
        if getattr(error, "sqlite_errorcode", None) in DAMAGE_CODES:
            return DAMAGED.format(path=self.path, what=error)
        return str(error)

    def _create(self) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.touch(mode=0o640)
            with closing(self._connect()) as connection:
                connection.execute("PRAGMA journal_mode=WAL")
        except OSError as error:
            raise StoreUnavailable(f"{self.path}: {error}") from error
        except sqlite3.DatabaseError as error:
            raise StoreUnavailable(f"{self.path}: {self._message(error)}") from error

    def _engine(self, begin: str, *, query_only: bool = False, **pool: int) -> Engine:
        engine = create_engine(
            "sqlite://",
            creator=lambda: self._connect(query_only=query_only),
            poolclass=QueuePool,
            pool_timeout=self._busy_timeout_s,
            **pool,
        )

        @event.listens_for(engine, "begin")
        def _begin(connection: Connection) -> None:
            connection.exec_driver_sql(begin)

        @event.listens_for(engine, "connect")
        def _store_inode(_: Any, record: Any) -> None:
            record.info["inode"] = self._inode()

        @event.listens_for(engine, "checkout")
        def _compare_inode(_: Any, record: Any, __: Any) -> None:
            # SQLite reports no error when it writes to a file that was removed or replaced.
            if record.info["inode"] != self._inode():
                raise DisconnectionError

        return engine

    def _connect(self, *, query_only: bool = False) -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"file:{quote(os.fsencode(self.path))}?mode=rw",
            uri=True,
            timeout=self._busy_timeout_s,
            isolation_level=None,  # `_engine` issues BEGIN
            check_same_thread=False,  # the pool hands a connection to one thread at a time
        )
        try:
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA foreign_keys=ON")
            connection.execute(f"PRAGMA query_only={int(query_only)}")
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    def _inode(self) -> int | None:
        try:
            return self.path.stat().st_ino
        except OSError:
            return None

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except PoolTimeout as error:
            raise StoreUnavailable(str(error)) from error
        except DatabaseError as error:
            # Integrity and programming errors are bugs, not trouble of the disk.
            if not isinstance(error, OperationalError) and type(error) is not DatabaseError:
                raise
            raise StoreUnavailable(self._message(error.orig)) from error


def integrity_errors(connection: sqlite3.Connection) -> list[str]:
    """Return the errors that PRAGMA quick_check reports; sqlite3.DatabaseError if it cannot run."""
    # A row may hold several lines, the first of them the name of the database.
    texts = [str(row[0]) for row in connection.execute("PRAGMA quick_check")]
    lines = [line for text in texts for line in text.splitlines() if not line.startswith("***")]
    return [] if lines == ["ok"] else lines
