"""Who may open an association: a pure rule, apart from the names it looks up."""

import ipaddress
import socket
from dataclasses import dataclass

from dicom_node.settings import Peer, Settings


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


def rejection(settings: Settings, *, called_ae: str, calling_ae: str, ip: str) -> Rejection | None:
    """Say why this association is rejected, or None when it is welcome."""
    if called_ae.strip() != settings.node.ae_title:
        return CALLED_AE_UNKNOWN
    if not settings.peers:
        return None
    hosts = [peer for peer in settings.peers if peer.ae_title == calling_ae.strip()]
    if not hosts:
        return CALLING_AE_UNKNOWN
    return None if any(_comes_from(peer, ip) for peer in hosts) else HOST_UNKNOWN


def _comes_from(peer: Peer, ip: str) -> bool:
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
