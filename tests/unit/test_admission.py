"""Who may open an association."""

from pathlib import Path

import pytest

from dicom_node.receive.access import (
    CALLED_AE_UNKNOWN,
    CALLING_AE_BLANK,
    CALLING_AE_UNKNOWN,
    HOST_UNKNOWN,
    Rejection,
    rejection,
)
from dicom_node.settings import Settings

PEERS = [
    {"ae_title": "VIVID", "host": "192.0.2.10"},
    {"ae_title": "VIVID", "host": "198.51.100.0/24"},
    {"ae_title": "LOCAL", "host": "localhost"},
    {"ae_title": "GONE", "host": "no-such-host.invalid"},
]


@pytest.mark.parametrize(
    ("called", "calling", "ip", "expected"),
    [
        ("ECHONODE", "VIVID", "192.0.2.10", None),
        ("ECHONODE", "", "192.0.2.10", CALLING_AE_BLANK),
        ("ECHONODE", "VIVID", "::ffff:192.0.2.10", None),
        ("ECHONODE", "VIVID", "198.51.100.77", None),
        ("ECHONODE", "LOCAL", "127.0.0.1", None),
        ("ECHONODE", "VIVID", "192.0.2.11", HOST_UNKNOWN),
        ("ECHONODE", "VIVID", "2001:db8::1", HOST_UNKNOWN),
        ("ECHONODE", "GONE", "192.0.2.10", HOST_UNKNOWN),
        ("ECHONODE", "vivid", "192.0.2.10", CALLING_AE_UNKNOWN),
        ("ECHONODE", "OTHER", "192.0.2.10", CALLING_AE_UNKNOWN),
        ("ANY-SCP", "VIVID", "192.0.2.10", CALLED_AE_UNKNOWN),
    ],
)
def test_listed_peers(called: str, calling: str, ip: str, expected: Rejection | None, tmp_path: Path) -> None:
    """A peer needs our AE title, a listed title of its own, and an address that goes with it."""
    settings = Settings(node={"data_dir": tmp_path}, peers=PEERS)  # type: ignore[arg-type]  # parsed

    assert rejection(settings, called_ae=called, calling_ae=calling, ip=ip) == expected


def test_no_list_means_any_peer() -> None:
    """Without [[peers]] only the called AE title counts."""
    assert rejection(Settings(), called_ae="ECHONODE", calling_ae="X", ip="192.0.2.1") is None
    assert rejection(Settings(), called_ae="X", calling_ae="X", ip="192.0.2.1") == CALLED_AE_UNKNOWN
