"""DICOM over TLS as BCP 195 (RFC 9325) wants it: 1.2 with forward secrecy and AEAD only, or 1.3.

PS3.15 B.12. Contexts are made anew where they are used, so that a renewed certificate needs no word here.
"""

import os
import ssl
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from dicom_node.errors import SettingsError
from dicom_node.settings import TLSSettings

CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Of TLS 1.2; all of TLS 1.3 are such."""


def server_context(tls: TLSSettings) -> ssl.SSLContext:
    """Return what the TLS port speaks with.

    Raises:
        SettingsError: a file cannot be used, or the key can be read by others.
    """
    context = _context(ssl.PROTOCOL_TLS_SERVER, tls)
    context.verify_mode = ssl.CERT_REQUIRED if tls.client_certificates else ssl.CERT_NONE
    context.options |= ssl.OP_NO_RENEGOTIATION
    return context


def client_context(tls: TLSSettings) -> ssl.SSLContext:
    """Return what destinations and peers are called with; their certificate must name the host.

    Raises:
        SettingsError: a file cannot be used, or the key can be read by others.
    """
    return _context(ssl.PROTOCOL_TLS_CLIENT, tls)


def check_private_key(path: str) -> None:
    """Make sure that only its owner can read the private key.

    Raises:
        SettingsError: it cannot be read at all, or by others too.
    """
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 - the settings hold text
    except OSError as error:
        raise SettingsError(f"tls.private_key: {path}: {error.strerror}") from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise SettingsError(f"tls.private_key: {path} is open to group or others: chmod 600 it")


def _context(protocol: int, tls: TLSSettings) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    if tls.certificate:
        check_private_key(tls.private_key)
        with _naming("certificate", tls.certificate):
            context.load_cert_chain(tls.certificate, tls.private_key)
    if tls.ca:
        with _naming("ca", tls.ca):
            context.load_verify_locations(tls.ca)
    return context


@contextmanager
def _naming(key: str, path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:  # ssl.SSLError is one
        reason = getattr(error, "reason", None) or error.strerror
        raise SettingsError(f"tls.{key}: {path}: {reason}") from error
