"""What became of one image: its strips, and the words and numbers that rows keep of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom import Dataset

from dicom_node.report.charset import charset_is_missing
from inference.errors import InferenceError, PixelDataError
from inference.image.attributes import attribute
from inference.image.reading import read_image
from inference.types import StripResult
from store.rows.instances import Instance

Analyse = Callable[[Dataset], Sequence[StripResult]]

_NEEDED = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")
# Numbers of a strip that the audit log repeats; the others follow from these.
_AUDITED = ("LVIDd_cm", "LVIDs_cm", "EF_percent")


@dataclass(frozen=True, kw_only=True)
class ImageResult:
    """One image of the study and what was found on each of its strips (at least one entry)."""

    image: Instance
    strips: Sequence[StripResult]
    charset_missing: bool = False
    """The image holds texts and does not say in which character set."""

    @property
    def measured(self) -> bool:
        """True when at least one strip gave numbers."""
        return any(strip.measured for strip in self.strips)

    @property
    def reason(self) -> str | None:
        """Why there is no number, in one word of `inference.errors`; None when measured."""
        return None if self.measured else next(strip.reason for strip in self.strips)

    def detail(self) -> Mapping[str, object]:
        """Return what the audit log keeps: one entry per strip, no patient data."""
        return {"strips": [_audited(strip) for strip in self.strips]}


def examine(image: Instance, path: Path, analyse: Analyse) -> ImageResult:
    """Read one kept file and measure it; a file that cannot be read is a result, not an error.

    Raises:
        MemoryError: the file needs more than there is.
    """
    try:
        dataset = read_image(path)
        charset_missing = charset_is_missing(dataset)
    except InferenceError as error:
        return unusable(image, str(error), reason=error.reason)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - hostile bytes make pydicom raise whatever it likes
        # Not its message, which may quote the patient's data.
        return unusable(image, f"the file cannot be read: {type(error).__name__}")
    missing = [keyword for keyword in _NEEDED if not _is_one(attribute(dataset, keyword))]
    if missing:
        return unusable(image, f"no report can refer to it without {', '.join(missing)}")
    return ImageResult(image=image, strips=analyse(dataset), charset_missing=charset_missing)


def _is_one(uid: object) -> bool:
    """Tell whether this is a UID: not none, not several."""
    return isinstance(uid, str) and bool(uid)


def unusable(image: Instance, detail: str, *, reason: str = PixelDataError.reason) -> ImageResult:
    """Return the result of a file that cannot be used."""
    return ImageResult(image=image, strips=[StripResult(status="not_measured", reason=reason, detail=detail)])


def _audited(strip: StripResult) -> Mapping[str, object]:
    refused = [
        {"frame": each.frame, "reason": each.reason, "detail": each.detail} for each in strip.refused_frames
    ]
    frames = {"frame": strip.frame, **({"refused_frames": refused} if refused else {})}
    if not strip.measured:
        return {**frames, "reason": strip.reason, "detail": strip.detail}
    numbers = {key: round(strip.measurements[key].value, 2) for key in _AUDITED if key in strip.measurements}
    probability = round(strip.cycles[strip.chosen].box.probability, 3) if strip.cycles else None
    return {**frames, "cycles": len(strip.used), "probability": probability, **numbers}
