"""HTTP Basic authentication (RFC 7617) of the web port."""

import base64
import binascii
import hmac
from dataclasses import dataclass, field
from pathlib import Path

from dicom_node.errors import NodeError
from dicom_node.settings.fields import is_loopback
from dicom_node.settings.sections import WebSettings

FORBIDDEN_MODE = 0o027
"""Permissions that the file must not have: group write and execute, anything for others."""


class PasswordUnusable(NodeError):
    """The password file of [web] cannot be used."""


@dataclass(frozen=True, kw_only=True)
class Password:
    """User name and password; neither appears in `repr`."""

    user: str = field(repr=False)
    word: str = field(repr=False)

    @classmethod
    def of(cls, web: WebSettings) -> "Password | None":
        """Read the password file; None on a loopback address without one.

        Raises:
            PasswordUnusable: the file is missing, its first line empty, or its mode too open.
        """
        if is_loopback(web.host) and not web.password_file:
            return None
        path = Path(web.password_file)
        try:
            mode = path.stat().st_mode & 0o777
            word = path.read_text(encoding="utf-8").partition("\n")[0].strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "is no text"
            raise PasswordUnusable(f"web.password_file {path}: {reason}") from error
        if mode & FORBIDDEN_MODE:
            raise PasswordUnusable(f"web.password_file {path}: mode {mode:04o} lets others in, make it 0640")
        if not word:
            raise PasswordUnusable(f"web.password_file {path}: its first line is empty")
        return cls(user=web.user, word=word)

    def fits(self, header: str) -> bool:
        """Tell whether an Authorization header is right; the comparison takes constant time."""
        scheme, _, given = header.partition(" ")
        try:
            decoded = base64.b64decode(given.strip(), validate=True)
        except (binascii.Error, ValueError):
            return False
        right = hmac.compare_digest(decoded, f"{self.user}:{self.word}".encode())
        return right and scheme.lower() == "basic"
