"""Errors of this package; the docstring of a class is its message where no detail is given.

Every refusal carries a `reason`, one of the words that `measure --json`, the audit log and the instance
rows share (see the README).
"""


class InferenceError(Exception):
    """The image could not be measured."""

    reason = "undecodable"

    def __init__(self, detail: str = "") -> None:
        """`detail` is what was found; without it the message is the docstring of the class."""
        self.detail = detail
        super().__init__(detail or (type(self).__doc__ or "").strip())


class NotUltrasound(InferenceError):
    """The object is no ultrasound image."""

    reason = "not_ultrasound"


class NoPixelData(InferenceError):
    """The object holds no pixel data."""

    reason = "no_pixel_data"


class PixelDataError(InferenceError):
    """The pixel data cannot be decoded."""

    reason = "undecodable"


class TooLarge(InferenceError):
    """Rows x Columns x Frames exceed what the node is willing to decode."""

    reason = "too_large"


class NoMModeRegion(InferenceError):
    """No ultrasound region of this image is an M-mode region."""

    reason = "no_mmode_region"


class Uncalibrated(InferenceError):
    """There is an M-mode region, but its axes are not calibrated in seconds and centimetres."""

    reason = "uncalibrated"


class NoCycle(InferenceError):
    """No cardiac cycle of a left ventricle was found in the strip."""

    reason = "no_cycle"


class Implausible(InferenceError):
    """A cycle was found, but its measurements are outside what a heart can be."""

    reason = "implausible"


class LowAgreement(InferenceError):
    """The cycles of the strip disagree too much to report a number."""

    reason = "low_agreement"


class WeightsMismatch(InferenceError):
    """The weights file is not the one its record describes."""

    reason = "weights_mismatch"
