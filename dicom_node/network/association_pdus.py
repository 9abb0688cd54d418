"""A-ASSOCIATE-RQ and -AC as peers write them (PS3.8 9.3.2, 9.3.3), made readable for pynetdicom.

pynetdicom raises on items of unknown type, on AE titles that are not ASCII, on blank ones and on missing
sub-items. Here the bytes are checked, and what the standard lets a receiver skip or tolerate is left out
before they are decoded.
"""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pynetdicom.pdu import A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import A_ASSOCIATE

from dicom_node.errors import ProtocolViolation

PROTOCOL_VERSION = slice(6, 8)
CALLED, CALLING = slice(10, 26), slice(26, 42)
ITEMS_AT = 74
APPLICATION_CONTEXT, CONTEXT_RQ, CONTEXT_AC, USER_INFORMATION = 0x10, 0x20, 0x21, 0x50
ABSTRACT_SYNTAX, TRANSFER_SYNTAX = 0x30, 0x40
MAXIMUM_LENGTH, IMPLEMENTATION_CLASS, IMPLEMENTATION_VERSION = 0x51, 0x52, 0x55
SUB_ITEMS = frozenset(range(0x51, 0x5A))
"""Types of user information sub-items (PS3.7 D.3.3, PS3.8 D.1)."""
UIDS = {APPLICATION_CONTEXT, ABSTRACT_SYNTAX, TRANSFER_SYNTAX, IMPLEMENTATION_CLASS}
"""Types of items whose value is a UID, which some peers pad with NUL or blanks."""
CONTEXT_HEADER_BYTES = 4
"""Before the sub-items of a presentation context: its ID, its result and reserved bytes."""

ACCEPTED, PROVIDER_REJECTION, REJECTED = 0, 2, range(1, 5)
"""Results of a presentation context (PS3.8 table 9-18)."""
REJECTION_BYTES = 10
"""Of an A-ASSOCIATE-RJ (PS3.8 9.3.4)."""
REJECTIONS = (1, 2)
REASONS = {1: (1, 2, 3, 7), 2: (1, 2), 3: (1, 2)}
"""Results of an A-ASSOCIATE-RJ, and its reasons by source (PS3.8 table 9-21)."""

MAX_ITEMS = 4096
"""Items and sub-items in one PDU; 128 presentation contexts with 30 transfer syntaxes each fit."""
MIN_PEER_MAXIMUM = 32
"""Smallest maximum PDU length of a peer with which messages can be sent."""
ASSUMED_MAXIMUM = 16_384
"""Maximum PDU length of a peer that does not name one, although it has to (PS3.8 D.1); any peer takes it."""
PLACEHOLDER = b"AE".ljust(16)


@dataclass(frozen=True)
class Item:
    """An item or sub-item: its type, and its value without the four bytes of the item header."""

    kind: int
    value: bytes

    def encoded(self) -> bytes:
        """Return the bytes of the item.

        Raises:
            ProtocolViolation: the value does not fit into an item.
        """
        try:
            return struct.pack(">BxH", self.kind, len(self.value)) + self.value
        except struct.error:
            raise ProtocolViolation("an item is too long") from None


@dataclass(frozen=True)
class Titles:
    """The AE titles of an A-ASSOCIATE-RQ."""

    fields: bytes
    """As they came, which the answer returns (PS3.8 table 9-17)."""

    @property
    def called_ae(self) -> str:
        """The called AE title, as of `ae_title`."""
        return ae_title(self.fields[:16])

    @property
    def calling_ae(self) -> str:
        """The calling AE title, as of `ae_title`."""
        return ae_title(self.fields[16:])


def decoded_request(pdu: bytes) -> tuple[A_ASSOCIATE_RQ, Titles]:
    """Decode an A-ASSOCIATE-RQ; for pynetdicom its AE titles are `PLACEHOLDER`, as it takes only some.

    Raises:
        ProtocolViolation: an item is longer than what contains it, there are too many, the maximum PDU
            length is too small (PS3.8 D.1; 0: no limit) or a presentation context is incomplete (9.3.2.2).
    """
    request = A_ASSOCIATE_RQ()
    head = bytearray(pdu[:ITEMS_AT])
    head[CALLED] = head[CALLING] = PLACEHOLDER
    # Of the protocol version only bit 0 is tested (PS3.8 table 9-11); without it, the request is rejected.
    head[PROTOCOL_VERSION] = struct.pack(">H", head[7] & 1)
    request.decode(_joined(head, _tolerated(pdu[ITEMS_AT:], CONTEXT_RQ)))
    _check_contexts(request.to_primitive())
    return request, Titles(pdu[CALLED.start : CALLING.stop])


def readable_answer(pdu: bytes) -> bytes:
    """Return an A-ASSOCIATE-AC that pynetdicom decodes.

    A presentation context that is accepted without its transfer syntax, or with a result that is none,
    counts as rejected.

    Raises:
        ProtocolViolation: as of `decoded_request`.
    """
    items = _tolerated(pdu[ITEMS_AT:], CONTEXT_AC)
    information = next(each for each in items if each.kind == USER_INFORMATION)
    maximum = next(each for each in _items(information.value) if each.kind == MAXIMUM_LENGTH)
    _check_maximum(int.from_bytes(maximum.value, "big"))
    head = bytearray(pdu[:ITEMS_AT])
    # "Shall not be tested when received" (PS3.8 table 9-17), and may be no text.
    head[CALLED] = head[CALLING] = PLACEHOLDER
    return _joined(head, [_usable(each) for each in items])


