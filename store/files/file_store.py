"""The files of the data folder: received instances, results, conflicts. Their paths are built in `layout`.

Methods that store a file return after file and folder are synced to disk. No file is overwritten: it
gets its final name by a hard link, which fails when the name exists.
"""

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path, PurePosixPath

from store.errors import StoreError, StoreUnavailable
from store.files import layout
from store.files.digest import data_set_sha256
from store.files.fsync import sync
from store.files.incoming import Incoming
from store.files.placing import KeptFile, Placing, disk_errors


class FileStore(Incoming):
    """The data folder with instances/, conflicts/, results/ and incoming/, all on one volume.

    Args:
        data_dir: created if missing.
        reserve_bytes: free space below which `require_room` refuses.

    Raises:
        StoreUnavailable: the folders cannot be created.
    """

    def __init__(self, data_dir: Path, *, reserve_bytes: int = 0) -> None:
        super().__init__(data_dir.absolute())
        self._reserve_bytes = reserve_bytes
        self._placing = Placing(self._root)
        with disk_errors():
            for name in ("instances", "conflicts", "results", "incoming"):
                (self._root / name).mkdir(parents=True, exist_ok=True, mode=0o750)
            sync(self._root)

    def keep_instance(self, received: Path, *, study_uid: str, sop_instance_uid: str) -> KeptFile:
        """Link a received file into instances/, or into conflicts/ if the UID exists with other bytes.

        `received` must be on the same volume (see `incoming`). It stays until the caller has written the row
        and removes it: whoever finds it after a crash knows by its links that there is a file without a row
        (see `linked_leftovers`). A "duplicate" may have no row for the same reason.

        Raises:
            InvalidUID: one of the UIDs is invalid; no file was changed.
            StoreUnavailable: the disk is full, read-only or failing.
            StoreError: `received` is not a DICOM file.
        """
        target = layout.existing_or_new(self._root, "instances", study_uid, sop_instance_uid)
        with disk_errors():
            kept = self._placing.place(received, target)
            if kept.outcome == "conflict":
                aside = layout.conflict(self._root, sop_instance_uid, kept.sha256)
                kept = replace(self._placing.place(received, aside), outcome="conflict")
        return kept

    def result_path(self, *, study_uid: str, sop_instance_uid: str) -> str:
        """Return the relative path at which `keep_result` keeps a result.

        Raises:
            InvalidUID: one of the UIDs is invalid.
        """
        return self._relative(layout.existing_or_new(self._root, "results", study_uid, sop_instance_uid))

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
        target = layout.existing_or_new(self._root, "results", study_uid, sop_instance_uid)
        temporary = layout.temporary(target)
        self.require_room()
        with disk_errors():
            self._placing.make_durable(target.parent)
            try:
                temporary.write_bytes(data)
                kept = self._placing.place(temporary, target)
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
        with disk_errors():
            moved = self._placing.place(source, layout.conflict(self._root, sop_instance_uid, sha256))
            source.unlink()
        return replace(moved, outcome="conflict")

    def keep_version(self, kept: KeptFile, *, study_uid: str, sop_instance_uid: str) -> KeptFile:
        """Link a file to a name of its own in instances/, beside the version of its UID that it corrects.

        Raises:
            StoreUnavailable: the disk is full, read-only or failing.
        """
        source = self.absolute(kept.path)
        target = layout.version(self._root, study_uid, sop_instance_uid, kept.sha256)
        with disk_errors():
            version = self._placing.place(source, target)
            if source != target:
                source.unlink()
        return version

    def versions(self, *, study_uid: str, sop_instance_uid: str) -> list[str]:
        """Return the relative paths of all files of a UID in instances/, in either layout.

        Raises:
            StoreUnavailable: the disk is failing.
        """
        with disk_errors():
            return [self._relative(path) for path in layout.versions(self._root, study_uid, sop_instance_uid)]

    def remove(self, paths: Iterable[str]) -> int:
        """Delete files, given by relative path, also half-written ones; missing ones are not an error.

        Returns:
            The bytes freed.

        Raises:
            StoreUnavailable: the disk is read-only or failing.
        """
        freed, folders = 0, set()
        with disk_errors():
            whole = [self.absolute(path) for path in paths]
            for path in (*whole, *map(layout.temporary, whole)):
                if path.exists():
                    freed += path.stat().st_size
                    path.unlink()
                    folders.add(path.parent)
            for folder in folders:
                sync(folder)
                # Only empty folders of studies are removed: those that spread them will be used again.
                if (
                    len(folder.name) > layout.DIGITS
                    and folder.parent != self._root
                    and not any(folder.iterdir())
                ):
                    folder.rmdir()
        return freed

    def conflicts_before(
        self, when: datetime, *, after: str = "", folders: int = 100
    ) -> tuple[list[str], str]:
        """Return the relative paths of files in conflicts/ last modified before a time, of some folders.

        Args:
            when: the time.
            after: the name of the folder after which to begin.
            folders: how many folders to look into.

        Returns:
            The paths, and the name with which to go on; "" when the last folder was looked into.
        """
        with disk_errors():
            top = self._root / "conflicts"
            # Files of versions before 0007 lie in the folder itself.
            old = [path for path in layout.entries(top) if path.suffix == ".dcm"] if not after else []
            names = [path.name for path in layout.entries(top) if path.suffix != ".dcm" and path.name > after]
            for name in names[:folders]:
                old += layout.entries(top / name)
            old = [path for path in old if path.stat().st_mtime < when.timestamp()]
        return [self._relative(path) for path in old], names[folders - 1] if len(names) > folders else ""

    def free_bytes(self) -> int:
        """Return the free bytes on the volume for an unprivileged user.

        Raises:
            StoreUnavailable: the folder is missing or the disk failing.
        """
        with disk_errors():
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

    def instance_paths(self) -> Iterator[str]:
        """Yield the relative paths of all files in instances/, with or without a row."""
        with disk_errors():
            for path in layout.files(self._root / "instances"):
                yield self._relative(path)

    def _relative(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()
