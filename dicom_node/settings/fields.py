"""The types of single settings, with their validation."""

import ipaddress
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

_HOST_NAME = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*\.?")


def _matches(pattern: str, allowed: str) -> AfterValidator:
    """Validate a text by a regular expression; `allowed` describes it in the error message."""

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(f"must be {allowed}")
        return text

    return AfterValidator(check)


def _ae_title(text: str) -> str:
    """Validate VR AE (PS3.5 6.2): 1 to 16 ASCII characters without backslash, outer spaces insignificant."""
    title = text.strip(" ")
    if not (1 <= len(title) <= 16 and title.isascii() and title.isprintable() and "\\" not in title):  # noqa: PLR2004 - PS3.5 6.2
        raise ValueError("an AE title has 1 to 16 printable ASCII characters and no backslash")
    return title


_CALLING_AE_TITLE = re.compile(r"(?! )(?:[ -\[\]-~]|\\x[0-9a-f]{2}){1,16}(?<! )")


def _calling_ae_title(text: str) -> str:
    r"""Validate the AE title of a peer; bytes other than printable ASCII are escaped, as in the audit log."""
    title = text.strip(" ")
    if not _CALLING_AE_TITLE.fullmatch(title):
        raise ValueError(r"an AE title has 1 to 16 printable ASCII characters, other bytes as \xNN")
    return title


def _host_name_or(address: Callable[[str], object], allowed: str) -> AfterValidator:
    """Validate a host name, or a text that `address` parses without ValueError."""

    def check(text: str) -> str:
        try:
            address(text)
        except ValueError:
            if not _HOST_NAME.fullmatch(text):
                raise ValueError(f"must be {allowed}") from None
        return text

    return AfterValidator(check)


def is_loopback(host: str) -> bool:
    """Tell whether a port bound to this host can be reached from this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _charset(term: str) -> str:
    """Validate a defined term of Specific Character Set (PS3.3 C.12.1.1.2)."""
    from pydicom.charset import python_encoding  # noqa: PLC0415 - half a second of loading

    if term not in python_encoding or not term:
        raise ValueError("must be a defined term of SpecificCharacterSet, such as ISO_IR 100 or GB18030")
    return term


def _folder(path: Path) -> Path:
    if path.exists() and not path.is_dir():
        raise ValueError("must be a folder, or a path where one can be made")
    return path.expanduser().absolute()


DestinationName = Annotated[
    str, _matches(r"[A-Za-z0-9_.-]{1,64}", "1 to 64 letters, digits, dots, dashes or underscores")
]
DatabaseURL = Annotated[str, _matches(r"sqlite:///(?!:memory:).+", "sqlite:///FILE, on a local disk")]
Device = Annotated[str, _matches(r"auto|cpu|cuda(:\d+)?", "auto, cpu, cuda or cuda:N")]
SourceHost = Annotated[
    str,
    _host_name_or(
        partial(ipaddress.ip_network, strict=False),
        "a host name, an IP address or a network such as 192.0.2.0/24",
    ),
]
Folder = Annotated[Path, AfterValidator(_folder)]
AETitle = Annotated[str, AfterValidator(_ae_title)]
PeerAETitle = Annotated[str, AfterValidator(_calling_ae_title)]
Host = Annotated[str, _host_name_or(ipaddress.ip_address, "a host name or an IP address")]
Charset = Annotated[str, AfterValidator(_charset)]
SRTemplate = Literal["tid5200", "tid1500", "tid5300"]
Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]
Days = Annotated[float, Field(ge=0, le=36_500, allow_inf_nan=False)]
Megabytes = Annotated[int, Field(ge=1, le=1_048_576)]
