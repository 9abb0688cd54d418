"""The identity of this data folder, which its results carry as their device."""

import os
from pathlib import Path

from pydicom.uid import generate_uid

_FILE_NAME = "installation_uid"


def installation_uid(data_dir: Path) -> str:
    """Return the UID of this installation, made on first use and durable from then on.

    Two processes that start at once agree: a link, unlike a rename, fails when the name is taken.

    Raises:
        OSError: the folder cannot be read or written.
    """
    path = data_dir / _FILE_NAME
    if not path.exists():
        _publish(generate_uid(prefix=None), path)
    return path.read_text(encoding="ascii").strip()


def _publish(uid: str, path: Path) -> None:
    draft = path.with_name(f"{_FILE_NAME}.{uid}")
    with draft.open("w", encoding="ascii") as file:
        file.write(f"{uid}\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        path.hardlink_to(draft)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)
