"""Strips that were looked at in vain: what a picture and a coded report say of each reason."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pydicom.sr.coding import Code

from dicom_node.report import codes
from inference.errors import Implausible, LowAgreement, NoCycle
from inference.types import StripResult


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """One reason in words, and in the words of CID 42."""

    sentence: str
    code: Code


REFUSALS: Final[Mapping[str, Refusal]] = {
    error.reason: Refusal(sentence=str(error.__doc__), code=code)
    for error, code in (
        (NoCycle, codes.NOT_ATTEMPTED),
        (Implausible, codes.OUT_OF_RANGE),
        (LowAgreement, codes.INDETERMINATE),
    )
}
"""The other reasons are of the file: nothing was looked at."""


def refusal_of(result: StripResult) -> Refusal | None:
    """Return why a strip that was looked at has no numbers; None when measured or never looked at."""
    return None if result.region is None else REFUSALS.get(result.reason or "")
