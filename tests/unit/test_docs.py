"""What the documents say is what the program does."""

import tomllib
from pathlib import Path

from typer.main import get_command

from dicom_node.cli.app import app
from dicom_node.settings import Settings
from inference import errors

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_example_settings_are_the_defaults() -> None:
    """deploy/echonode.toml lists every key of every section with its default value."""
    example = tomllib.loads((ROOT / "deploy" / "echonode.toml").read_text(encoding="utf-8"))
    defaults = Settings().model_dump(mode="json")

    for section, values in defaults.items():
        if section not in ("peers", "destinations"):
            assert example[section] == values
    assert Settings(**example) == Settings()


def test_every_command_is_in_the_readme() -> None:
    """No command is hidden from a new user."""
    for name in get_command(app).commands:
        assert name in README


def test_every_reason_is_in_the_readme() -> None:
    """Each word that an operator may meet as a reason is explained."""
    for error in errors.InferenceError.__subclasses__():
        if error is not errors.WeightsMismatch:
            assert f"`{error.reason}`" in README
