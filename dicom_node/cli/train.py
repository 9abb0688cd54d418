"""The commands `echonode train …`: training of both networks, and their calibration."""

import inspect
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from dicom_node.cli.dataset import invalid_is_exit_one

if TYPE_CHECKING:
    from inference.training.recipe import Recipe

train_app = typer.Typer(help="Train one of the two networks, or calibrate both.", no_args_is_help=True)

VERSION = "2026.16"
"""Of the shipped weights."""

Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]
Out = Annotated[Path, typer.Option(help="Folder for weights and record.")]
Head = Annotated[Literal["tracing", "regression"], typer.Option(help="How landmarks are found.")]
Steps = Annotated[int, typer.Option(min=2, help="Batches to train on.")]
Batch = Annotated[int, typer.Option(min=1, help="Examples of one batch.")]
Data = Annotated[list[Path] | None, typer.Option(help="Data set of real tracings; may be repeated.")]
DataWeight = Annotated[float, typer.Option(min=0, max=1, help="Share of examples from --data.")]
Phantoms = Annotated[int, typer.Option(min=0, help="Different phantoms at most; 0: always new ones.")]
FirstPhantom = Annotated[int, typer.Option(min=0, help="Number of the first phantom.")]
Update = Annotated[Path | None, typer.Option(help="Weights folder to go on from with new data.")]
LearningRate = Annotated[float | None, typer.Option(help="Highest one; none: that of a new network.")]
Workers = Annotated[int, typer.Option(min=0, help="Processes that make examples.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint in --out.")]
HeldOut = Annotated[int, typer.Option(help="Phantoms to validate on.")]
Version = Annotated[str, typer.Option(help="Version written into the record.")]


def _recipe(
    *,
    steps: Steps,
    batch: Batch,
    seed: int = 1,
    held_out: HeldOut,
    version: Version = VERSION,
    data: Data = None,
    data_weight: DataWeight = 0.5,
    phantoms: Phantoms = 0,
    first_phantom: FirstPhantom = 0,
    update: Update = None,
    learning_rate: LearningRate = None,
    workers: Workers = 1,
    device: Device = "auto",
    resume: Resume = False,
) -> "Recipe":
    """Return the recipe that the options shared by both trainings describe."""
    from inference.training.recipe import Recipe

    return Recipe(
        steps=steps,
        batch=batch,
        seed=seed,
        held_out=held_out,
        version=version,
        data=tuple(data or ()),
        data_weight=data_weight,
        phantoms=phantoms,
        first_phantom=first_phantom,
        update=update,
        learning_rate=learning_rate,
        workers=workers,
        device=device,
        resume=resume,
    )


def _with_recipe_options(**defaults: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options of `_recipe`, with these defaults, in place of its parameter `recipe`.

    Typer reads the options of a command from the signature of its function.
    """
    shared = [
        each.replace(default=defaults.get(each.name, each.default))
        for each in inspect.signature(_recipe).parameters.values()
    ]

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        def run(**options: Any) -> None:
            recipe = _recipe(**{each.name: options.pop(each.name) for each in shared})
            command(**options, recipe=recipe)

        own = [each for each in inspect.signature(command).parameters.values() if each.name != "recipe"]
        run.__doc__ = command.__doc__
        run.__annotations__ = {each.name: each.annotation for each in (*own, *shared)}
        vars(run)["__signature__"] = inspect.Signature([*own, *shared])
        return run

    return decorate


@train_app.command("cycles")
@_with_recipe_options(steps=3600, batch=8, held_out=400)
def train_cycles(out: Out, *, recipe: "Recipe") -> None:
    """Train the cycle detector; the defaults are how the shipped weights were made."""
    from inference.training.fit_cycles import train_cycles as train

    with invalid_is_exit_one():
        typer.echo(train(out, recipe).model_dump_json())


@train_app.command("landmarks")
@_with_recipe_options(steps=3800, batch=32, held_out=300)
def train_landmarks(
    out: Out,
    *,
    detector: Annotated[
        Path | None,
        typer.Option(help="Weights folder of the detector whose mistakes are shown; none: boxes anywhere."),
    ] = None,
    head: Head = "tracing",
    recipe: "Recipe",
) -> None:
    """Train the landmark network; the defaults are how the shipped weights were made."""
    from inference.training.fit_landmarks import train_landmarks as train

    with invalid_is_exit_one():
        typer.echo(train(out, replace(recipe, detector=detector), head).model_dump_json())


@train_app.command("calibrate")
def train_calibrate(
    out: Out,
    *,
    strips: Annotated[int, typer.Option(min=1, help="Left ventricles.")] = 600,
    lookalikes: Annotated[int, typer.Option(min=1, help="Strips of all other kinds together.")] = 1000,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 2,
) -> None:
    """Choose both thresholds and fit the intervals on phantoms; needs both networks in the folder."""
    from inference.training.calibrate import CalibrationPlan, calibrate

    plan = CalibrationPlan(strips=strips, lookalikes=lookalikes, workers=workers)
    for record in calibrate(out, plan):
        typer.echo(record.model_dump_json())


@train_app.command("average")
def train_average(
    folders: Annotated[list[Path], typer.Argument(help="Weights folders, two or more.")],
    *,
    out: Out,
    version: Version = VERSION,
) -> None:
    """Average landmark networks that were trained on from the same weights; calibrate the result."""
    from inference.errors import WeightsMismatch
    from inference.training.average import average_landmarks

    try:
        typer.echo(average_landmarks(folders, out, version).model_dump_json())
    except (WeightsMismatch, ValueError) as error:
        raise typer.BadParameter(str(error)) from error
