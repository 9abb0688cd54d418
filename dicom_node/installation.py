"""The identity of this data folder, which its results carry as their device."""

from pathlib import Path

from pydicom.uid import generate_uid

from store.files.fsync import publish

_FILE_NAME = "installation_uid"


def installation_uid(data_dir: Path) -> str:
    """Return the UID of this installation, made on first use and durable from then on.

    Two processes that start at once agree: a link, unlike a rename, fails when the name is taken.

    Raises:
        OSError: the folder cannot be read or written.
    """
    path = data_dir / _FILE_NAME
    if not path.exists():
        publish(f"{generate_uid(prefix=None)}\n".encode(), path, mode=0o640)
    return path.read_text(encoding="ascii").strip()
