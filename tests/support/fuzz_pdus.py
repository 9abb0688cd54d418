"""Broken PDUs thrown at a live receiver process: it lives, and nothing is left of them.

TEST_SEED makes other ones.
"""

import os
import queue
import random
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.attacks import (
    ABORT_RQ,
    COMMAND,
    CONTEXTS,
    LAST,
    RELEASE_RQ,
    command,
    connected,
    context_item,
    converse,
    echo_duration_s,
    echo_rq,
    item,
    p_data,
    parts,
    pdu,
    request,
    store_rq,
    user_information,
)
from support.footprint import TIMED_JOB_THREADS
from support.node import NodeHarness, receiver_process, settings_for, wait_for

SEED = int(os.environ.get("TEST_SEED", "1"))
SENDERS = 8
BATCH = 20
DATA_SET = bytes.fromhex("080016001a000000") + b"1.2.840.10008.5.1.4.1.1.6.1" + bytes(500)
EXTRAS = [
    item(0x53, struct.pack(">HH", 1, 1)),
    item(0x54, struct.pack(">H", 17) + b"1.2.840.10008.1.1" + b"\1\1"),
    item(0x55, b"ECHONODE_TEST"),
    item(0x56, struct.pack(">H", 17) + b"1.2.840.10008.1.1" + b"\1\1\1"),
    item(0x57, struct.pack(">H", 5) + b"1.2.3" + struct.pack(">H", 5) + b"1.2.4" + struct.pack(">H", 0)),
    item(0x58, b"\1\1" + struct.pack(">H", 4) + b"name" + struct.pack(">H", 0)),
]
REQUESTS = [request()] + [
    request(
        items=item(0x10, b"1.2.840.10008.3.1.1.1")
        + b"".join(map(context_item, CONTEXTS))
        + user_information(extra=extra)
    )
    for extra in (*EXTRAS, b"".join(EXTRAS))
]
LATER = [
    echo_rq(),
    store_rq(),
    p_data(0, DATA_SET, context=3),
    p_data(LAST, DATA_SET, context=3),
    store_rq() + p_data(LAST, DATA_SET, context=3),
    p_data(COMMAND, command(0x0030)[:20]) + p_data(COMMAND | LAST, command(0x0030)[20:]),
    p_data(COMMAND | LAST, command(0x0130, RequestedSOPClassUID="1.2.840.10008.1.20.1")),
    p_data(COMMAND | LAST, command(0x0100, AffectedSOPClassUID="1.2.840.10008.1.20.1")),
    p_data(COMMAND | LAST, command(0x0FFF)),
    RELEASE_RQ,
    ABORT_RQ,
    pdu(0x02, request()[6:]),
    pdu(0x03, b"\0\1\1\1"),
    pdu(0x06, bytes(4)),
]
NUMBERS = [0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFF_FFFF, 0xFFFF_FFFF]


def flipped(data: bytearray, chance: random.Random) -> None:
    """Change one byte."""
    data[chance.randrange(len(data))] = chance.randrange(256)


def renumbered(data: bytearray, chance: random.Random) -> None:
    """Put an odd number of 1, 2 or 4 bytes somewhere."""
    width = chance.choice([1, 2, 4])
    at = chance.randrange(len(data))
    number = chance.choice([*NUMBERS, len(data), chance.randrange(2**32)]) % 256**width
    data[at : at + width] = number.to_bytes(width, chance.choice(["big", "little"]))  # type: ignore[arg-type]


def cut(data: bytearray, chance: random.Random) -> None:
    """Remove some bytes, or the end."""
    start = chance.randrange(len(data))
    del data[start : chance.choice([len(data), start + chance.randrange(1, 20)])]


def grown(data: bytearray, chance: random.Random) -> None:
    """Repeat a piece, or insert noise."""
    start = chance.randrange(len(data))
    piece = data[start : start + chance.randrange(1, 60)]
    data[start:start] = chance.choice(
        [piece * chance.randrange(1, 40), chance.randbytes(chance.randrange(40))]
    )


MUTATIONS: list[Callable[[bytearray, random.Random], None]] = [
    flipped,
    flipped,
    renumbered,
    renumbered,
    cut,
    grown,
]


def mutated(source: bytes, chance: random.Random) -> bytes:
    """Return a damaged PDU; half of them with a header that fits, so that what is inside gets read."""
    data = bytearray(source)
    for _ in range(chance.choice([1, 1, 1, 2, 3, 6])):
        chance.choice(MUTATIONS)(data, chance)
        if not data:
            return b""
    if chance.random() < 0.5 and len(data) >= 6:
        data[2:6] = struct.pack(">L", len(data) - 6)
    return bytes(data)


def mutations(count: int, chance: random.Random, *, requests: float = 0.25) -> Iterator[list[bytes]]:
    """Yield conversations that hold `count` damaged PDUs together; in a share of them the request is it."""
    while count > 0:
        if chance.random() < requests:
            yield [mutated(chance.choice(REQUESTS), chance)]
            count -= 1
        else:
            damaged = [mutated(chance.choice(LATER), chance) for _ in range(chance.randrange(1, 6))]
            yield [chance.choice(REQUESTS), *damaged]
            count -= len(damaged)


