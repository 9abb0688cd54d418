"""What a hostile image does to the analysis process, and cannot do to the worker and to other images."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from support import builders, fake_analyzer
from support.node import NodeHarness, children_of, kill, process_node, wait_for
from support.node_processes import Started

from dicom_node.errors import AnalyzerError
from dicom_node.settings import Settings
from dicom_node.study.sandbox.analyzer import SandboxedAnalyzer
from store.db.states import InstanceState

STUDY = str(builders.STUDY_UID)
MEASURED = (InstanceState.MEASURED, None)
UNDECODABLE = (InstanceState.NOT_MEASURED, "undecodable")
LIMIT_S = 2
PATIENT_S = 90
"""Every image that kills the analysis costs the start of two processes."""
ENDS_S = 10
"""Left alone, an analysis that hangs would stay for an hour."""


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NodeHarness]:
    """Return a node, not started."""
    with closing(process_node(tmp_path, job_attempts=1)) as made:
        yield made


def worker(node: NodeHarness, *, limit_s: float = LIMIT_S, **environment: str) -> Started:
    """Start a worker with the fake analyzer and this limit of time."""
    return node.start_role("work", ECHONODE_JOB__IMAGE_TIMEOUT_S=str(limit_s), **environment)


def take_in(node: NodeHarness, *comments: str) -> list[str]:
    """Receive an image per comment; return their UIDs."""
    images = [
        builders.image_2d(ImageComments=comment, InstanceNumber=n) for n, comment in enumerate(comments)
    ]
    for each in images:
        node.receive(each)
    return [str(each.SOPInstanceUID) for each in images]


def outcomes(node: NodeHarness) -> dict[str, tuple[InstanceState, str | None]]:
    """Return state and reason per image, once the study is done."""
    wait_for(lambda: node.events("study.done"), "the study is done", limit_s=PATIENT_S)
    return {each.sop_instance_uid: (each.state, each.reason) for each in node.instances(STUDY)}


def details(node: NodeHarness) -> dict[str | None, str]:
    """Return the words of each refusal in the audit log."""
    rows = node.events("instance.not_measured")
    return {event.sop_instance_uid: event.detail["strips"][0]["detail"] for event in rows}


def analyzer_pid(process: Started) -> int:
    """Return the process id of the worker's analysis process."""
    (pid,) = wait_for(lambda: children_of(process), "the worker has a child")
    return int(pid)


def gone(pid: int) -> bool:
    """Tell whether a process has ended, whoever should have waited for it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def catches(pid: int, number: signal.Signals) -> bool:
    """Tell whether a process has a handler for a signal: a worker has none left after the first."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    (mask,) = (line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(mask, 16) >> (number - 1) & 1)


def hung(folder: Path) -> tuple[str, Path]:
    """Return a comment that hangs the analysis, and the file that tells when it does."""
    return f"hang {folder / 'hangs'}", folder / "hangs"


def test_hostile_images_cost_themselves_only(node: NodeHarness) -> None:
    """An image that hangs in C, one of 10 GB and one that crashes get a reason each; the rest is measured."""
    hangs, _ = hung(node.folder)
    process = worker(node)
    before, slow, bomb, crash, after = take_in(node, "", hangs, "bomb", "crash", "")

    assert outcomes(node) == {
        before: MEASURED,
        slow: UNDECODABLE,
        bomb: UNDECODABLE,
        crash: UNDECODABLE,
        after: MEASURED,
    }
    assert details(node) == {
        slow: "the analysis was stopped after 2 s",
        bomb: "the analysis needed more than 4096 MB (tried 2 times)",
        crash: "the analysis died of SIGSEGV (tried 2 times)",
    }
    assert {each.detail["source_sop_instance_uid"] for each in node.events("result.created")} == {
        before,
        after,
    }
    assert process.poll() is None
    assert len(node.events("node.started")) == 1
    assert len(children_of(process)) == 1


