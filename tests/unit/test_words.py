"""Words that were given up stay out of code, tests and documents: one word for one thing.

The left side of each table is what may not come back, the right side what is said instead.
CHANGELOG.md is left out: it tells what things were called.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

import pytest

ROOT = Path(__file__).parents[2]

ANYWHERE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "analyst": "SandboxedAnalyzer",
        "buried": "fail",
        "bury": "fail",
        "circumstances": "ReportContext",
        "door": "AssociationAdmission",
        "gate": "acceptance",
        "gates": "acceptance",
        "guard": "upper_layer",
        "guarded": "BoundedUpperLayer, BoundedSocket",
        "guards": "triggers",
        "holdings": "retention_candidates",
        "judged": "ScoredStrip",
        "keeper": "apply_retention",
        "midlife": "raw_rows",
        "nursery": "fork_server",
        "spool": "IncomingDataSet",
        "spooling": "FileBackedDIMSE",
        "standin": "fake_analyzer",
        "tally": "RejectionLog",
        "testify": "CheckpointComparison",
        "testimony": "CheckpointComparison",
        "tidy": "apply_retention",
        "trail": "audit log, AuditRecorder",
        "unpark": "requeue",
        "unparked": "requeued",
        "wanted": "needed, asked for, ReportPlan",
        "witness": "CheckpointComparison",
    }
)
"""Part of a name or word of a text, in upper or lower case: `test_trail`, `ClosedDoor`, "the audit trail"."""

NAMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "RESAMPLED": "TEST_TIME_CROPS",
        "SILENT": "NO_CHECKPOINTS",
        "heart_probability": "lv_probability",
        "manner": "variant",
        "settle": "flush_due",
    }
)
"""A whole name in code, of whatever; in a sentence these are plain English."""

DEFINED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "Finding": "ImageResult",
        "House": "NodeHarness",
        "Machine": "EvalRuntime",
        "Mistakes": "HardNegatives",
        "Rig": "NodeHarness",
        "Seen": "Candidate",
        "Steps": "ImageAnalyzer",
        "World": "NodeHarness",
        "admitted": "selected",
        "decided": "confident",
        "house": "node",
        "rig": "node",
        "together": "pooled_probability",
        "world": "node",
    }
)
"""A class or function that is defined or imported; variables may be called so."""

MODULES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "durable": "fsync",
        "exports": "export_cursor",
        "findings": "image_result",
        "house": "node",
        "mistakes": "hard_negatives",
        "mounts": "filesystems",
        "moves": "study_transitions",
        "quality": "plausibility",
        "rig": "node",
        "steps": "image_analyzer",
        "waiting": "backlog",
        "world": "node",
    }
)
"""A module."""

PHRASES: Final[Mapping[str, str]] = MappingProxyType(
    {
        r"\bIllegalMove\b": "IllegalTransition",
        r"\bLEGAL_MOVES\b": "LEGAL_TRANSITIONS",
        r"hand(s|ed|ing)?[_ ]back": "release",
        r"\bfuneral\b": "a stale claim",
    }
)
"""Patterns in code and text."""

OF_OTHERS: Final = re.compile(r"flake8-tidy-imports|WantedBy=")
"""Names that others gave."""

DOCUMENTS = ("README.md", "CONTRIBUTING.md", "Makefile", "pyproject.toml", ".ci/run")
PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
"""A word of a name: `BoundedDUL` has two, `test_trail` too."""


def sources(area: str) -> list[Path]:
    """Return the files of a folder, or the documents, but not this list."""
    if area == "documents":
        return [ROOT / name for name in DOCUMENTS] + sorted(
            path
            for path in (ROOT / "deploy").iterdir()
            if path.suffix in {".md", ".toml", ".service", ".svg"}
        )
    found = (path for kind in ("*.py", "*.html") for path in (ROOT / area).rglob(kind))
    return sorted(path for path in found if path != Path(__file__).resolve())


def hits(path: Path) -> Iterator[str]:
    """Yield a line for each word of a file that was given up."""
    text, place = path.read_text(encoding="utf-8"), path.relative_to(ROOT)
    for word, instead in in_text(str(place.with_suffix(""))):
        yield f"{place}: file name `{word}`, say {instead}"
    if next(in_text(OF_OTHERS.sub("", text)), None):
        for number, line in enumerate(text.splitlines(), start=1):
            for word, instead in in_text(OF_OTHERS.sub("", line)):
                yield f"{place}:{number}: `{word}`, say {instead}"
    if path.suffix == ".py":
        if path.stem in MODULES:
            yield f"{place}: module `{path.stem}`, say {MODULES[path.stem]}"
        for number, word, instead in in_code(ast.parse(text)):
            yield f"{place}:{number}: name `{word}`, say {instead}"


def in_text(text: str) -> Iterator[tuple[str, str]]:
    """Yield each old word of a text, and what to say instead."""
    for part in PART.findall(text):
        if part.lower() in ANYWHERE:
            yield part, ANYWHERE[part.lower()]
    for pattern, instead in PHRASES.items():
        if found := re.search(pattern, text):
            yield found.group(), instead


def in_code(tree: ast.AST) -> Iterator[tuple[int, str, str]]:
    """Yield line and word of each old name in a module, and what to say instead."""
    for node in ast.walk(tree):
        match node:
            case (
                ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name) | ast.keyword(arg=str(name))
            ):
                old: Mapping[str, str] = NAMES
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.alias(name=name):
                old = {**NAMES, **DEFINED}
            case _:
                continue
        if name in old:
            yield node.lineno, name, old[name]


@pytest.mark.parametrize("area", ["dicom_node", "inference", "store", "tests", "documents"])
def test_words_that_were_given_up(area: str) -> None:
    """None of them occurs."""
    found = list(dict.fromkeys(hit for path in sources(area) for hit in hits(path)))

    assert not found, "\n".join([f"{len(found)} old words:", *found])


SAMPLE = '''"""The door."""
class OldKeeper:
    world = settle()


class Steps:  # steps
    """Its world, indoors."""
'''


def test_old_words_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names, parts of names, file names and sentences are all looked at, longer words are not."""
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    path = tmp_path / "test_tally.py"
    path.write_text(SAMPLE, encoding="utf-8")

    assert [hit.split(":", maxsplit=1)[1].split(",")[0] for hit in hits(path)] == [
        " file name `tally`",
        "1: `door`",
        "2: `Keeper`",
        "6: name `Steps`",
        "3: name `settle`",
    ]
