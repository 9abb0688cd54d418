"""The command `echonode`; bodies of commands are imported when called, as torch takes seconds to load."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from dicom_node import __version__
from dicom_node.cli.audit import audit_app
from dicom_node.cli.dataset import dataset_app, invalid_is_exit_one
from dicom_node.cli.train import train_app
from dicom_node.errors import NodeError, SettingsError
from dicom_node.settings import Settings
from store.errors import StoreError

app = typer.Typer(help="A DICOM node that measures the left ventricle in M-mode echo.", no_args_is_help=True)
app.add_typer(audit_app, name="audit")
app.add_typer(train_app, name="train")
app.add_typer(dataset_app, name="dataset")

Config = Annotated[Path | None, typer.Option("--config", help="Settings file (TOML); none: defaults.")]
WatchStdin = Annotated[bool, typer.Option("--watch-stdin", hidden=True)]
Weights = Annotated[str, typer.Option(help="Weights folder; empty: the shipped ones.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]


def main() -> None:
    """Run the command line; exit 2 for wrong settings, 1 for another error of the node."""
    try:
        app()
    except SettingsError as error:
        typer.echo(str(error), err=True)
        sys.exit(2)
    except (NodeError, StoreError) as error:
        typer.echo(str(error), err=True)
        sys.exit(1)


@app.callback(invoke_without_command=True)
def version(*, show: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    """Show the version."""
    if show:
        typer.echo(__version__)
        raise typer.Exit


@app.command()
def serve(config: Config = None) -> None:
    """Run the receiver and the worker under one supervisor."""
    from dicom_node.process.locks import node_runs
    from dicom_node.process.logs import configure
    from dicom_node.process.stop_signal import StopSignal
    from dicom_node.roles.children import start_children

    configure()
    settings = Settings.load(config)
    with node_runs(settings.node.data_dir), StopSignal() as stop:
        children = start_children(settings, config)
        from dicom_node.roles.supervisor import run_supervisor  # loads beside its children

        raise typer.Exit(run_supervisor(settings, children, stop))


@app.command()
def receive(config: Config = None, *, watch_stdin: WatchStdin = False) -> None:
    """Run the receiver alone: C-ECHO and C-STORE, no networks loaded."""
    from dicom_node.process.logs import configure
    from dicom_node.roles.receiver import run_receiver

    configure()
    raise typer.Exit(run_receiver(Settings.load(config), watch_stdin=watch_stdin))


@app.command()
def work(config: Config = None, *, watch_stdin: WatchStdin = False) -> None:
    """Run the worker alone: analysis, reports, delivery."""
    from dicom_node.process.logs import configure
    from dicom_node.roles.worker import run_worker

    configure()
    raise typer.Exit(run_worker(Settings.load(config), watch_stdin=watch_stdin))


@app.command()
def check(config: Config = None) -> None:
    """Check settings, disk, database, weights, and C-ECHO to every destination."""
    from dicom_node.monitoring.preflight import run_checks
    from dicom_node.process.logs import quiet_libraries

    quiet_libraries()
    raise typer.Exit(run_checks(Settings.load(config)))


@app.command()
def schedule(
    config: Config = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
) -> None:
    """List what the node does by the clock: how often, how it went last, when next."""
    from dicom_node.monitoring.schedule import run_schedule

    raise typer.Exit(run_schedule(Settings.load(config), as_json=as_json))


@app.command()
def demo() -> None:
    """Push a phantom study through a node of its own to a PACS of its own, and show what comes out."""
    from dicom_node.tools.demo.run import run_demo

    raise typer.Exit(run_demo())


@app.command()
def measure(
    paths: Annotated[list[Path], typer.Argument(help="DICOM files or folders.", exists=True)],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
    overlay: Annotated[Path | None, typer.Option(help="Write overlays as PNG into this folder.")] = None,
    weights: Weights = "",
    device: Device = "auto",
) -> None:
    """Measure files offline: no network, no database."""
    from dicom_node.process.logs import quiet_libraries
    from dicom_node.tools.measure import run_measure

    quiet_libraries()
    raise typer.Exit(run_measure(paths, as_json=as_json, overlays=overlay, weights=weights, device=device))


@app.command()
def phantom(
    out: Annotated[Path, typer.Option(help="Folder for the files.")],
    *,
    count: Annotated[int, typer.Option(min=1)] = 1,
    seed: Annotated[int, typer.Option(min=0)] = 0,
    kind: Annotated[
        str | None, typer.Option(help="LV, or a look-alike such as mitral, aorta, TAPSE.")
    ] = None,
    manners: Annotated[
        list[str] | None,
        typer.Option("--manner", help="One that hides borders, such as dark_septum; may be repeated."),
    ] = None,
    as_dataset: Annotated[
        bool, typer.Option("--as-dataset", help="A training data set instead of DICOM files.")
    ] = False,
) -> None:
    """Write phantom images (DICOM) with their truth beside them (JSON)."""
    from inference.phantom.manners import MANNERS

    manners = manners or []
    if unknown := set(manners) - set(MANNERS):
        raise typer.BadParameter(f"no manner {', '.join(sorted(unknown))}; there are {', '.join(MANNERS)}")
    if as_dataset:
        from dicom_node.tools.datasets import phantoms_as_dataset

        with invalid_is_exit_one():
            phantoms_as_dataset(out, count=count, seed=seed, kind=kind, manners=manners)
        return
    from dicom_node.tools.phantoms import write_phantoms

    for path in write_phantoms(out, count=count, seed=seed, kind=kind, manners=manners):
        typer.echo(str(path))


@app.command()
def evaluate(
    *,
    count: Annotated[int, typer.Option(min=0, help="Left ventricles.")] = 200,
    lookalikes: Annotated[int, typer.Option(min=0, help="Strips of anything else, all kinds in turn.")] = 400,
    seed: Annotated[int, typer.Option(min=0, help="Offset into the test seeds.")] = 0,
    hearts: Annotated[
        Literal["clinical", "full"], typer.Option("--range", help="Left ventricles of clinical size, or all.")
    ] = "clinical",
    by: Annotated[
        Literal["manner"] | None, typer.Option(help="Draw equally many of each manner that hides borders.")
    ] = None,
    beside: Annotated[str, typer.Option(help="Weights folder to compare with on the same phantoms.")] = "",
    data: Annotated[Path | None, typer.Option(help="Data set (COCO) to judge instead of phantoms.")] = None,
    against: Annotated[
        Literal["printed"] | None, typer.Option(help="Score real pictures against what is printed on them.")
    ] = None,
    real: Annotated[Path, typer.Option(help="Folder of real pictures.")] = Path("../shared/real"),
    out: Annotated[Path | None, typer.Option(help="Folder for report.html, report.json, pictures.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on standard output.")] = False,
    weights: Weights = "",
    device: Device = "auto",
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 2,
) -> None:
    """Measure strips of known truth and compare: phantoms of unseen seeds, or a data set."""
    from dicom_node.tools.evaluate import Options, run_evaluate
    from inference.evaluation.sample import Plan, Range
    from inference.evaluation.scored_strips import EvalRuntime

    if beside and data is not None:
        raise typer.BadParameter("--beside compares on phantoms, not on --data")
    plan = Plan(count=count, lookalikes=lookalikes, seed=seed, range=Range(hearts), by_manner=by == "manner")
    runtime = EvalRuntime(weights=weights, device=device, workers=workers)
    pictures = real if against else None
    options = Options(data=data, pictures=pictures, out=out, as_json=as_json, beside=beside)
    raise typer.Exit(run_evaluate(plan, runtime, options))


@app.command()
def replay(study_uid: str, config: Config = None) -> None:
    """Analyse a study again, as a new revision."""
    from dicom_node.tools.replay import replay_study

    raise typer.Exit(replay_study(Settings.load(config), study_uid))


@app.command()
def resend(
    study_uid: Annotated[str | None, typer.Argument(help="Study Instance UID.")] = None,
    *,
    dead: Annotated[bool, typer.Option("--dead", help="Everything that is parked.")] = False,
    config: Config = None,
) -> None:
    """Send what was parked (DEAD) again, as after a wrong AE title was put right."""
    from dicom_node.tools.replay import resend_parked

    if (study_uid is None) is not dead:
        raise typer.BadParameter("give either a study or --dead")
    raise typer.Exit(resend_parked(Settings.load(config), study_uid))


@app.command()
def backup(
    *,
    out: Annotated[Path, typer.Option(help="File for the copy.", dir_okay=False)],
    config: Config = None,
) -> None:
    """Write a verified copy of the database while the node runs."""
    from dicom_node.storage.backup import back_up

    raise typer.Exit(back_up(Settings.load(config), out))


@app.command()
def restore(
    source: Annotated[Path, typer.Argument(metavar="FILE", help="A backup.", exists=True, dir_okay=False)],
    config: Config = None,
) -> None:
    """Put a backup in the place of the database; the node must not run."""
    from dicom_node.storage.backup import restore as restore_backup

    raise typer.Exit(restore_backup(Settings.load(config), source))


if __name__ == "__main__":
    main()
