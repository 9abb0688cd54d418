"""What auditors are told is what the program does."""

import re
from pathlib import Path

from dicom_node.audit.dicom_message import KINDS
from store.audit import audit_log

DOCUMENT = (Path(__file__).parents[2] / "deploy" / "audit.md").read_text(encoding="utf-8")


def test_the_table_of_messages() -> None:
    """Every event that becomes a DICOM audit message stands beside its code, and no other does."""
    told = {}
    for line in DOCUMENT.splitlines():
        if line.startswith("| `"):
            events, message = line.strip("| ").split(" | ")
            (code,) = re.findall(r"\((\d{6})\)", message)
            told |= dict.fromkeys(re.findall(r"`([^`]+)`", events), code)

    assert told == {event: kind.event[0] for event, kind in KINDS.items()}


def test_messages_are_made_of_events_that_exist() -> None:
    """No message waits for an event that is never recorded."""
    assert KINDS.keys() <= set((audit_log.__doc__ or "").split())