def throw(port: int, conversation: Sequence[bytes]) -> None:
    """Say it all, stop sending, and wait until the receiver closes."""
    with connected(port) as opened:
        opened.settimeout(10)
        try:
            converse(opened, conversation)
            opened.shutdown(socket.SHUT_WR)
            while opened.recv(65_536):
                pass
        except TimeoutError:
            raise AssertionError(
                f"the receiver holds on to {[part.hex() for part in conversation]}"
            ) from None
        except OSError:
            return  # closed before we had finished


def throw_all(port: int, conversations: Iterator[list[bytes]]) -> None:
    """Throw them, several at a time."""
    waiting: queue.Queue[list[bytes] | None] = queue.Queue(maxsize=100)
    failures: list[Exception] = []

    def work() -> None:
        while (conversation := waiting.get()) is not None:
            try:
                throw(port, conversation)
            except Exception as error:  # noqa: BLE001 - reported below
                failures.append(error)

    senders = [threading.Thread(target=work) for _ in range(SENDERS)]
    for sender in senders:
        sender.start()
    for conversation in conversations:
        waiting.put(conversation)
    for _ in senders:
        waiting.put(None)
    for sender in senders:
        sender.join()
    assert not failures, failures[:3]


@contextmanager
def unharmed(tmp_path: Path) -> Iterator[NodeHarness]:
    """Run a receiver process; check afterwards that it answers, has not grown and left nothing behind."""
    limits = {"max_associations": 500, "max_associations_per_peer": 400, "max_connections_per_host": 500}
    settings_of_node = settings_for(
        tmp_path / "node", acse_timeout_s=10, pdu_timeout_s=5, max_object_mb=1, **limits
    )
    log = tmp_path / "log"
    with receiver_process(settings_of_node, log=log) as running:
        echo_duration_s(running.port)
        throw_all(running.port, mutations(200, random.Random(0)))  # what is allocated once and kept
        wait_for(lambda: running.footprint().threads <= 8 + TIMED_JOB_THREADS, "the threads to end")
        threads, before_kb = running.footprint().threads, running.footprint().rss_kb
        yield running
        assert running.receiver.poll() is None, log.read_text()[-2000:]
        assert echo_duration_s(running.port) < 1
        wait_for(
            lambda: running.footprint().threads <= threads + TIMED_JOB_THREADS,
            f"the {threads} threads of before",
        )
        assert parts(running.data_dir) == []
        grown_kb = running.footprint().rss_kb - before_kb
        print(f"memory grew by {grown_kb} kB")
        assert grown_kb < 20_000
        text = log.read_text()
        assert "Traceback" not in text, text[text.index("Traceback") - 500 :][:3000]


def throw_mutated(node: NodeHarness, count: int, *, requests: float = 0.25) -> None:
    """Throw PDUs with damaged bytes, lengths and order."""
    started = time.monotonic()
    throw_all(node.port, mutations(count, random.Random(SEED), requests=requests))
    print(f"{count} damaged PDUs in {time.monotonic() - started:.0f} s")


any_bytes = st.binary(max_size=300)
any_item = st.builds(
    item, st.sampled_from([0x10, 0x20, 0x30, 0x40, 0x50, 0x51, 0x52, 0x54, 0x56, 0x57, 0x58]), any_bytes
)
any_items = st.lists(any_item, max_size=8).map(b"".join)
any_request = st.builds(
    request,
    called=st.just(b"ECHONODE") | st.binary(max_size=16),
    calling=st.binary(max_size=16),
    items=any_items | any_items.map(lambda inner: item(0x20, b"\1\0\0\0" + inner) + item(0x50, inner)),
)
any_fragment = st.builds(p_data, st.integers(0, 255), any_bytes, context=st.sampled_from([0, 1, 3, 255]))
any_pdu = st.builds(pdu, st.integers(0, 255), any_bytes, length=st.none() | st.integers(0, 2**32 - 1))
any_conversation = st.one_of(
    st.tuples(any_request),
    st.tuples(any_bytes),
    st.tuples(st.sampled_from(REQUESTS), any_fragment),
    st.tuples(st.sampled_from(REQUESTS), any_fragment, any_fragment),
    st.tuples(st.sampled_from(REQUESTS), any_pdu),
)


def throw_drawn(node: NodeHarness, count: int) -> None:
    """Throw conversations that hypothesis makes up from the grammar."""

    @settings(
        max_examples=count // BATCH,
        deadline=None,
        database=None,
        derandomize=SEED == 1,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(any_conversation, min_size=BATCH, max_size=BATCH))
    def batch(conversations: list[tuple[bytes, ...]]) -> None:
        throw_all(node.port, map(list, conversations))

    batch()
