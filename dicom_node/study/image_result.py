"""The result of analysing one image, and what its row and the audit log keep of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pydicom import Dataset

from inference.errors import InferenceError, PixelDataError
from inference.image.attributes import attribute
from inference.image.reading import ImageFile, read_image
from inference.types import StripResult
from store.rows.instances import Instance

Analyse = Callable[[Dataset], Sequence[StripResult]]

_REQUIRED = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")
# Measurements of a strip that the audit log repeats.
_AUDITED = ("LVIDd_cm", "LVIDs_cm", "EF_percent")


@dataclass(frozen=True, kw_only=True)
class ImageResult:
    """One image of the study and the results of its M-mode strips (at least one entry)."""

    image: Instance
    strips: Sequence[StripResult]

    @property
    def measured(self) -> bool:
        """True when at least one strip was measured."""
        return any(strip.measured for strip in self.strips)

    @property
    def reason(self) -> str | None:
        """The reason of the first strip, one of those of `inference.errors`; None when measured."""
        return None if self.measured else next(strip.reason for strip in self.strips)

    def detail(self) -> Mapping[str, object]:
        """Return what row and audit log keep, as JSON: one entry per strip, no patient data."""
        return {"strips": [_audited(strip) for strip in self.strips]}


def examine(image: Instance, file: ImageFile, analyse: Analyse) -> ImageResult:
    """Read and measure one stored file; for an unreadable one, return a result with the reason.

    Raises:
        MemoryError: the memory limit does not suffice for the file.
    """
    try:
        dataset = read_image(file)
    except InferenceError as error:
        return unusable(image, str(error), reason=error.reason)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - pydicom raises any type on malformed files
        # Without the message, which may quote patient data.
        return unusable(image, f"the file cannot be read: {type(error).__name__}")
    missing = [keyword for keyword in _REQUIRED if not _is_single(attribute(dataset, keyword))]
    if missing:
        return unusable(image, f"no report can refer to it without {', '.join(missing)}")
    return ImageResult(image=image, strips=analyse(dataset))


def _is_single(uid: object) -> bool:
    """Tell whether an attribute has exactly one, non-empty value."""
    return isinstance(uid, str) and bool(uid)


def unusable(image: Instance, detail: str, *, reason: str = PixelDataError.reason) -> ImageResult:
    """Return the result of an image that cannot be analysed."""
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
    withheld = {"withheld": list(strip.withheld)} if strip.withheld else {}
    return {**frames, "cycles": len(strip.used), "probability": probability, **numbers, **withheld}
