"""The expiry of the node's TLS certificates, and the access rights of its private key."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import structlog
from cryptography import x509

from dicom_node.errors import SettingsError
from dicom_node.network.tls import check_private_key
from dicom_node.runtime import Runtime
from dicom_node.settings.sections import TLSSettings
from store.audit import audit_log
from store.db.utc_text import utc_text

log = structlog.get_logger()

WARN_BEFORE = timedelta(days=30)


@dataclass(frozen=True, kw_only=True)
class Expiry:
    """The expiry of the certificates in one file."""

    key: str
    """The setting of `[tls]` with the file: `certificate` or `ca`."""
    at: datetime
    """When the first of them expires (UTC)."""


def expiries(tls: TLSSettings) -> Iterator[Expiry]:
    """Yield the expiries of the files named in the settings.

    Raises:
        SettingsError: a file is missing or holds no certificate.
    """
    for key in ("certificate", "ca"):
        path = getattr(tls, key)
        if path:
            yield Expiry(key=key, at=min(each.not_valid_after_utc for each in _read(key, path)))


def verdict(tls: TLSSettings, *, now: datetime) -> tuple[str, str]:
    """Return `ok`, `warning` (less than `WARN_BEFORE` left) or `failed`, with a description."""
    try:
        if tls.private_key:
            check_private_key(tls.private_key)
        found = list(expiries(tls))
    except SettingsError as error:
        return "failed", str(error)
    if not found:
        return "ok", "not used"
    detail = ", ".join(f"{each.key} good until {each.at:%Y-%m-%d}" for each in found)
    first = min(each.at for each in found)
    if first <= now:
        return "failed", f"expired: {detail}"
    return ("warning" if first <= now + WARN_BEFORE else "ok"), detail


def warn_of_expiry(runtime: Runtime) -> int:
    """Record each certificate that expires within 30 days, or has; return how many.

    Raises:
        SettingsError: a file is missing or holds no certificate.
        StoreUnavailable: the database cannot be written.
    """
    now, soon = runtime.clock(), 0
    for each in expiries(runtime.settings.tls):
        if each.at <= now + WARN_BEFORE:
            detail = {"key": f"tls.{each.key}", "until": utc_text(each.at)}
            log.warning("certificate.expires", **detail)
            with runtime.database.transaction() as session:
                audit_log.record(session, "certificate.expires", "failure", at=now, detail=detail)
            soon += 1
    return soon


def _read(key: str, path: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(Path(path).read_bytes())
    except (OSError, ValueError) as error:
        raise SettingsError(f"tls.{key}: {path}: {getattr(error, 'strerror', None) or error}") from error
