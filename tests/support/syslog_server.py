"""A syslog server over TLS in a process of its own: `python -m support.syslog_server PORT PEM FILE`.

Each message is checked to be an octet-counted frame (RFC 5425) with the header of RFC 5424, and goes
as one line of JSON into FILE before the next one is read. Each session ends with our close_notify,
unless RUDE is in the environment: then without a word, as some servers do.
"""

import json
import os
import re
import socket
import ssl
import sys
from pathlib import Path

HEADER = re.compile(
    rb"<(\d+)>1 (\S+Z) (\S+) echonode (\d+) DICOM\+RFC3881 - \xef\xbb\xbf(<\?xml .*)", re.DOTALL
)


def main() -> None:
    """Serve one session after the other, for ever."""
    port, certificate, file = sys.argv[1:]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with socket.create_server(("127.0.0.1", int(port))) as listener:
        while True:
            plain, _ = listener.accept()
            try:
                with context.wrap_socket(plain, server_side=True) as session:
                    take_all(session, Path(file))
            except OSError as error:
                sys.stderr.write(f"session lost: {error}\n")


def take_all(session: ssl.SSLSocket, file: Path) -> None:
    """Write down every message until the sender ends the session."""
    stream = session.makefile("rb")
    with file.open("ab", buffering=0) as lines:
        while count := read_count(stream):
            message = stream.read(count)
            found = HEADER.fullmatch(message)
            assert found, message
            lines.write(json.dumps({"priority": int(found[1]), "xml": found[5].decode()}).encode() + b"\n")
    stream.close()
    if "RUDE" not in os.environ:
        session.unwrap().close()


def read_count(stream: socket.SocketIO) -> int:
    """Read `MSG-LEN SP`; 0 at the end of the session."""
    digits = b""
    while (letter := stream.read(1)) not in (b"", b" "):
        digits += letter
    return int(digits or b"0")


if __name__ == "__main__":
    main()
