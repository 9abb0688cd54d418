"""What reports say of strips that were not measured, values withheld, and frames that cannot be decoded."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pydicom.sr.coding import Code

from dicom_node.report import codes
from dicom_node.report.quantities import BY_KEY
from inference.errors import Implausible, LowAgreement, NoCycle
from inference.types import LENGTHS, StripResult


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
LO_LENGTH: Final = 64
"""Most characters of such a text (PS3.5 6.2)."""


def refusal_of(result: StripResult) -> Refusal | None:
    """Return the refusal of a strip that was analysed; None if it was measured or not analysed."""
    return None if result.region is None else REFUSALS.get(result.reason or "")


def gaps(*results: StripResult) -> list[str]:
    """Return a sentence each on the frames that could not be decoded and on the values withheld, if any."""
    return [*refused_frames(*results), *withheld_lengths(*results)]


def withheld_lengths(*results: StripResult) -> list[str]:
    """Return the sentence that names the lengths whose borders are too doubtful; nothing without any."""
    names = [BY_KEY[key].label for key in LENGTHS if any(key in result.withheld for result in results)]
    return [f"Border too doubtful for {', '.join(names)}."] if names else []


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
