"""Files of the node: bytes in, durable paths out. The only builder of paths.

A path is returned only when file and folder are on the disk, and no file is ever overwritten: it gets
its final name by a hard link, which fails when the name is taken.
"""

import hashlib
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Literal

from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info

from store.errors import InvalidUID, StoreError, StoreUnavailable
from store.files.fsync import sync

UID = re.compile(r"[0-9]+(\.[0-9]+)*")
MAX_UID_LENGTH = 64
CHUNK_BYTES = 1 << 20
META_START_BYTES = 128 + 4 + 12
"""Preamble, prefix and the group length element, which counts what follows it (PS3.10 7.1)."""


def check_uid(uid: str) -> str:
    """Return the UID if it is one (PS3.5 9.1), which also makes it safe as a file name.

    Raises:
        InvalidUID: empty, longer than 64 characters, or anything but digits between dots.
    """
    if len(uid) > MAX_UID_LENGTH or not UID.fullmatch(uid):
        # Not the value: anything may stand where a UID should, a patient's name too.
        raise InvalidUID(f"{len(uid)} characters that are not a UID")
    return uid


@dataclass(frozen=True, kw_only=True)
class KeptFile:
    """A durable file."""

    path: str
    """Relative to the data folder, with forward slashes."""
    sha256: str
    """Over the transfer syntax UID and the data set as received, without the file meta information."""
    size_bytes: int
    outcome: Literal["new", "duplicate", "conflict", "adopted"]


