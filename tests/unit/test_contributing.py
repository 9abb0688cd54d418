"""What CONTRIBUTING.md points to is there."""

import re
from pathlib import Path

import pytest
from support.draw_map import NODE, contract_floors

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TOKENS = [*re.findall(r"`([^`\n]+)`", TEXT), *re.findall(r"\]\(([^)]+)\)", TEXT)]
TARGETS = sorted({target for token in TOKENS for target in re.findall(r"\bmake ([\w-]+)", token)})


def named_paths() -> list[str]:
    """Return each path that is named, with `: name, name` behind it where the text has that."""
    words = [word if " " not in word or ": " in word else word.split()[-1] for word in TOKENS]
    paths = [word for word in words if re.match(r"(\.ci/|[\w.-]+/|[A-Z]+\.md$|pyproject\.toml$)", word)]
    return sorted({path for path in paths if not path.startswith((".venv/", "dist/"))})


@pytest.mark.parametrize("named", named_paths())
def test_each_path_and_name_exists(named: str) -> None:
    """A file or folder that is named exists, and holds the names that stand behind it."""
    path, _, names = named.partition(": ")

    assert (ROOT / path).exists()
    for name in filter(None, names.split(", ")):
        source = (ROOT / path).read_text(encoding="utf-8")
        assert re.search(rf"^(def|class) {name}\b|^{name}(:|\s=)", source, re.MULTILINE)


def test_paths_are_found() -> None:
    """The recipes are full of paths: a pattern that finds none would prove nothing."""
    assert len(named_paths()) > 30


@pytest.mark.parametrize("target", TARGETS)
def test_each_make_target_exists(target: str) -> None:
    """`make X` that is named can be run."""
    assert re.search(rf"^{target}:", MAKEFILE, re.MULTILINE)


def test_the_floors_are_those_of_the_contract() -> None:
    """The table of floors names the rooms of each floor, from the roof down, as the contract does."""
    rooms = {room for floor in contract_floors(NODE) for room in floor}
    table = [line.split(" | ")[1] for line in TEXT.splitlines() if re.match(r"\| \d", line)]

    told = [set(re.findall(r"`(\w+)`", row)) & rooms for row in table]
    assert told == [set(floor) for floor in contract_floors(NODE)]
