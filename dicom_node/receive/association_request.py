"""Checks of an A-ASSOCIATE-RQ (PS3.8 9.3.2), before and after pynetdicom decodes it."""

from collections.abc import Iterator

from pynetdicom.pdu_primitives import A_ASSOCIATE

from dicom_node.errors import ProtocolViolation

MAX_REQUEST_ITEMS = 4096
"""Items and sub-items in an A-ASSOCIATE-RQ; 128 presentation contexts with 30 transfer syntaxes each fit."""

MIN_PEER_MAXIMUM = 32
"""Smallest maximum PDU length of a peer with which responses can be sent."""


def check_items(pdu: bytearray) -> None:
    """Check lengths and number of the items of an A-ASSOCIATE-RQ (PS3.8 9.3.2) before it is decoded.

    Raises:
        ProtocolViolation: an item is longer than what contains it, or there are too many.
    """
    count = 0
    for kind, start, end in _items(pdu, 74, len(pdu)):
        count += 1
        # Presentation contexts (0x20) and user information (0x50) contain sub-items.
        inner = {0x20: start + 4, 0x50: start}.get(kind)
        if inner is not None:
            count += sum(1 for _ in _items(pdu, inner, end))
        if count > MAX_REQUEST_ITEMS:
            raise ProtocolViolation(f"more than {MAX_REQUEST_ITEMS} items in a request")


def check_contexts(request: A_ASSOCIATE) -> None:
    """Check what pynetdicom does not check in a decoded A-ASSOCIATE-RQ.

    Raises:
        ProtocolViolation: the maximum PDU length is missing or too small (PS3.8 D.1; 0: no limit), or a
            presentation context is incomplete (PS3.8 9.3.2.2).
    """
    maximum = request.maximum_length_received
    if maximum is None or 0 < maximum < MIN_PEER_MAXIMUM:
        raise ProtocolViolation(f"the peer's maximum PDU length is {maximum}")
    contexts = request.presentation_context_definition_list
    if not contexts or not all(each.abstract_syntax and each.transfer_syntax for each in contexts):
        raise ProtocolViolation("a presentation context is not complete")


def _items(pdu: bytearray, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield item type, and start and end of the value, of each item between two offsets (PS3.8 9.3.2)."""
    while start < end:
        value = start + 4
        stop = value + int.from_bytes(pdu[start + 2 : start + 4], "big")
        if stop > end:
            raise ProtocolViolation("an item is longer than what holds it")
        yield pdu[start], value, stop
        start = stop
