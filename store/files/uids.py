"""The syntax of DICOM UIDs (PS3.5 9.1)."""

import re

from store.errors import InvalidUID

UID = re.compile(r"[0-9]+(\.[0-9]+)*")
MAX_UID_LENGTH = 64


def check_uid(uid: str) -> str:
    """Return `uid` unchanged if it is a valid UID, and so safe as a file name.

    Raises:
        InvalidUID: empty, longer than 64 characters, or anything but digits between dots.
    """
    if len(uid) > MAX_UID_LENGTH or not UID.fullmatch(uid):
        # The message does not quote the value: in a malformed file it may be a patient's name.
        raise InvalidUID(f"{len(uid)} characters that are not a UID")
    return uid
