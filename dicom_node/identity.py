"""Who this node is on the wire and in its results, and how a result gets the same UID on every attempt."""

import hashlib
import uuid
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from dicom_node import __version__
from store.files.fsync import publish

MANUFACTURER = "echonode"
MODEL_NAME = "echonode M-mode LV"
CODING_SCHEME_DESIGNATOR = "99ECHONODE"
CODING_SCHEME_UID = "2.25.132169564493591945755852829841852306627"
IMPLEMENTATION_CLASS_UID = "2.25.149314226040326233442841187557033410918"
IMPLEMENTATION_VERSION_NAME = f"ECHONODE_{__version__}"[:16]

INSTALLATION_FILE = "installation_uid"


def derived_uid(*parts: str) -> str:
    """Return the UID that belongs to these parts, equal ones for equal parts, on any machine.

    A retry must send the very object it sent before, so no result UID is random. The root 2.25
    (PS3.5 B.2) takes a UUID as its one component; ours is the SHA-256 of the parts.
    """
    digest = hashlib.sha256("\0".join(parts).encode()).digest()
    return f"2.25.{uuid.UUID(bytes=digest[:16], version=5).int}"


def is_own(ds: Dataset) -> bool:
    """Tell whether this node made `ds`, which may come back from the PACS and must not be measured."""
    return (ds.get("Manufacturer"), ds.get("ManufacturerModelName")) == (MANUFACTURER, MODEL_NAME)


def installation_uid(data_dir: Path) -> str:
    """Return the UID of this installation, made on first use and durable from then on.

    Two processes that start at once agree: a link, unlike a rename, fails when the name is taken.

    Raises:
        OSError: the folder cannot be read or written.
    """
    path = data_dir / INSTALLATION_FILE
    if not path.exists():
        publish(f"{generate_uid(prefix=None)}\n".encode(), path, mode=0o640)
    return path.read_text(encoding="ascii").strip()
