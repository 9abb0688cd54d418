"""TLS contexts after PS3.15 B.12 and BCP 195 (RFC 9325): TLS 1.3, or 1.2 with forward secrecy and AEAD.

A context is made for each use, so that a renewed certificate is read without a restart of senders.
"""

import os
import ssl
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from dicom_node.errors import SettingsError
from dicom_node.settings.sections import TLSSettings

CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""For TLS 1.2; those of TLS 1.3 all qualify."""


def server_context(tls: TLSSettings) -> ssl.SSLContext:
    """Return the context of the TLS port.

    Raises:
        SettingsError: a file cannot be used, or others can read the private key.
    """
    context = _context(ssl.PROTOCOL_TLS_SERVER, tls)
    context.verify_mode = ssl.CERT_REQUIRED if tls.client_certificates else ssl.CERT_NONE
    context.options |= ssl.OP_NO_RENEGOTIATION
    return context


def client_context(tls: TLSSettings) -> ssl.SSLContext:
    """Return the context for connections to peers; their certificate must name the host.

    Raises:
        SettingsError: a file cannot be used, or others can read the private key.
    """
    return _context(ssl.PROTOCOL_TLS_CLIENT, tls)


def check_private_key(path: str) -> None:
    """Check that the file of the private key grants no access to group and others.

    Raises:
        SettingsError: it does, or does not exist.
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
