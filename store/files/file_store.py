"""The files of the data folder: received instances, results, conflicts. Only this module builds their paths.

Methods that store a file return after file and folder are synced to disk. No file is overwritten: it
gets its final name by a hard link, which fails when the name exists.
"""

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Literal

from store.errors import StoreError, StoreUnavailable
from store.files.digest import data_set_sha256
from store.files.fsync import sync
from store.files.uids import check_uid


@dataclass(frozen=True, kw_only=True)
class KeptFile:
    """A file that is synced to disk."""

    path: str
    """Relative to the data folder, with forward slashes."""
    sha256: str
    """Of the data set, see `data_set_sha256`."""
    size_bytes: int
    outcome: Literal["new", "duplicate", "conflict", "adopted"]
    """"duplicate": the file existed with the same data set; "conflict": with another one, so this one is
    in conflicts/; "adopted": with another one, which is used instead (results only)."""


class FileStore:
    """The data folder with instances/, conflicts/, results/ and incoming/, all on one volume.

    Args:
        data_dir: created if missing.
        reserve_bytes: free space below which `require_room` refuses.

    Raises:
        StoreUnavailable: the folders cannot be created.
    """

    def __init__(self, data_dir: Path, *, reserve_bytes: int = 0) -> None:
        self._root = data_dir.absolute()
        self._reserve_bytes = reserve_bytes
        self._durable: set[Path] = set()
        self.incoming = self._root / "incoming"
        """Folder for data sets that are being received."""
        with _disk():
            for name in ("instances", "conflicts", "results", "incoming"):
                (self._root / name).mkdir(parents=True, exist_ok=True, mode=0o750)
            sync(self._root)

    def keep_instance(self, received: Path, *, study_uid: str, sop_instance_uid: str) -> KeptFile:
        """Move a received file to instances/, or to conflicts/ if the UID exists with other bytes.

        `received` must be on the same volume (see `incoming`). It is removed on success and left to the
        caller on an error. A "duplicate" may have no row: so it is after a crash between file and row.

        Raises:
            InvalidUID: one of the UIDs is invalid; no file was changed.
            StoreUnavailable: the disk is full, read-only or failing.
            StoreError: `received` is not a DICOM file.
        """
        folder = self._root / "instances" / check_uid(study_uid)
        name = check_uid(sop_instance_uid)
        with _disk():
            kept = self._place(received, folder / f"{name}.dcm")
            if kept.outcome == "conflict":
                aside = self._conflict_path(name, kept.sha256)
                kept = replace(self._place(received, aside), outcome="conflict")
            received.unlink()
        return kept

    def keep_result(self, data: bytes, *, study_uid: str, sop_instance_uid: str) -> KeptFile:
        """Write a result object to results/; equal bytes a second time are a "duplicate".

        If the UID exists with other bytes, that file is "adopted": it may have been sent already, and
        a SOP Instance UID must not stand for two contents. This happens after the database was
        restored, and after an update of the program in the middle of a job.

        Raises:
            InvalidUID: one of the UIDs is invalid.
            StoreUnavailable: the disk is full, read-only or failing.
            StoreError: `data`, or the existing file, is not a DICOM file.
        """
        folder = self._root / "results" / check_uid(study_uid)
        target = folder / f"{check_uid(sop_instance_uid)}.dcm"
        temporary = target.with_suffix(".part")
        self.require_room()
        with _disk():
            self._make_durable(folder)
            try:
                temporary.write_bytes(data)
                kept = self._place(temporary, target)
            finally:
                temporary.unlink(missing_ok=True)
            if kept.outcome == "conflict":
                size_bytes = target.stat().st_size
                return replace(kept, outcome="adopted", sha256=data_set_sha256(target), size_bytes=size_bytes)
        return kept

    def move_to_conflicts(self, path: str, sha256: str, *, sop_instance_uid: str) -> KeptFile:
        """Move a file from instances/ to conflicts/: the row of its UID has another digest.

        Raises:
            StoreUnavailable: the disk is full, read-only or failing.
        """
        source = self.absolute(path)
        with _disk():
            moved = self._place(source, self._conflict_path(check_uid(sop_instance_uid), sha256))
            source.unlink()
        return replace(moved, outcome="conflict")

    def keep_version(self, kept: KeptFile, *, study_uid: str, sop_instance_uid: str) -> KeptFile:
        """Link a file to a name of its own in instances/, beside the version of its UID that it corrects.

        Raises:
            StoreUnavailable: the disk is full, read-only or failing.
        """
        name = f"{check_uid(sop_instance_uid)}.{kept.sha256[:16]}.dcm"
        source, target = self.absolute(kept.path), self._root / "instances" / check_uid(study_uid) / name
        with _disk():
            version = self._place(source, target)
            if source != target:
                source.unlink()
        return version

    def remove(self, paths: Iterable[str]) -> int:
        """Delete files, given by relative path; missing ones are not an error.

        Returns:
            The bytes freed.

        Raises:
            StoreUnavailable: the disk is read-only or failing.
        """
        freed, folders = 0, set()
        with _disk():
            for path in map(self.absolute, paths):
                if path.exists():
                    freed += path.stat().st_size
                    path.unlink()
                    folders.add(path.parent)
            for folder in folders:
                sync(folder)
                # Only empty study folders are removed; conflicts/ has no folders inside.
                if folder.parent != self._root and not any(folder.iterdir()):
                    folder.rmdir()
        return freed

    def conflicts_before(self, when: datetime) -> list[str]:
        """Return the relative paths of the files in conflicts/ last modified before a time."""
        with _disk():
            folder = self._root / "conflicts"
            return [
                self._relative(path)
                for path in sorted(folder.iterdir())
                if path.stat().st_mtime < when.timestamp()
            ]

    def free_bytes(self) -> int:
        """Return the free bytes on the volume for an unprivileged user.

        Raises:
            StoreUnavailable: the folder is missing or the disk failing.
        """
        with _disk():
            return shutil.disk_usage(self._root).free

    def require_room(self) -> None:
        """Refuse to write files while the database still has room to record the refusal.

        Raises:
            StoreUnavailable: less than `reserve_bytes` are free.
        """
        if self._reserve_bytes and self.free_bytes() < self._reserve_bytes:
            raise StoreUnavailable(f"less than {self._reserve_bytes >> 20} MB are free in the data folder")

    def absolute(self, relative: str) -> Path:
        """Return the absolute path of a file given by its path relative to the data folder.

        Raises:
            StoreError: the path is absolute or contains `..`.
        """
        path = PurePosixPath(relative)
        if path.is_absolute() or ".." in path.parts:
            raise StoreError(f"{relative!r} is outside the data folder")
        return self._root / path

    def clear_incoming(self, *, now: datetime, untouched_s: float = 0.0) -> int:
        """Delete incomplete files that a killed receiver left in incoming/; return how many.

        Args:
            now: the time of day.
            untouched_s: keep files modified within so many seconds: another receiver may be writing them.
        """
        newest = now.timestamp() - untouched_s
        with _disk():
            orphans = [path for path in self.incoming.iterdir() if path.stat().st_mtime <= newest]
            for path in orphans:
                path.unlink()
        return len(orphans)

    def instance_paths(self) -> Iterator[str]:
        """Yield the relative paths of all files in instances/, with or without a row."""
        with _disk():
            for path in self._root.glob("instances/*/*.dcm"):
                yield self._relative(path)

    def _place(self, source: Path, target: Path) -> KeptFile:
        sha256 = data_set_sha256(source)
        sync(source)
        self._make_durable(target.parent)
        outcome: Literal["new", "duplicate", "conflict"] = "new"
        try:
            os.link(source, target)
        except FileExistsError:
            outcome = "duplicate" if data_set_sha256(target) == sha256 else "conflict"
        # For a duplicate too: the process that linked it may not have synced the folder yet.
        sync(target.parent)
        size_bytes = source.stat().st_size
        return KeptFile(path=self._relative(target), sha256=sha256, size_bytes=size_bytes, outcome=outcome)

    def _make_durable(self, folder: Path) -> None:
        if folder in self._durable and folder.is_dir():
            return
        folder.mkdir(exist_ok=True, mode=0o750)
        # Even if it existed: the process that made it may not have synced its parent yet.
        sync(folder.parent)
        self._durable.add(folder)

    def _conflict_path(self, name: str, sha256: str) -> Path:
        return self._root / "conflicts" / f"{name}.{sha256[:16]}.dcm"

    def _relative(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()


@contextmanager
def _disk() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreUnavailable(f"{error.strerror}: {error.filename or 'data folder'}") from error
