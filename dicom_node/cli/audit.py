"""The commands `echonode audit …`: print the audit log, verify it, sign a checkpoint."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from dicom_node.settings import Settings

audit_app = typer.Typer(help="Print the audit log, verify that nobody changed it, or sign a checkpoint.")

Config = Annotated[Path | None, typer.Option("--config", help="Settings file (TOML); none: defaults.")]
Since = Annotated[datetime | None, typer.Option(help="Only events since this time (UTC).")]
Checkpoints = Annotated[
    Path | None, typer.Option(exists=True, dir_okay=False, help="Checkpoints kept elsewhere.")
]
PublicKey = Annotated[
    Path | None, typer.Option(exists=True, dir_okay=False, help="The copy of audit.pub kept elsewhere.")
]


@audit_app.callback(invoke_without_command=True)
def audit(
    context: typer.Context,
    *,
    config: Config = None,
    study: Annotated[str | None, typer.Option(help="Study Instance UID.")] = None,
    since: Since = None,
    event: Annotated[str | None, typer.Option(help="Such as delivery.delivered.")] = None,
    outcome: Annotated[str | None, typer.Option(help="success, refused or failure.")] = None,
    last: Annotated[int | None, typer.Option(min=1, help="Only the newest events.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON array.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Comma-separated values.")] = False,
) -> None:
    """Filter and print the audit log."""
    context.obj = config
    if context.invoked_subcommand is not None:
        return
    from dicom_node.audit.query import Filter, print_events

    filters = Filter(study_uid=study, since=since, event=event, outcome=outcome, limit=last)
    how = "json" if as_json else "csv" if as_csv else "table"
    raise typer.Exit(print_events(Settings.load(config), filters, how))


@audit_app.command("verify")
def audit_verify(
    context: typer.Context,
    config: Config = None,
    *,
    checkpoints: Checkpoints = None,
    public_key: PublicKey = None,
) -> None:
    """Check every row, every segment and the checkpoints; exit 1 and one sentence per finding."""
    from dicom_node.audit.verify import verify_log

    settings = Settings.load(config or context.obj)
    raise typer.Exit(verify_log(settings, file=checkpoints, public_key=public_key))


@audit_app.command("checkpoint")
def audit_checkpoint(context: typer.Context, config: Config = None) -> None:
    """Sign where the log stands now, append that to the checkpoint file, and print it."""
    from dicom_node.audit.verify import write_checkpoint

    raise typer.Exit(write_checkpoint(Settings.load(config or context.obj)))
