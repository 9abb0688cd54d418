"""What a coded frame declares, read before a decoder allocates for it.

Decoders allocate by the stream, not by Rows and Columns: a few bytes may declare 65535 x 65535.
"""

from dataclasses import dataclass

from pydicom.uid import UID, JPEG2000TransferSyntaxes

from inference.image.jpeg import jpeg_header
from inference.image.jpeg2000 import jpeg2000_header, unboxed


@dataclass(frozen=True, kw_only=True)
class CodedFrame:
    """One JPEG, JPEG-LS or JPEG 2000 stream, without a file around it, and what it says of itself."""

    stream: bytes
    rows: int
    columns: int
    samples: int
    """Per pixel."""
    precision: int
    """Bits per sample."""
    colours: str | None
    """RGB or YBR_FULL where the stream decides what three samples mean; None leaves it to the data set."""


def coded_frame(stream: bytes, syntax: UID) -> CodedFrame:
    """Read the header of a stream.

    Raises:
        ValueError: it is none of the kind that `syntax` names, damaged, or a JPEG without its end.
        struct.error, LookupError: the header itself is cut off.
    """
    return _jpeg2000(stream) if syntax in JPEG2000TransferSyntaxes else _jpeg(stream)


def _jpeg(stream: bytes) -> CodedFrame:
    header = jpeg_header(stream)
    return CodedFrame(
        stream=stream,
        rows=header.rows,
        columns=header.columns,
        samples=len(header.identifiers),
        precision=header.precision,
        colours=header.colours,
    )


def _jpeg2000(frame: bytes) -> CodedFrame:
    stream, is_ycbcr = unboxed(frame)
    header = jpeg2000_header(stream)
    untransformed = "YBR_FULL" if is_ycbcr else None
    return CodedFrame(
        stream=stream,
        rows=header.rows,
        columns=header.columns,
        samples=header.samples,
        precision=header.precision,
        colours="RGB" if header.is_transformed else untransformed,
    )
