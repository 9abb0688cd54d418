"""Audit rows that any machine on the network can cause: bounded, and still none of them silent."""

import threading
from dataclasses import dataclass, field
from typing import Any

from dicom_node.audit.recorder import AuditRecorder
from dicom_node.network.peer import Peer
from dicom_node.process.clock import SteadyClock

INTERVAL_S = 60.0
MAX_KINDS = 1000
"""More than these at once, from as many addresses, are counted together under no address."""


@dataclass
class _Kind:
    """One reason from one address, since its last row."""

    due_s: float
    count: int = 0
    latest: dict[str, Any] = field(default_factory=dict)


class RejectionLog:
    """`association.rejected`, by address and reason: the first at once, then one row a minute with a count.

    `note` never waits for the database, so it may be called while connections are accepted.
    """

    def __init__(self, recorder: AuditRecorder, steady_s: SteadyClock) -> None:
        self._recorder = recorder
        self._steady_s = steady_s
        self._kinds: dict[tuple[str | None, str], _Kind] = {}
        self._lock = threading.Lock()

    def note(self, reason: str, peer: Peer, **detail: str) -> None:
        """Count a rejection; its row follows with `flush_due`, and holds the latest AE title and `detail`."""
        with self._lock:
            known = (peer.ip, reason) in self._kinds or len(self._kinds) < MAX_KINDS
            key = (peer.ip if known else None, reason)
            kind = self._kinds.setdefault(key, _Kind(due_s=self._steady_s()))
            kind.count += 1
            kind.latest = {"peer_ae": peer.ae_title or None, "detail": detail}

    def flush_due(self, *, everything: bool = False) -> None:
        """Write the rows that are due, or all of them; forget who has been quiet for an interval."""
        now_s = self._steady_s()
        rows = []
        with self._lock:
            for (peer_ip, reason), kind in list(self._kinds.items()):
                if kind.due_s > now_s and not everything:
                    continue
                if kind.count:
                    detail = {"reason": reason, **kind.latest["detail"], "count": kind.count}
                    rows.append({"peer_ip": peer_ip, "peer_ae": kind.latest["peer_ae"], "detail": detail})
                    kind.count, kind.due_s = 0, now_s + INTERVAL_S
                else:
                    del self._kinds[peer_ip, reason]
        for row in rows:
            self._recorder.record("association.rejected", "refused", **row)
