"""The SQLite database of a node: transactions of several processes, migrations, integrity check."""

import os
import sqlite3
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

from store.db.integrity import checked_within, integrity_errors
from store.db.upgrade import is_current, migrate
from store.db.write_lock import holding
from store.errors import StoreError, StoreUnavailable
from store.files.filesystems import network_type

SCHEME = "sqlite:///"

DAMAGED = "the database {path} is damaged ({what}); stop the node and run `echonode restore BACKUP`"
DAMAGE_CODES = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
START_CHECK_S = 1.0
"""Time limit of the integrity check at the start of a process. `echonode check` and `backup` have none."""
WAL_LIMIT_BYTES = 64 * 2**20
"""A write-ahead log that a long reader let grow beyond it is cut again."""


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

        A database that has them already is only looked at. The migration of a large one takes minutes and is
        announced in the log; whoever comes meanwhile waits for its end.

        Raises:
            StoreUnavailable: the folder cannot be written, or the database is locked or damaged.
            StoreError: the tables are of a newer version, or the file is on a network file system.
        """
        self._require_local_disk()
        if self.path.exists() and is_current(self.path):
            return
        self._create()
        try:
            with self._translated():
                migrate(self.path, self._writer)
        except OSError as error:
            raise StoreUnavailable(f"{self.path}: {error}") from error

    def check(self, *, limit_s: float | None = None) -> bool:
        """Run SQLite's integrity check without that of the indexes (PRAGMA quick_check).

        Args:
            limit_s: stop after this many seconds, and of a large database read only what is new (see
                `checked_within`); None: no limit, everything is read.

        Returns:
            True when the check was completed.

        Raises:
            StoreUnavailable: the database is damaged or missing.
        """
        try:
            with closing(self._connect(query_only=True)) as connection:
                errors = (
                    integrity_errors(connection) if limit_s is None else checked_within(connection, limit_s)
                )
        except sqlite3.DatabaseError as error:
            raise StoreUnavailable(self._message(error)) from error
        if errors:
            raise StoreUnavailable(DAMAGED.format(path=self.path, what=errors[0]))
        return errors is not None

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """Open a session that may write; commits at the end, rolls back on any exception.

        Others wait for its end: nothing slow belongs inside.

        Raises:
            StoreUnavailable: database locked, full, read-only, damaged or missing.
            NestedTransaction: a bug, this thread is inside another one.
        """
        with holding(self.path), self._translated(), Session(self._writer) as session, session.begin():
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
            connection.execute(f"PRAGMA journal_size_limit={WAL_LIMIT_BYTES}")
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
