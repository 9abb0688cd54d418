"""`echonode audit verify` and `echonode audit checkpoint`."""

from contextlib import closing
from pathlib import Path

import typer

from dicom_node.audit import checkpoints
from dicom_node.audit.checkpoints import CheckpointFile, checkpoint_file
from dicom_node.audit.query import segments_folder
from dicom_node.audit.signing_key import PUBLIC, public_pem, read_public_key
from dicom_node.errors import NodeError
from dicom_node.identity import installation_uid
from dicom_node.process.clock import utc_now
from dicom_node.settings import Settings
from store.audit import audit_log
from store.audit.chain import Flaw
from store.audit.verification import verify
from store.db.database import Database

NO_CHECKPOINTS = CheckpointFile(checkpoints=[], flaws=[])


def verify_log(settings: Settings, *, file: Path | None = None, public_key: Path | None = None) -> int:
    """Print one sentence per flaw of the audit log; return 0 when there is none, else 1.

    Args:
        settings: of the node.
        file: the checkpoints to compare with; None: the node's own file, if it exists.
        public_key: verifies their signatures; None: the node's own key.

    Raises:
        StoreError: the database cannot be read.
    """
    try:
        checkpoint_file = read_checkpoints(settings, file, public_key)
    except (NodeError, OSError) as error:
        typer.echo(f"the checkpoints cannot be read: {error}")
        return 1
    with closing(Database(settings.store_url)) as database, database.read() as session:
        flaws = verify(session, sealed=segments_folder(settings), checkpoints=checkpoint_file.checkpoints)
    for flaw in (*checkpoint_file.flaws, *flaws):
        typer.echo(flaw.sentence)
    if flaws or checkpoint_file.flaws:
        typer.echo("the audit chain is broken")
        return 1
    typer.echo(f"the audit chain is sound, compared with {len(checkpoint_file.checkpoints)} checkpoints")
    return 0


def read_checkpoints(settings: Settings, file: Path | None, public_key: Path | None) -> CheckpointFile:
    """Return the checkpoints of `file`, or of the node's own file; none if that does not exist.

    Raises:
        BadKey: the public key cannot be read.
        OSError: the checkpoints cannot be read.
    """
    own_key = settings.node.data_dir / PUBLIC
    file = file or checkpoint_file(settings)
    if not file.exists():
        return NO_CHECKPOINTS
    key = read_public_key(public_key or own_key)
    found = checkpoints.read(file, key, installation=installation_uid(settings.node.data_dir))
    if public_key is not None and own_key.exists() and own_key.read_bytes() != public_pem(key):
        sentence = f"the key {own_key} is another than {public_key}: it was replaced"
        found.flaws.insert(0, Flaw(kind="checkpoint", row=0, sentence=sentence))
    return found


def write_checkpoint(settings: Settings) -> int:
    """Print a signed checkpoint and append it to the checkpoint file; return 1 if that fails, else 0.

    Raises:
        StoreError: the database cannot be read.
    """
    now = utc_now()
    with closing(Database(settings.store_url)) as database:
        try:
            line = checkpoints.take(database, settings.node.data_dir, now=now)
            if line is None:
                typer.echo("there are no rows yet", err=True)
                return 1
            typer.echo(line)
            checkpoints.append(checkpoint_file(settings), line)
        except NodeError as error:
            typer.echo(str(error), err=True)
            return 1
        with database.transaction() as session:
            detail = {"file": str(checkpoint_file(settings)), "by": "command"}
            audit_log.record(session, "audit.checkpoint", at=now, detail=detail)
    return 0
