"""deploy/training.md shows what the program reads."""

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from typer.main import get_command

from dicom_node.cli.app import app
from inference.training.datasets.schema import SKELETON
from inference.training.imports.placement import read_table
from inference.types import LANDMARK_ORDER

TEXT = (Path(__file__).parents[2] / "deploy" / "training.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    """The first code block of a language."""
    found = re.search(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)
    assert found
    return found.group(1)


def test_the_example_names_the_landmarks() -> None:
    """Names and order are those of the network, in our format and for Label Studio."""
    (category,) = json.loads(block("json"))["categories"]
    labels = [each.get("value") for each in ET.fromstring(block("xml")).iter("Label")]  # noqa: S314 - ours

    assert tuple(category["keypoints"]) == LANDMARK_ORDER
    assert category["skeleton"] == [list(line) for line in SKELETON]
    assert tuple(labels) == ("cycle", *LANDMARK_ORDER)


def test_the_example_table_can_be_read(tmp_path: Path) -> None:
    """Columns are spelled as the import expects them."""
    (tmp_path / "calibration.csv").write_text(block("csv"))

    table = read_table(tmp_path / "calibration.csv")

    assert table["a.png"].region_px == (80, 330, 989, 749)
    assert table["b.png"].kind == "mitral"


COMMANDS = sorted(set(re.findall(r"echonode ((?:dataset|phantom) [^`\n]*)", TEXT)))


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_shown_exists(line: str) -> None:
    """So do its options."""
    command: Any = get_command(app)
    for word in line.split():
        command = getattr(command, "commands", {}).get(word, command)
    options = {name for parameter in command.params for name in parameter.opts}

    assert line == "dataset import …" or not hasattr(command, "commands")
    assert set(re.findall(r"--[a-z-]+", line)) <= options
