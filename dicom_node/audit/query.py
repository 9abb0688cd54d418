"""`echonode audit`: prints matching audit events as lines, JSON or CSV."""

import csv
import getpass
import json
import os
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import typer
from rich.console import Console

from dicom_node.process.clock import utc_now
from dicom_node.settings import Settings
from store.audit import audit_log
from store.audit.audit_log import AuditEvent
from store.db.database import Database
from store.errors import StoreUnavailable

COLUMNS = ("id", "at", "event", "outcome", "peer_ae", "peer_ip", "study_uid", "sop_instance_uid", "detail")
ONLY_IN_FULL = ("model_sha256", "sha256", "source_sop_instance_uid")
"""Keys of `detail` that only --json and --csv show."""


@dataclass(frozen=True, kw_only=True)
class Filter:
    """Which events to print; None: any."""

    study_uid: str | None = None
    since: datetime | None = None
    event: str | None = None
    outcome: str | None = None
    limit: int | None = None
    """At most so many, the newest."""


def print_events(settings: Settings, filters: Filter, how: str) -> int:
    """Print matching events, oldest first, as `table`, `json` or `csv`; return the exit code.

    Raises:
        StoreError: the database cannot be read.
    """
    since = filters.since.replace(tzinfo=filters.since.tzinfo or UTC) if filters.since else None
    with closing(Database(settings.store_url)) as database:
        with database.read() as session:
            found = audit_log.events(
                session,
                study_uid=filters.study_uid,
                since=since,
                event=filters.event,
                outcome=filters.outcome,
                limit=filters.limit,
                sealed=segments_folder(settings),
            )
        record_reading(database, filters, len(found))
    {"table": as_lines, "json": as_json, "csv": as_csv}[how](found)
    return 0


def record_reading(database: Database, filters: Filter, found: int) -> None:
    """Record who read the log (PS3.15 A.5.3.2); if that cannot be written, only warn."""
    asked = {key: str(value) for key, value in asdict(filters).items() if value is not None}
    detail = {"by": reader(), "asked": asked, "found": found}
    try:
        with database.transaction() as session:
            audit_log.record(session, "audit.read", at=utc_now(), detail=detail)
    except StoreUnavailable as error:
        typer.echo(f"that the log was read is not on record: {error}", err=True)


def reader() -> str:
    """Return the name of the user of this process, or "uid N" for one without a name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def segments_folder(settings: Settings) -> Path:
    """Return the folder of the segment files."""
    return settings.node.data_dir / "audit"


def cells(event: AuditEvent) -> dict[str, object]:
    """Return an event as JSON values in the order of `COLUMNS`."""
    return {name: getattr(event, name) for name in COLUMNS} | {"at": event.at.isoformat()}


def as_lines(found: Sequence[AuditEvent]) -> None:
    """Print one line per event."""
    print_lines(Console(), found)


def print_lines(console: Console, found: Sequence[AuditEvent]) -> None:
    """Print per event: id, time (UTC), name, outcome, last 6 digits of both UIDs, peer, detail."""
    for event in found:
        study, instance = (f"…{uid[-6:]}" if uid else "" for uid in (event.study_uid, event.sop_instance_uid))
        peer = " ".join(part for part in (event.peer_ae, event.peer_ip) if part)
        detail = ", ".join(f"{key} {value}" for key, value in event.detail.items() if key not in ONLY_IN_FULL)
        what = f"{event.event:<21} {event.outcome:<7} {study:<7} {instance:<7} {peer}"
        line = f"{event.id:>5} {event.at:%Y-%m-%d %H:%M:%S} {what} {detail}"
        console.print(line.rstrip(), markup=False, highlight=False, soft_wrap=True)


def as_json(found: Sequence[AuditEvent]) -> None:
    """Print one JSON array."""
    print(json.dumps([cells(event) for event in found], indent=2))  # noqa: T201 - the document


def as_csv(found: Sequence[AuditEvent]) -> None:
    """Print a header line and one line per event, with `detail` as JSON."""
    writer = csv.writer(sys.stdout)
    writer.writerow(COLUMNS)
    for event in found:
        row = cells(event) | {"detail": json.dumps(event.detail)}
        writer.writerow([row[name] for name in COLUMNS])