def test_a_report_that_cannot_be_built_within_the_limits(node: NodeHarness) -> None:
    """An image whose report takes too much memory has a reason in the audit log; the others are reported."""
    worker(node)
    bomb, fine = take_in(node, "report bomb", "")

    assert outcomes(node) == {bomb: MEASURED, fine: MEASURED}
    (event,) = node.events("report.refused")
    assert event.sop_instance_uid == bomb
    assert event.detail["because"] == "the analysis needed more than 4096 MB (tried 2 times)"
    assert {each.detail["source_sop_instance_uid"] for each in node.events("result.created")} == {fine}


def test_an_analysis_killed_from_outside_is_repeated(node: NodeHarness) -> None:
    """A passing shortage of memory, in which the kernel kills the analysis, costs no image."""
    hangs, marker = hung(node.folder)
    process = worker(node, limit_s=60)
    images = take_in(node, hangs, "")
    wait_for(marker.exists, "the analysis has begun")
    kill(analyzer_pid(process))

    assert outcomes(node) == dict.fromkeys(images, MEASURED)


@pytest.mark.parametrize(
    "signals", [[signal.SIGKILL], [signal.SIGTERM, signal.SIGTERM]], ids=["killed", "told twice"]
)
def test_no_analysis_survives_its_worker(node: NodeHarness, signals: list[signal.Signals]) -> None:
    """However a worker ends, an analysis that hangs deep in C ends with it."""
    hangs, marker = hung(node.folder)
    process = worker(node, limit_s=60, REAL_STARTS="1")
    take_in(node, hangs)
    wait_for(marker.exists, "the analysis has begun")
    analyzer = analyzer_pid(process)

    first, *second = signals
    process.send_signal(first)
    for each in second:
        # Two that wait to be delivered at the same time are one.
        wait_for(lambda: not catches(process.pid, first), "the first signal was taken")
        assert not gone(process.pid)
        process.send_signal(each)

    process.wait(timeout=ENDS_S)
    wait_for(lambda: gone(analyzer), "the analysis is gone", limit_s=ENDS_S)


def test_the_analysis_leaves_all_else_to_its_worker(node: NodeHarness) -> None:
    """A stop signal that it gets, too, does not stop it; neither database nor lock are open in it."""
    process = worker(node, REAL_STARTS="1")
    take_in(node, "slow", "slow")
    wait_for(lambda: node.events("model.loaded"), "the worker is ready")
    analyzer = analyzer_pid(process)
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(analyzer, number)
    held = [str(each.readlink()) for each in Path(f"/proc/{analyzer}/fd").iterdir()]

    assert not [path for path in held if path.endswith((".db", ".lock"))]
    assert set(outcomes(node).values()) == {MEASURED}
    assert analyzer_pid(process) == analyzer
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=10) == 0
    assert gone(analyzer)


def test_a_mistake_of_ours_is_named_by_its_place(node: NodeHarness) -> None:
    """A bug fails the job as ever: named by type, file and line; nowhere stands the name that it quotes."""
    worker(node)
    take_in(node, "raise")

    (event,) = wait_for(lambda: node.events("job.dead"), "the job is given up")
    log = (node.log).read_text(encoding="utf-8")

    assert "BuggyError in fake_analyzer.py:" in json.dumps(event.detail)
    assert "BuggyError in fake_analyzer.py:" in log
    assert "Phantom" not in log


def test_networks_that_do_not_load_stop_the_worker() -> None:
    """The worker says the same sentence as if it had loaded them itself."""
    settings = Settings(inference={"weights": "elsewhere"})

    with (
        SandboxedAnalyzer(settings, fake_analyzer.mismatched) as analyzer,
        pytest.raises(AnalyzerError, match="no weights in 'elsewhere'"),
    ):
        assert analyzer.model


def test_a_worker_without_networks_is_light() -> None:
    """The worker's own process loads neither torch nor highdicom."""
    code = "import sys, dicom_node.roles.worker; print(*(m for m in sys.argv[1:] if m in sys.modules))"
    command = [sys.executable, "-c", code, "torch", "torchvision", "highdicom", "dicom_node.report.build"]

    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == "\n"
