"""Hostile files: each ends in a result, none in an exception, and none tells a name."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dicom_node.errors import AnalysisStopped
from dicom_node.report.objects import UnreportableSource
from dicom_node.settings import Settings
from dicom_node.settings.sections import JobSettings
from dicom_node.study.image_result import ImageResult
from dicom_node.study.sandbox.analyzer import SandboxedAnalyzer
from support import decoding_analyzer, hostile_files, reported
from support.fork_server import SEARCH_PATH
from support.rows_of_images import row_of_file

MEMORY_MB, MORE_MB = 512, 100
REASONS = {
    *("not_ultrasound", "no_pixel_data", "undecodable", "too_large", "no_mmode_region", "uncalibrated", None),
}
"""What can become of a file that no network looks at."""

KINDS = ("lying_headers", "odd_regions", "broken_streams", "broken_files")
TARGETS = ("header", "pixels")


@contextmanager
def real_process() -> Iterator[SandboxedAnalyzer]:
    """Start a real analysis process with an analyzer that only decodes."""
    limits = JobSettings(image_timeout_s=10, image_memory_mb=MEMORY_MB)
    with SandboxedAnalyzer(Settings(job=limits), decoding_analyzer.decoding_analyzer) as started:
        assert started.model == decoding_analyzer.MODEL
        yield started


def fuzzed(strategy: st.SearchStrategy[bytes], check: Callable[[bytes], None], *, cases: int) -> None:
    """Call `check` with so many files, the same ones every time."""
    quietly = list(HealthCheck)
    limited = settings(
        max_examples=cases, deadline=None, database=None, suppress_health_check=quietly, derandomize=True
    )
    limited(given(strategy)(check))()


def rss_mb(analyzer: SandboxedAnalyzer) -> float:
    """Return the resident memory of the analysis process."""
    status = Path(f"/proc/{analyzer.pid}/status").read_text(encoding="ascii")
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def assert_every_file_has_a_result(
    analyzer: SandboxedAnalyzer, tmp_path: Path, kind: str, cases: int
) -> None:
    """Whatever a file claims, it is measured or has a reason; the analysis neither grows nor tells names."""
    path, found = tmp_path / "hostile.dcm", Counter[str | None]()
    path.write_bytes(hostile_files.images()["colour"])
    assert look(analyzer, path).measured
    before_mb = rss_mb(analyzer)

    def check(data: bytes) -> None:
        path.write_bytes(data)
        result = look(analyzer, path)
        found[result.reason] += 1
        assert hostile_files.MARKER not in str(result.strips)

    fuzzed(getattr(hostile_files, kind)(), check, cases=cases)

    assert set(found) <= REASONS
    assert found[None]
    assert found.total() > found[None]
    assert rss_mb(analyzer) < before_mb + MORE_MB


def look(analyzer: SandboxedAnalyzer, path: Path) -> ImageResult:
    """Examine a file that no row knows."""
    return analyzer.examine(row_of_file(path), path)


def assert_every_report_is_built_or_refused(analyzer: SandboxedAnalyzer, tmp_path: Path, cases: int) -> None:
    """A file whose pixels can be read, whatever else it claims, has reports, or a reason for none."""
    path, made = tmp_path / "hostile.dcm", Counter[str]()

    def check(data: bytes) -> None:
        path.write_bytes(data)
        result = look(analyzer, path)
        if not result.measured:
            return
        try:
            kinds = [each.kind for each in report(analyzer, path, result)]
        except (UnreportableSource, AnalysisStopped) as error:
            kinds = ["named" if hostile_files.MARKER in str(error) else "refused"]
        made.update(kinds)

    fuzzed(hostile_files.lying_patients(), check, cases=cases)

    assert set(made) == {"tid5200", "refused"}


def report(analyzer: SandboxedAnalyzer, path: Path, result: ImageResult) -> list[reported.ReportObject]:
    """Build a report of it with the usual context."""
    return analyzer.report(result, path, reported.context(plan=reported.plan("tid5200")))


def assert_mutated_bytes_are_read_or_refused(tmp_path: Path, target: str, runs: int) -> None:
    """Reading a file, by the receiver or the analysis, raises nothing else, guided to new branches or not."""
    pytest.importorskip("atheris", reason="atheris has no build for this platform")
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for name, data in hostile_files.images().items():
        (corpus / name).write_bytes(data)
    options = [
        f"-runs={runs}",
        "-seed=20261125",
        "-max_len=16384",
        "-timeout=20",
        "-rss_limit_mb=0",
    ]
    command = [sys.executable, "-m", "support.fuzz_bytes", target, tmp_path / "one.dcm", corpus, *options]
    environment = {**os.environ, "PYTHONPATH": SEARCH_PATH}

    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=tmp_path, env=environment)

    assert done.returncode == 0, done.stderr[-4000:]
    assert f"Done {runs} runs" in done.stderr
