"""Frames over a Unix socket pair: a length, then so many bytes; a whole frame has one deadline."""

import select
import socket
import struct
from collections.abc import Sequence
from typing import Final

from dicom_node.process.clock import steady_s

LENGTH: Final = struct.Struct(">Q")
MOST_DESCRIPTORS: Final = 2
CHUNK_BYTES: Final = 1 << 20
"""Memory grows with what has arrived, not with what was announced."""


class BadReply(Exception):
    """The other end broke the rules; the message says how, as in "the analysis …"."""


class Channel:
    """One end of a socket pair, in the process that trusts the other end or in the one that does not."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self.close = end.close

    def send(self, data: bytes, *, descriptors: Sequence[int] = (), until_s: float | None = None) -> None:
        """Send one frame; `descriptors` travel with its first byte.

        Args:
            data: the frame.
            descriptors: open files that the other end gets a copy of.
            until_s: deadline by `steady_s`; None: wait for ever.

        Raises:
            TimeoutError: the other end has not taken it all by then.
            OSError: it is gone.
        """
        self._wait_until(until_s)
        head = LENGTH.pack(len(data))
        sent = socket.send_fds(self._socket, [head], list(descriptors))
        self._socket.sendall(head[sent:] + data)

    def receive(self, *, limit_bytes: int, until_s: float | None = None) -> bytes:
        """Return the next frame; descriptors that come with it are closed by the kernel.

        Raises:
            TimeoutError: the deadline has passed, however much of the frame is there.
            BadReply: it is announced to be longer than `limit_bytes`.
            EOFError, OSError: the other end is gone.
        """
        (size,) = LENGTH.unpack(self._exactly(LENGTH.size, until_s))
        return self._body(size, limit_bytes, until_s)

    def receive_with_file(self, *, limit_bytes: int) -> tuple[bytes, list[int]]:
        """Return the next frame and the descriptors that came with it, whenever; raises as `receive` does."""
        head, descriptors, _, _ = socket.recv_fds(self._socket, LENGTH.size, MOST_DESCRIPTORS)
        if not head:
            raise EOFError
        head += self._exactly(LENGTH.size - len(head), None)
        return self._body(LENGTH.unpack(head)[0], limit_bytes, None), list(descriptors)

    def has_news(self, within_s: float) -> bool:
        """Tell whether something has arrived, the end of the connection included, or does so soon."""
        look = select.poll()
        look.register(self._socket, select.POLLIN)
        return bool(look.poll(1000 * within_s))

    def has_unread(self) -> bool:
        """Tell whether something has arrived that nobody asked for; the end of the connection is not that."""
        look = select.poll()
        look.register(self._socket, select.POLLIN)
        try:
            return bool(look.poll(0) and self._socket.recv(1, socket.MSG_PEEK))
        except OSError:
            return False

    def _body(self, size: int, limit_bytes: int, until_s: float | None) -> bytes:
        if size > limit_bytes:
            raise BadReply(f"announced a reply of {size} bytes, the limit is {limit_bytes}")
        return self._exactly(size, until_s)

    def _exactly(self, size: int, until_s: float | None) -> bytes:
        found = bytearray()
        while len(found) < size:
            self._wait_until(until_s)
            chunk = self._socket.recv(min(size - len(found), CHUNK_BYTES))
            if not chunk:
                raise EOFError
            found += chunk
        return bytes(found)

    def _wait_until(self, until_s: float | None) -> None:
        left_s = None if until_s is None else until_s - steady_s()
        if left_s is not None and left_s <= 0:
            raise TimeoutError
        if left_s != self._socket.gettimeout():  # setting it is a system call, and not allowed everywhere
            self._socket.settimeout(left_s)
