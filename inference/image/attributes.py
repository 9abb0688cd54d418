"""Reading attributes of unchecked data sets: a value of the right type, or None."""

import struct
import warnings
from typing import Any

from pydicom import Dataset
from pydicom.datadict import tag_for_keyword
from pydicom.errors import BytesLengthException

from inference.errors import PixelDataError

MALFORMED = (
    ArithmeticError,  # OverflowError of absurd offsets, decimal.InvalidOperation of DS and IS
    BytesLengthException,  # binary numbers of a length their VR cannot have
    AttributeError,  # required elements missing, values of an unexpected type
    LookupError,  # IndexError and KeyError of look-up tables, offset tables, unknown tags
    OSError,  # Pillow on truncated images, reads beyond the end
    RuntimeError,  # "all plugins failed", and NotImplementedError of unsupported VRs and syntaxes
    TypeError,  # values of the wrong VR
    ValueError,  # wrong lengths, numbers, characters
    struct.error,  # elements shorter than their VR
)
"""What pydicom and its decoders raise on malformed input."""


def attribute(ds: Dataset, keyword: str) -> Any:
    """Return the value of `keyword`, None where it is absent, empty or unreadable.

    pydicom converts on access and warns of irregularities, which are silenced here.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ds.get(keyword)
    except MALFORMED:
        return None


def has_value(ds: Dataset, keyword: str) -> bool:
    """Tell whether `keyword` is there and not empty, whatever it holds; padding is no value (PS3.5 6.2)."""
    tag = tag_for_keyword(keyword)
    if tag is None or tag not in ds:
        return False
    value = ds.get_item(tag).value
    if isinstance(value, bytes):
        return bool(value.strip(b" \0"))
    return bool(value.strip(" \0")) if isinstance(value, str) else value is not None


def number(ds: Dataset, keyword: str) -> float | None:
    """Return the single number under `keyword`, None for anything else, such as text."""
    value = attribute(ds, keyword)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def integer(ds: Dataset, keyword: str) -> int | None:
    """Return the single whole number under `keyword`, None for anything else."""
    value = number(ds, keyword)
    return int(value) if value is not None and value.is_integer() else None


def image_size(ds: Dataset) -> tuple[int, int]:
    """Return (Rows, Columns), each 1 to 65535.

    Raises:
        PixelDataError: one of them is missing, not a number, or out of range.
    """
    rows, columns = integer(ds, "Rows"), integer(ds, "Columns")
    if rows is None or columns is None:
        raise PixelDataError("Rows or Columns is missing or is no number")
    if not (0 < rows < 2**16 and 0 < columns < 2**16):
        raise PixelDataError(f"Rows x Columns is {rows} x {columns}")
    return rows, columns
