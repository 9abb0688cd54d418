"""The peer of an association: AE title and IP address."""

from dataclasses import dataclass
from typing import Any, Self, TypedDict

from dicom_node.process.logs import printable

MAX_AE_TITLE = 64
"""Characters of an AE title of 16 bytes (PS3.5 6.2), each escaped."""


class PeerColumns(TypedDict):
    """The columns of the audit log that name a peer."""

    peer_ae: str | None
    peer_ip: str | None


@dataclass(frozen=True, kw_only=True)
class Peer:
    """AE title and IP address as far as known; without TLS neither is authenticated."""

    ae_title: str
    """Empty when unknown."""
    ip: str
    """Empty when unknown."""

    @classmethod
    def of(cls, association: Any) -> Self:
        """Return the requestor of a pynetdicom association in which this node is the acceptor."""
        titles = association.dul.titles
        title = printable(titles.calling_ae, MAX_AE_TITLE) if titles else ""
        return cls(ae_title=title, ip=str(association.requestor.address))

    @property
    def columns(self) -> PeerColumns:
        """The values of the columns that name the peer; None when unknown."""
        return {"peer_ae": self.ae_title or None, "peer_ip": self.ip or None}