def readable_rejection(pdu: bytes) -> tuple[bytes, tuple[int, int, int]]:
    """Return an A-ASSOCIATE-RJ that pynetdicom decodes, with result, source and reason as they came.

    Raises:
        ProtocolViolation: the PDU is too short.
    """
    if len(pdu) < REJECTION_BYTES:
        raise ProtocolViolation("an A-ASSOCIATE-RJ is too short")
    result, source, reason = found = (pdu[7], pdu[8], pdu[9])
    if result in REJECTIONS and reason in REASONS.get(source, ()):
        return pdu, found
    # pynetdicom takes only listed values: here rejected permanently by the ACSE provider, without a reason.
    return pdu[:7] + bytes([1, 2, 1]), found


def ae_title(field: bytes) -> str:
    r"""Return the AE title of a field of 16 bytes; empty for one that has only padding.

    Padding are blanks (PS3.5 6.2) and, of some peers, control characters at the end, or NUL with
    anything behind it. Other bytes than printable ASCII are escaped, such as `KARDIO\xdc`; as a backslash
    cannot be part of an AE title, no other title is equal to an escaped one.
    """
    title = field.split(b"\0")[0].rstrip(bytes(range(0x21)) + b"\x7f").lstrip(b" ")
    return "".join(chr(each) if 0x20 <= each < 0x7F and each != 0x5C else f"\\x{each:02x}" for each in title)  # noqa: PLR2004 - the printable range, the backslash


def _items(data: bytes) -> Iterator[Item]:
    """Yield the items of a PDU, or the sub-items of an item (PS3.8 9.3.2)."""
    start = 0
    while start < len(data):
        end = start + 4 + int.from_bytes(data[start + 2 : start + 4], "big")
        if end > len(data) or start + 4 > len(data):
            raise ProtocolViolation("an item is longer than what holds it")
        yield Item(data[start], data[start + 4 : end])
        start = end


def _tolerated(body: bytes, context: int) -> list[Item]:
    """Return the items without those of unknown type, which are skipped (PS3.8 9.3.1)."""
    _check_count(body, context)
    kept = []
    for item in _items(body):
        sub_items = _items(_inner(item, context))
        if item.kind == context:
            head, known = item.value[:CONTEXT_HEADER_BYTES], {ABSTRACT_SYNTAX, TRANSFER_SYNTAX}
            kept.append(Item(context, head + _encoded(each for each in sub_items if each.kind in known)))
        elif item.kind == USER_INFORMATION:
            kept.append(Item(USER_INFORMATION, _encoded(_user_information(sub_items))))
        elif item.kind == APPLICATION_CONTEXT:
            kept.append(_without_padding(item))
    if all(item.kind != USER_INFORMATION for item in kept):
        kept.append(Item(USER_INFORMATION, _encoded(_user_information([]))))
    return kept


def _check_count(body: bytes, context: int) -> None:
    """Count before anything is made of the items, so that a request of many costs no memory."""
    count = 0
    for item in _items(body):
        count += 1 + sum(1 for _ in _items(_inner(item, context)))
        if count > MAX_ITEMS:
            raise ProtocolViolation(f"more than {MAX_ITEMS} items in a request")


def _inner(item: Item, context: int) -> bytes:
    if item.kind == context:
        return item.value[CONTEXT_HEADER_BYTES:]
    return item.value if item.kind == USER_INFORMATION else b""


def _user_information(sub_items: Iterable[Item]) -> list[Item]:
    """Return the known sub-items with a maximum length; those that only name a product must be readable."""
    known = [each for each in sub_items if each.kind in SUB_ITEMS and _is_readable(each)]
    if any(each.kind == MAXIMUM_LENGTH for each in known):
        return known
    return [Item(MAXIMUM_LENGTH, struct.pack(">L", ASSUMED_MAXIMUM)), *known]


def _is_readable(item: Item) -> bool:
    text = _without_padding(item).value
    if item.kind == IMPLEMENTATION_CLASS:
        return 0 < len(text) <= 64 and all(each in b"0123456789." for each in text)  # noqa: PLR2004 - of a UID
    if item.kind == IMPLEMENTATION_VERSION:
        return 0 < len(text.strip()) <= 16 and text.isascii() and text.decode().isprintable()  # noqa: PLR2004 - PS3.7 D.3.3.2.3
    return True


def _without_padding(item: Item) -> Item:
    return Item(item.kind, item.value.strip(b"\0 ")) if item.kind in UIDS else item


def _encoded(items: Iterable[Item]) -> bytes:
    return b"".join(_without_padding(item).encoded() for item in items)


def _joined(head: bytearray, items: Iterable[Item]) -> bytes:
    body = _encoded(items)
    head[2:6] = struct.pack(">L", ITEMS_AT - 6 + len(body))
    return bytes(head) + body


def _usable(item: Item) -> Item:
    """Return a presentation context of an answer, as rejected when it cannot be used (PS3.8 9.3.3.2)."""
    if item.kind != CONTEXT_AC or len(item.value) < CONTEXT_HEADER_BYTES:
        return item
    context_id, _, result, _ = item.value[:CONTEXT_HEADER_BYTES]
    syntaxes = sum(1 for each in _items(item.value[CONTEXT_HEADER_BYTES:]) if each.value)
    if result == ACCEPTED and syntaxes == 1:
        return item
    rejected = result if result in REJECTED else PROVIDER_REJECTION
    return Item(CONTEXT_AC, bytes([context_id, 0, rejected, 0]))


def _check_contexts(request: A_ASSOCIATE) -> None:
    _check_maximum(request.maximum_length_received)
    contexts = request.presentation_context_definition_list
    if not contexts or not all(each.abstract_syntax and each.transfer_syntax for each in contexts):
        raise ProtocolViolation("a presentation context is not complete")


def _check_maximum(maximum: int | None) -> None:
    if maximum is None or 0 < maximum < MIN_PEER_MAXIMUM:
        raise ProtocolViolation(f"the peer's maximum PDU length is {maximum}")
