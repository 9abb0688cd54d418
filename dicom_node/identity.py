"""Who we are on the wire, and how a result gets the same UID on every attempt."""

import hashlib
import uuid

from pydicom.dataset import Dataset

from dicom_node import __version__

MANUFACTURER = "echonode"
MODEL_NAME = "echonode M-mode LV"
CODING_SCHEME_DESIGNATOR = "99ECHONODE"
CODING_SCHEME_UID = "2.25.132169564493591945755852829841852306627"
IMPLEMENTATION_CLASS_UID = "2.25.149314226040326233442841187557033410918"
IMPLEMENTATION_VERSION_NAME = f"ECHONODE_{__version__}"[:16]


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
