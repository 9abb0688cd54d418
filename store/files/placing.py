"""A file gets its final name by a hard link, which fails when the name exists; file and folder are synced."""

import os
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from store.errors import StoreUnavailable
from store.files import layout
from store.files.digest import data_set_sha256
from store.files.fsync import sync

REMEMBERED_FOLDERS = 1000
"""Folders of studies known to be on the disk; of an older one this is made sure again."""
SPREAD_DEPTH = 2
"""Depth below the data folder of the folders that spread the others: instances/3f7."""


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


class Placing:
    """Puts files below a data folder, and remembers which folders are on the disk."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._spread: set[Path] = set()
        self._durable: OrderedDict[Path, None] = OrderedDict()

    def place(self, source: Path, target: Path) -> KeptFile:
        """Link `source` to `target`, which it may be already; see `KeptFile.outcome` for what was there.

        Raises:
            StoreError: a file is not a DICOM file.
            OSError: the disk is full, read-only or failing.
        """
        sha256, size_bytes = data_set_sha256(source), source.stat().st_size
        sync(source)
        outcome: Literal["new", "duplicate", "conflict"] = "new"
        try:
            self._link(source, target)
        except FileExistsError:
            outcome = "duplicate" if data_set_sha256(target) == sha256 else "conflict"
        # For a duplicate too: the process that linked it may not have synced the folder yet.
        sync(target.parent)
        return KeptFile(
            path=target.relative_to(self._root).as_posix(),
            sha256=sha256,
            size_bytes=size_bytes,
            outcome=outcome,
        )

    def _link(self, source: Path, target: Path) -> None:
        """Link; once more if retention removed the folder, which was empty, just now."""
        self.make_durable(target.parent)
        try:
            os.link(source, target)
        except FileNotFoundError:
            self.make_durable(target.parent)
            os.link(source, target)

    def make_durable(self, folder: Path) -> None:
        """Make a folder below the data folder, and see its name on the disk; OSError if that fails."""
        if folder in self._spread or (folder in self._durable and folder.is_dir()):
            return
        if len(folder.relative_to(self._root).parts) > SPREAD_DEPTH:
            self.make_durable(folder.parent)
        folder.mkdir(exist_ok=True, mode=0o750)
        # Even if it existed: the process that made it may not have synced its parent yet.
        sync(folder.parent)
        if len(folder.name) == layout.DIGITS:
            self._spread.add(folder)  # never removed, and there are only so many
            return
        self._durable[folder] = None
        if len(self._durable) > REMEMBERED_FOLDERS:
            self._durable.popitem(last=False)


@contextmanager
def disk_errors() -> Iterator[None]:
    """Turn errors of the disk into StoreUnavailable."""
    try:
        yield
    except OSError as error:
        raise StoreUnavailable(f"{error.strerror}: {error.filename or 'data folder'}") from error
