"""Memory for the strips of one image: the process that decodes writes, the one with the networks reads.

The worker makes it, of a size that nobody can change, hands both a descriptor, and checks what the first
says is in it.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from dicom_node.study.sandbox.channel import BadReply
from dicom_node.study.sandbox.messages import Decoded, SharedStrip
from inference.types import MModeRegion
from store.rows.instances import Instance

SIZE: Final = 256 << 20
"""Bytes for the strips of one image; only pages that are written take memory."""
SEALS: Final = 0x0001 | 0x0002 | 0x0004
"""F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW: a reader would die of memory that is taken away."""
LARGEST_SIDE: Final = 65_535
MOST_REGIONS: Final = 1000


@contextmanager
def shared_memory() -> Iterator[int]:
    """Make the memory of one image; yield its descriptor."""
    descriptor = os.memfd_create("strips", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.ftruncate(descriptor, SIZE)
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, SEALS)
        yield descriptor
    finally:
        os.close(descriptor)


def check_decoded(decoded: Decoded, image: Instance) -> None:
    """Check that a message of a process that decodes is about the image, and its strips in the memory.

    Raises:
        BadReply: it is not.
    """
    if decoded.result.image.sop_instance_uid != image.sop_instance_uid:
        raise BadReply("answered for another image")
    refusals = [decoded.refusal, *(each.refusal for each in decoded.regions)]
    possible = (
        len(decoded.regions) <= MOST_REGIONS
        and bool(decoded.regions) == (decoded.refusal is None)
        and not any(each.measured for each in refusals if each is not None)
        and all(each.refusal or each.strips or each.refused for each in decoded.regions)
        and all(_is_inside(each.region, strip) for each in decoded.regions for strip in each.strips)
    )
    if not possible:
        raise BadReply("sent strips that no image has")


def _is_inside(region: MModeRegion, strip: SharedStrip) -> bool:
    x0, y0, x1, y1 = region.xyxy_px
    height, width = shape_of(region)
    sides = 0 <= x0 <= x1 <= LARGEST_SIDE and 0 <= y0 <= y1 <= LARGEST_SIDE
    return sides and strip.frame >= 0 and 0 <= strip.offset <= SIZE - height * width


def shape_of(region: MModeRegion) -> tuple[int, int]:
    """Return (height, width) of a strip."""
    return region.y1 - region.y0 + 1, region.x1 - region.x0 + 1
