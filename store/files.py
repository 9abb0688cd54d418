"""Files of the node: bytes in, durable paths out. The only builder of paths.

A path is returned only when file and folder are on the disk, and no file is ever overwritten: it gets
its final name by a hard link, which fails when the name is taken.
"""

import hashlib
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Literal

from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info

from store.errors import InvalidUID, StoreError, StoreUnavailable

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
    outcome: Literal["new", "duplicate", "conflict"]


class FileStore:
    """The data folder: instances/, conflicts/, results/ and incoming/, all on one volume.

    Raises:
        StoreUnavailable: the folders cannot be made.
    """

    def __init__(self, data_dir: Path) -> None:
        self._root = data_dir.absolute()
        self._durable: set[Path] = set()
        self.incoming = self._root / "incoming"
        """Where the receiver writes what is still arriving."""
        with _disk():
            for name in ("instances", "conflicts", "results", "incoming"):
                (self._root / name).mkdir(parents=True, exist_ok=True, mode=0o750)
            _fsync(self._root)

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
                aside = self._root / "conflicts" / f"{name}.{kept.sha256[:16]}.dcm"
                kept = replace(self._place(received, aside), outcome="conflict")
            received.unlink()
        return kept

    def keep_result(self, data: bytes, *, study_uid: str, sop_instance_uid: str) -> KeptFile:
        """Make one of our own objects durable; the same bytes a second time are a "duplicate".

        Raises:
            InvalidUID: a UID that is none.
            StoreUnavailable: the disk is full, read-only or failing.
            StoreError: the UID is taken by other bytes, or `data` is no DICOM file.
        """
        folder = self._root / "results" / check_uid(study_uid)
        target = folder / f"{check_uid(sop_instance_uid)}.dcm"
        temporary = target.with_suffix(".part")
        with _disk():
            self._make_durable(folder)
            try:
                temporary.write_bytes(data)
                kept = self._place(temporary, target)
            finally:
                temporary.unlink(missing_ok=True)
        if kept.outcome == "conflict":
            raise StoreError(f"another result is already kept as {kept.path}")
        return kept

    def absolute(self, relative: str) -> Path:
        """Where a kept file is.

        Raises:
            StoreError: the path leads out of the data folder.
        """
        path = PurePosixPath(relative)
        if path.is_absolute() or ".." in path.parts:
            raise StoreError(f"{relative!r} is outside the data folder")
        return self._root / path

    def clear_incoming(self, *, untouched_s: float = 0.0) -> int:
        """Remove files that a killed receiver left half written; returns how many.

        Args:
            untouched_s: spare files written to within this time, which a sibling may be receiving.
        """
        newest = time.time() - untouched_s
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
        _fsync(source)
        self._make_durable(target.parent)
        outcome: Literal["new", "duplicate", "conflict"] = "new"
        try:
            os.link(source, target)
        except FileExistsError:
            outcome = "duplicate" if _digest(target) == sha256 else "conflict"
        # After a duplicate too: who put it there may not have come as far as this.
        _fsync(target.parent)
        size_bytes = source.stat().st_size
        return KeptFile(path=self._relative(target), sha256=sha256, size_bytes=size_bytes, outcome=outcome)

    def _make_durable(self, folder: Path) -> None:
        if folder in self._durable and folder.is_dir():
            return
        folder.mkdir(exist_ok=True, mode=0o750)
        # Even if it was there: the process that made it may not have synced its parent yet.
        _fsync(folder.parent)
        self._durable.add(folder)

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


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _disk() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreUnavailable(f"{error.strerror}: {error.filename or 'data folder'}") from error
