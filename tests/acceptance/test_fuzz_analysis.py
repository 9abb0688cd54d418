"""Some hundred hostile files through a real analysis process; the thousands are in soak/."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support import fuzz_analysis

from dicom_node.study.sandbox.analyzer import SandboxedAnalyzer

FILES, REPORTS, MUTATED = 100, 40, 500


@pytest.fixture(scope="module")
def analyzer() -> Iterator[SandboxedAnalyzer]:
    """Start a real analysis process that decodes and needs no networks."""
    with fuzz_analysis.real_process() as started:
        yield started


@pytest.mark.parametrize("kind", fuzz_analysis.KINDS)
def test_every_file_has_a_result(kind: str, analyzer: SandboxedAnalyzer, tmp_path: Path) -> None:
    """Whatever a file claims, it is measured or has a reason; the analysis neither grows nor tells names."""
    fuzz_analysis.assert_every_file_has_a_result(analyzer, tmp_path, kind, FILES)


def test_every_report_is_built_or_refused(analyzer: SandboxedAnalyzer, tmp_path: Path) -> None:
    """A file whose pixels can be read, whatever else it claims, has reports, or a reason for none."""
    fuzz_analysis.assert_every_report_is_built_or_refused(analyzer, tmp_path, REPORTS)


@pytest.mark.parametrize("target", fuzz_analysis.TARGETS)
def test_mutated_bytes_are_read_or_refused(target: str, tmp_path: Path) -> None:
    """Reading a file, by the receiver or the analysis, raises nothing else, guided to new branches or not."""
    fuzz_analysis.assert_mutated_bytes_are_read_or_refused(tmp_path, target, MUTATED)
