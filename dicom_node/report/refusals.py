"""Strips that were analysed without a measurement: text and code of each reason."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pydicom.sr.coding import Code

from dicom_node.report import codes
from inference.errors import Implausible, LowAgreement, NoCycle
from inference.types import StripResult


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """The text of a reason, and its code of CID 42 (PS3.16)."""

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
"""By reason. The other reasons concern the file; no strip was analysed."""


def refusal_of(result: StripResult) -> Refusal | None:
    """Return the refusal of a strip that was analysed; None if it was measured or not analysed."""
    return None if result.region is None else REFUSALS.get(result.reason or "")
