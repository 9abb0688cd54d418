"""Strips written into shared memory, and read from it."""

import mmap

import numpy as np

from dicom_node.study.image_result import ImageResult
from dicom_node.study.sandbox.messages import Decoded, SharedRegion, SharedStrip
from dicom_node.study.sandbox.shared_memory import SIZE, shape_of
from inference.errors import TooLarge
from inference.image.decoded import DecodedImage, DecodedRegion, refusal
from inference.types import MModeRegion, MModeStrip


def put(result: ImageResult, decoded: DecodedImage, descriptor: int) -> Decoded:
    """Write the strips into the memory; return the message that tells where they are.

    A region whose strips no longer fit is refused as too large.
    """
    regions, place = [], 0
    with mmap.mmap(descriptor, SIZE) as memory:
        for each in decoded.regions:
            strips = []
            if place + sum(strip.pixels.size for strip in each.strips) > SIZE:
                why = refusal(TooLarge(f"the strips of one image take more than {SIZE} bytes"), each.region)
                regions.append(SharedRegion(region=each.region, refusal=why))
                continue
            for strip in each.strips:
                memory[place : place + strip.pixels.size] = strip.pixels.tobytes()
                strips.append(SharedStrip(frame=strip.frame, offset=place))
                place += strip.pixels.size
            regions.append(
                SharedRegion(
                    region=each.region, strips=tuple(strips), refused=each.refused, refusal=each.refusal
                )
            )
    return Decoded(result=result, patient=decoded.patient, regions=tuple(regions), refusal=decoded.refusal)


def get(decoded: Decoded, descriptor: int) -> DecodedImage:
    """Return an image whose message was checked, with copies of its strips."""
    with mmap.mmap(descriptor, SIZE, prot=mmap.PROT_READ) as memory:
        regions = tuple(
            DecodedRegion(
                region=each.region,
                strips=tuple(_strip(memory, each.region, strip) for strip in each.strips),
                refused=each.refused,
                refusal=each.refusal,
            )
            for each in decoded.regions
        )
    return DecodedImage(patient=decoded.patient, regions=regions, refusal=decoded.refusal)


def _strip(memory: mmap.mmap, region: MModeRegion, strip: SharedStrip) -> MModeStrip:
    height, width = shape_of(region)
    flat = np.frombuffer(memory[strip.offset : strip.offset + height * width], np.uint8)
    return MModeStrip(pixels=flat.reshape(height, width).copy(), region=region, frame=strip.frame)
