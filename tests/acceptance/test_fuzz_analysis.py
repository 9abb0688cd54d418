"""Ten thousand hostile files: each ends in a finding, none in an exception, and none tells a name.

TEST_SCALE multiplies the number of cases.
"""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import decoding
import hostile_files
import pytest
import reported
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rig import TESTS
from scale import SCALE

from dicom_node.errors import AnalysisStopped
from dicom_node.report.objects import UnreportableSource
from dicom_node.settings import JobSettings, Settings
from dicom_node.study.image_result import ImageResult
from dicom_node.study.sandbox.analyzer import SandboxedAnalyzer

CASES, REPORTED_CASES = 400 * SCALE, 200 * SCALE
RUNS = {"header": 5_000 * SCALE, "pixels": 3_200 * SCALE}
MEMORY_MB, MORE_MB = 512, 100
REASONS = {
    *("not_ultrasound", "no_pixel_data", "undecodable", "too_large", "no_mmode_region", "uncalibrated", None),
}
"""What can become of a file that no network looks at."""

pytestmark = pytest.mark.timeout(300 * SCALE)
"""One core of a busy machine."""


@pytest.fixture(scope="module")
def analyzer() -> Iterator[SandboxedAnalyzer]:
    """Start a real analysis process with light steps."""
    limits = JobSettings(image_timeout_s=10, image_memory_mb=MEMORY_MB)
    with SandboxedAnalyzer(Settings(job=limits), decoding.steps) as started:
        assert started.model == decoding.MODEL
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


@pytest.mark.parametrize("kind", ["lying_headers", "odd_regions", "broken_streams", "broken_files"])
def test_every_file_ends_in_a_finding(kind: str, analyzer: SandboxedAnalyzer, tmp_path: Path) -> None:
    """Whatever a file claims, it is measured or has a reason; the analysis neither grows nor tells names."""
    path, found = tmp_path / "hostile.dcm", Counter[str | None]()
    path.write_bytes(hostile_files.images()["colour"])
    assert look(analyzer, path).measured
    before_mb = rss_mb(analyzer)

    def check(data: bytes) -> None:
        path.write_bytes(data)
        finding = look(analyzer, path)
        found[finding.reason] += 1
        assert hostile_files.MARKER not in str(finding)

    fuzzed(getattr(hostile_files, kind)(), check, cases=CASES)

    assert set(found) <= REASONS
    assert found[None]
    assert found.total() > found[None]
    assert rss_mb(analyzer) < before_mb + MORE_MB


def look(analyzer: SandboxedAnalyzer, path: Path) -> ImageResult:
    """Examine a file that no row knows."""
    return analyzer.examine(None, path)  # type: ignore[arg-type] - passed along only


def test_every_report_is_built_or_refused(analyzer: SandboxedAnalyzer, tmp_path: Path) -> None:
    """A file whose pixels can be read, whatever else it claims, has reports, or a reason for none."""
    path, made = tmp_path / "hostile.dcm", Counter[str]()

    def check(data: bytes) -> None:
        path.write_bytes(data)
        finding = look(analyzer, path)
        if not finding.measured:
            return
        try:
            kinds = [each.kind for each in report(analyzer, path, finding)]
        except (UnreportableSource, AnalysisStopped) as error:
            kinds = ["named" if hostile_files.MARKER in str(error) else "refused"]
        made.update(kinds)

    fuzzed(hostile_files.lying_patients(), check, cases=REPORTED_CASES)

    assert set(made) == {"tid5200", "refused"}


def report(analyzer: SandboxedAnalyzer, path: Path, finding: ImageResult) -> list[reported.ReportObject]:
    """Build a report of it in the usual circumstances."""
    return analyzer.report(path, finding.strips, reported.context(plan=reported.plan("tid5200")))


@pytest.mark.parametrize("target", ["header", "pixels"])
def test_mutated_bytes_are_read_or_refused(target: str, tmp_path: Path) -> None:
    """Reading a file, by the receiver or the analysis, raises nothing else, guided to new branches or not."""
    pytest.importorskip("atheris", reason="atheris has no build for this platform")
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for name, data in hostile_files.images().items():
        (corpus / name).write_bytes(data)
    options = [
        f"-runs={RUNS[target]}",
        "-seed=20261125",
        "-max_len=16384",
        "-timeout=20",
        "-rss_limit_mb=0",
    ]
    command = [sys.executable, TESTS / "fuzz_bytes.py", target, tmp_path / "one.dcm", corpus, *options]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS.parent), str(TESTS)])}

    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=tmp_path, env=environment)

    assert done.returncode == 0, done.stderr[-4000:]
    assert f"Done {RUNS[target]} runs" in done.stderr