class FileStore:
    """The data folder: instances/, conflicts/, results/ and incoming/, all on one volume.

    Args:
        data_dir: made when it is not there.
        reserve_bytes: what must stay free, see `require_room`.

    Raises:
        StoreUnavailable: the folders cannot be made.
    """

    def __init__(self, data_dir: Path, *, reserve_bytes: int = 0) -> None:
        self._root = data_dir.absolute()
        self._reserve_bytes = reserve_bytes
        self._durable: set[Path] = set()
        self.incoming = self._root / "incoming"
        """Where the receiver writes what is still arriving."""
        with _disk():
            for name in ("instances", "conflicts", "results", "incoming"):
                (self._root / name).mkdir(parents=True, exist_ok=True, mode=0o750)
            sync(self._root)

    def keep_instance(self, received: Path, *, study_uid: str, sop_instance_uid: str) -> KeptFile:
        """Make a received file durable under its UIDs, or aside in conflicts/ when they are taken.

        `received` must be on the same volume (see `incoming`); it is gone afterwards, and left to
        the caller on an error. A "duplicate" may lack its row: a crash between file and row leaves one.

        Raises:
            InvalidUID: a UID that is none; nothing was touched.
            StoreUnavailable: the disk is full, read-only or failing.
            StoreError: `received` is no DICOM file.
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
        """Make one of our own objects durable; the same bytes a second time are a "duplicate".

        When the UID is taken by other bytes, those are "adopted": they may have been sent already,
        and a UID keeps one content. So it is after the database was restored, or when a new
        version took over in the middle of a job.

        Raises:
            InvalidUID: a UID that is none.
            StoreUnavailable: the disk is full, read-only or failing.
            StoreError: `data`, or the file that has its name, is no DICOM file.
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
                return replace(kept, outcome="adopted", sha256=_digest(target), size_bytes=size_bytes)
        return kept

    def set_aside(self, kept: KeptFile, *, sop_instance_uid: str) -> KeptFile:
        """Move a kept instance to conflicts/: its UID turned out to belong to other bytes.

        Raises:
            StoreUnavailable: the disk is full, read-only or failing.
        """
        source = self.absolute(kept.path)
        with _disk():
            aside = self._conflict_path(check_uid(sop_instance_uid), kept.sha256)
            moved = self._place(source, aside)
            source.unlink()
        return replace(moved, outcome="conflict")

    def remove(self, paths: Iterable[str]) -> int:
        """Remove kept files for good; those that are gone already are no error.

        Returns:
            The bytes given back.

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
                # Not empty, or the folder of all conflicts: it stays.
                if folder.parent != self._root and not any(folder.iterdir()):
                    folder.rmdir()
        return freed

    def conflicts_before(self, when: datetime) -> list[str]:
        """Relative paths of the files in conflicts/ that came before a time."""
        with _disk():
            folder = self._root / "conflicts"
            return [
                self._relative(path)
                for path in sorted(folder.iterdir())
                if path.stat().st_mtime < when.timestamp()
            ]

    def free_bytes(self) -> int:
        """Return what is free on the volume for an ordinary user.

        Raises:
            StoreUnavailable: the folder is gone or failing.
        """
        with _disk():
            return shutil.disk_usage(self._root).free

    def require_room(self) -> None:
        """Refuse to write before the disk does: the database must be able to say what happened.

        Raises:
            StoreUnavailable: less than the reserve is free.
        """
        if self._reserve_bytes and self.free_bytes() < self._reserve_bytes:
            raise StoreUnavailable(f"less than {self._reserve_bytes >> 20} MB are free in the data folder")

    def absolute(self, relative: str) -> Path:
        """Where a kept file is.

        Raises:
            StoreError: the path leads out of the data folder.
        """
        path = PurePosixPath(relative)
        if path.is_absolute() or ".." in path.parts:
            raise StoreError(f"{relative!r} is outside the data folder")
        return self._root / path

    def clear_incoming(self, *, now: datetime, untouched_s: float = 0.0) -> int:
        """Remove files that a killed receiver left half written; returns how many.

        Args:
            now: the time of day.
            untouched_s: spare files written to within this time, which a sibling may be receiving.
        """
        newest = now.timestamp() - untouched_s
        with _disk():
            orphans = [path for path in self.incoming.iterdir() if path.stat().st_mtime <= newest]
            for path in orphans:
                path.unlink()
        return len(orphans)

    def instance_paths(self) -> Iterator[str]:
        """Relative paths of all kept instances, with or without a row."""
        with _disk():
            for path in self._root.glob("instances/*/*.dcm"):
                yield self._relative(path)

    def _place(self, source: Path, target: Path) -> KeptFile:
        sha256 = _digest(source)
        sync(source)
        self._make_durable(target.parent)
        outcome: Literal["new", "duplicate", "conflict"] = "new"
        try:
            os.link(source, target)
        except FileExistsError:
            outcome = "duplicate" if _digest(target) == sha256 else "conflict"
        # After a duplicate too: who put it there may not have come as far as this.
        sync(target.parent)
        size_bytes = source.stat().st_size
        return KeptFile(path=self._relative(target), sha256=sha256, size_bytes=size_bytes, outcome=outcome)

    def _make_durable(self, folder: Path) -> None:
        if folder in self._durable and folder.is_dir():
            return
        folder.mkdir(exist_ok=True, mode=0o750)
        # Even if it was there: the process that made it may not have synced its parent yet.
        sync(folder.parent)
        self._durable.add(folder)

    def _conflict_path(self, name: str, sha256: str) -> Path:
        return self._root / "conflicts" / f"{name}.{sha256[:16]}.dcm"

    def _relative(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()


def _digest(path: Path) -> str:
    """sha256 over the transfer syntax UID and everything after the file meta (PS3.10 7.1)."""
    try:
        meta = read_file_meta_info(path)
        digest = hashlib.sha256(str(meta.TransferSyntaxUID).encode())
        start = META_START_BYTES + meta.FileMetaInformationGroupLength
    except (InvalidDicomError, AttributeError, EOFError) as error:
        raise StoreError(f"{path.name} is no DICOM file") from error
    with path.open("rb") as file:
        file.seek(start)
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


@contextmanager
def _disk() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreUnavailable(f"{error.strerror}: {error.filename or 'data folder'}") from error
