"""The rules by which the settings accept or reject an association; host names are resolved."""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from dicom_node.network.names import NAMES
from dicom_node.settings import Settings
from dicom_node.settings.sections import Destination, PeerSettings


@dataclass(frozen=True, kw_only=True)
class Rejection:
    """The fields of an A-ASSOCIATE-RJ (PS3.8 9.3.4); by default rejected permanently by the service user."""

    result: int = 0x01
    source: int = 0x01
    diagnostic: int
    """The standard's Reason/Diag."""
    reason: str
    """For the audit log."""


APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
"""The only one of DICOM (PS3.7 A.2.1)."""
APPLICATION_CONTEXT_UNKNOWN = Rejection(diagnostic=0x02, reason="the application context is not DICOM's")
CALLING_AE_BLANK = Rejection(diagnostic=0x03, reason="the calling AE title is blank")
CALLED_AE_UNKNOWN = Rejection(diagnostic=0x07, reason="called AE title is not ours")
CALLING_AE_UNKNOWN = Rejection(diagnostic=0x03, reason="calling AE title is not listed in [[peers]]")
HOST_UNKNOWN = Rejection(diagnostic=0x03, reason="this AE title may not call from this address")
TOO_MANY = Rejection(result=0x02, source=0x03, diagnostic=0x02, reason="too many associations")
TOO_MANY_OF_HOST = Rejection(
    result=0x02, source=0x03, diagnostic=0x02, reason="too many associations from this address"
)
DISK_LOW = Rejection(result=0x02, source=0x03, diagnostic=0x01, reason="the data folder is low on space")
"""Rejected transiently: temporary congestion."""


def rejection(settings: Settings, *, called_ae: str, calling_ae: str, ip: str) -> Rejection | None:
    """Return the rejection of an association request; None when it may be accepted.

    Accepted are the listed peers and, for their answers, the destinations with `commitment = true`.
    """
    if not calling_ae:
        return CALLING_AE_BLANK
    if called_ae != settings.node.ae_title:
        return CALLED_AE_UNKNOWN
    if not settings.peers:
        return None
    committing = [each for each in settings.destinations if each.commitment]
    listed = _with_ae_title([*settings.peers, *committing], calling_ae)
    if not listed:
        return CALLING_AE_UNKNOWN
    return None if any(_has_address(peer, ip) for peer in listed) else HOST_UNKNOWN


def may_store(settings: Settings, *, calling_ae: str, ip: str) -> bool:
    """Tell whether an accepted requestor may send instances: not a destination that is no listed peer."""
    if not settings.peers:
        return True
    return any(_has_address(peer, ip) for peer in _with_ae_title(settings.peers, calling_ae))


def _with_ae_title(
    entities: Iterable[PeerSettings | Destination], ae_title: str
) -> list[PeerSettings | Destination]:
    return [each for each in entities if each.ae_title == ae_title]


def _has_address(peer: PeerSettings | Destination, ip: str) -> bool:
    address = ipaddress.ip_address(ip)
    address = getattr(address, "ipv4_mapped", None) or address
    try:
        return address in ipaddress.ip_network(peer.host, strict=False)
    except ValueError:
        return str(address) in _addresses(peer.host)


def _addresses(host: str) -> tuple[str, ...]:
    try:
        return NAMES.addresses(host)
    except OSError:
        return ()
