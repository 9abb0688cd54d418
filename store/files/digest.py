"""The digest by which two copies of a DICOM object are compared."""

import hashlib
from pathlib import Path

from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info

from store.errors import StoreError

CHUNK_BYTES = 1 << 20
META_START_BYTES = 128 + 4 + 12
"""Preamble, prefix and File Meta Information Group Length, which counts the bytes after it (PS3.10 7.1)."""


def data_set_sha256(path: Path) -> str:
    """Return the SHA-256 over the Transfer Syntax UID and the data set of a DICOM file, in hexadecimal.

    The rest of the file meta information does not count: it names the sender and the receiver.

    Raises:
        StoreError: the file is not a DICOM file (PS3.10 7.1).
        OSError: it cannot be read.
    """
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
