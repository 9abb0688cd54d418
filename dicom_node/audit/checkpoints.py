"""Checkpoints: signed lines that say which row was the last one, for keeping on another machine.

A log that was rewritten as a whole, or whose end was cut off, contradicts the lines written before.
"""

import base64
import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import structlog
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from dicom_node.audit.signing_key import signing_key
from dicom_node.errors import NodeError
from dicom_node.identity import installation_uid
from dicom_node.settings import Settings
from store.audit import audit_log
from store.audit.audit_log import canonical_json
from store.audit.chain import Flaw
from store.audit.verification import Checkpoint
from store.db.database import Database
from store.db.utc_text import utc_text
from store.errors import StoreError

FILE_NAME = "checkpoints.jsonl"
WRITE_LIMIT_S = 10.0
"""How long the file may take: it may be on another machine that is gone."""

log = structlog.get_logger(__name__)


class CheckpointFailed(NodeError):
    """The checkpoint could not be written to its file."""


def checkpoint_file(settings: Settings) -> Path:
    """Where the lines go."""
    named = settings.audit.checkpoint_file
    return Path(named) if named else settings.node.data_dir / FILE_NAME


def take(database: Database, data_dir: Path, *, now: datetime) -> str | None:
    """Return the signed line about the last row; None while there are no rows.

    Raises:
        BadKey: the signing key cannot be used.
        StoreUnavailable: the database cannot be read.
    """
    with database.read() as session:
        last = audit_log.head(session)
    if last is None:
        return None
    number, row_hash = last
    # Ids have no gaps, so the last one is also the number of rows.
    said = {"at": utc_text(now), "id": number, "hash": row_hash, "rows": number}
    said |= {"installation": installation_uid(data_dir)}
    signature = signing_key(data_dir).sign(canonical_json(said).encode())
    return canonical_json({**said, "signature": base64.b64encode(signature).decode()})


def append(path: Path, line: str, *, limit_s: float = WRITE_LIMIT_S) -> None:
    """Append a line; on return it is durable.

    Raises:
        CheckpointFailed: the file cannot be written, or not within the limit.
    """
    trouble: list[OSError] = []

    def write() -> None:
        try:
            _append(path, line)
        except OSError as error:
            trouble.append(error)

    # A thread of its own: a network mount whose server is gone would hold up who writes, for ever.
    name = f"append to {path}"
    if any(thread.name == name for thread in threading.enumerate()):
        raise CheckpointFailed(f"{path}: still no answer")
    writer = threading.Thread(target=write, name=name, daemon=True)
    writer.start()
    writer.join(limit_s)
    if writer.is_alive():
        raise CheckpointFailed(f"{path}: no answer within {limit_s:g} s")
    if trouble:
        raise CheckpointFailed(f"{path}: {trouble[0].strerror}")


def _append(path: Path, line: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
    try:
        os.write(descriptor, f"{line}\n".encode("ascii"))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@dataclass(kw_only=True)
class Checkpointer:
    """Writes checkpoints; when it must is the business of who calls it."""

    settings: Settings
    database: Database
    _failing: bool = False

    def write(self, now: datetime) -> bool:
        """Write one now, if there is a row; trouble is logged loudly and recorded once.

        Raises:
            NodeError: the file cannot be written, or the key cannot be used.
            StoreError: the database cannot be read.
        """
        path = checkpoint_file(self.settings)
        try:
            line = take(self.database, self.settings.node.data_dir, now=now)
            if line is not None:
                append(path, line)
                self._record(now, "success", {"row": json.loads(line)["id"], "file": str(path)})
        except (NodeError, StoreError) as error:
            log.error("audit.checkpoint_failed", error=str(error))  # noqa: TRY400 - expected, and said in one line
            self._record_failure(now, str(error))
            raise
        self._failing = False
        return line is not None

    def _record_failure(self, now: datetime, why: str) -> None:
        if self._failing:
            return
        try:
            self._record(now, "failure", {"because": why})
            self._failing = True
        except StoreError as error:
            log.error("audit.not_recorded", event_name="audit.checkpoint", error=str(error))  # noqa: TRY400 - as above

    def _record(self, now: datetime, outcome: str, detail: dict[str, object]) -> None:
        with self.database.transaction() as session:
            audit_log.record(session, "audit.checkpoint", outcome, at=now, detail=detail)


@contextmanager
def last_checkpoint(checkpointer: Checkpointer, clock: Callable[[], datetime]) -> Iterator[None]:
    """Write a checkpoint at a clean stop, after everything that the block records."""
    yield
    with suppress(NodeError, StoreError):  # logged and on record
        checkpointer.write(clock())


@dataclass(frozen=True, kw_only=True)
class CheckpointFile:
    """What a file of checkpoints holds."""

    checkpoints: list[Checkpoint]
    """Signed by the key and of this installation."""
    flaws: list[Flaw]
    """Lines that are not."""


def read(path: Path, key: Ed25519PublicKey, *, installation: str) -> CheckpointFile:
    """Read a file of checkpoints and check the signatures.

    Raises:
        OSError: the file cannot be read.
    """
    good, bad = [], []
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        try:
            good.append(_checked(line, key, installation))
        except (InvalidSignature, ValueError, KeyError, TypeError):
            bad.append(number)
    if not bad:
        return CheckpointFile(checkpoints=good, flaws=[])
    count = f"{len(bad)} of {len(good) + len(bad)} lines of {path.name}, the first line {bad[0]},"
    sentence = f"{count} are not signed by this key for this installation: file or key was replaced"
    return CheckpointFile(checkpoints=good, flaws=[Flaw(kind="checkpoint", row=0, sentence=sentence)])


def _checked(line: str, key: Ed25519PublicKey, installation: str) -> Checkpoint:
    said = json.loads(line)
    signature = base64.b64decode(said.pop("signature"))
    key.verify(signature, canonical_json(said).encode())
    if said["installation"] != installation:
        raise ValueError("another installation")
    return Checkpoint(at=datetime.fromisoformat(said["at"]), id=said["id"], hash=said["hash"])
