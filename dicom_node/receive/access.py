"""Who may open an association: a pure rule, apart from the names it looks up."""

import ipaddress
import socket
from collections.abc import Iterable
from dataclasses import dataclass

from dicom_node.settings import Destination, PeerSettings, Settings


@dataclass(frozen=True, kw_only=True)
class Rejection:
    """An A-ASSOCIATE-RJ (PS3.8 9.3.4), by the service user for good unless said: and our words for it."""

    result: int = 0x01
    source: int = 0x01
    diagnostic: int
    reason: str


CALLED_AE_UNKNOWN = Rejection(diagnostic=0x07, reason="called AE title is not ours")
CALLING_AE_UNKNOWN = Rejection(diagnostic=0x03, reason="calling AE title is not listed in [[peers]]")
HOST_UNKNOWN = Rejection(diagnostic=0x03, reason="this AE title may not call from this address")
TOO_MANY = Rejection(result=0x02, source=0x03, diagnostic=0x02, reason="too many associations")
TOO_MANY_OF_HOST = Rejection(
    result=0x02, source=0x03, diagnostic=0x02, reason="too many associations from this address"
)
DISK_LOW = Rejection(result=0x02, source=0x03, diagnostic=0x01, reason="the data folder is low on space")
"""Temporary congestion: come back later."""


def rejection(settings: Settings, *, called_ae: str, calling_ae: str, ip: str) -> Rejection | None:
    """Say why this association is rejected, or None when it is welcome."""
    if called_ae.strip() != settings.node.ae_title:
        return CALLED_AE_UNKNOWN
    if not settings.peers:
        return None
    committing = [each for each in settings.destinations if each.commitment]
    hosts = _entitled([*settings.peers, *committing], calling_ae)
    if not hosts:
        return CALLING_AE_UNKNOWN
    return None if any(_comes_from(peer, ip) for peer in hosts) else HOST_UNKNOWN


def may_store(settings: Settings, *, calling_ae: str, ip: str) -> bool:
    """Tell whether a welcome caller may send objects; a destination that is no peer only brings answers."""
    return not settings.peers or any(_comes_from(peer, ip) for peer in _entitled(settings.peers, calling_ae))


def _entitled(
    callers: Iterable[PeerSettings | Destination], calling_ae: str
) -> list[PeerSettings | Destination]:
    return [each for each in callers if each.ae_title == calling_ae.strip()]


def _comes_from(peer: PeerSettings | Destination, ip: str) -> bool:
    address = ipaddress.ip_address(ip)
    address = getattr(address, "ipv4_mapped", None) or address
    try:
        return address in ipaddress.ip_network(peer.host, strict=False)
    except ValueError:
        return str(address) in _addresses(peer.host)


def _addresses(host: str) -> set[str]:
    try:
        return {str(entry[4][0]) for entry in socket.getaddrinfo(host, None)}
    except OSError:
        return set()
