"""The UIDs and names by which this node is known in associations and in its results; derived UIDs."""

import hashlib
import uuid
from collections.abc import Mapping
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
    """Return a UID that depends only on `parts`, so that a retry sends an object under the same UID.

    It is a UUID under the root 2.25 (PS3.5 B.2), made of the first 16 bytes of the parts' SHA-256.
    """
    digest = hashlib.sha256("\0".join(parts).encode()).digest()
    return f"2.25.{uuid.UUID(bytes=digest[:16], version=5).int}"


def is_own(ds: Dataset | Mapping[str, str]) -> bool:
    """Tell whether echonode made `ds`: a result that comes back from the PACS must not be measured."""
    return (ds.get("Manufacturer"), ds.get("ManufacturerModelName")) == (MANUFACTURER, MODEL_NAME)


def installation_uid(data_dir: Path) -> str:
    """Return the UID of this installation; the first call creates it in the data folder.

    Processes that call it for the first time at once get the same UID.

    Raises:
        OSError: the folder cannot be read or written.
    """
    path = data_dir / INSTALLATION_FILE
    if not path.exists():
        publish(f"{generate_uid(prefix=None)}\n".encode(), path, mode=0o640)
    return path.read_text(encoding="ascii").strip()
