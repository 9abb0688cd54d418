"""Strips and frames that were looked at in vain: what pictures and reports say of them."""

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
LO_LENGTH: Final = 64
"""Most characters of such a text (PS3.5 6.2)."""


def refusal_of(result: StripResult) -> Refusal | None:
    """Return why a strip that was looked at has no numbers; None when measured or never looked at."""
    return None if result.region is None else REFUSALS.get(result.reason or "")


def refused_frames(*results: StripResult) -> list[str]:
    """Return the sentence that names the frames that could not be decoded, from 1; nothing if all could."""
    numbers = sorted({each.frame + 1 for result in results for each in result.refused_frames})
    if not numbers:
        return []
    frames = f"Frame {numbers[0]}" if len(numbers) == 1 else f"Frames {', '.join(map(str, numbers))}"
    sentence = f"{frames} of the clip could not be decoded."
    return [
        sentence if len(sentence) <= LO_LENGTH else f"{len(numbers)} frames of the clip could not be decoded."
    ]
