"""What a hostile image does to the analysis process, and cannot do to the worker and to other images."""

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset
from support import builders, decoding_analyzer, fake_analyzer
from support.node import NodeHarness, children_of, kill, process_node, wait_for
from support.node_processes import Started
from support.rows_of_images import row_of

from dicom_node.errors import AnalyzerError
from dicom_node.settings import Settings
from dicom_node.study.image_analyzer import load_decoder
from dicom_node.study.image_result import ImageResult
from dicom_node.study.sandbox import landlock
from dicom_node.study.sandbox.analyzer import SandboxedAnalyzer
from dicom_node.study.sandbox.channel import BadReply
from dicom_node.study.sandbox.messages import Confined, Decoded, SharedRegion, SharedStrip, encode
from dicom_node.study.sandbox.shared_memory import SIZE, check_decoded
from dicom_node.study.sandbox.template import AnalysisProcess
from inference.image.decoded import decoded
from inference.types import UNKNOWN_PATIENT, Calibration, MModeRegion, StripResult, Value
from store.db.states import InstanceState
from store.rows.instances import Instance

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
    variables = {
        "ECHONODE_JOB__IMAGE_TIMEOUT_S": str(limit_s),
        "ECHONODE_INFERENCE__WEIGHTS": str(node.folder),  # where `hang` has its marker
    }
    return node.start_role("work", **variables, **environment)


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


def hangs(node: NodeHarness) -> bool:
    """Tell whether an image with the comment "hang" has made the analysis do so."""
    marker = node.folder / "hangs"
    return marker.exists() and marker.read_bytes() == b"1"


def test_hostile_images_cost_themselves_only(node: NodeHarness) -> None:
    """An image that hangs in C, one of 10 GB and one that crashes get a reason each; the rest is measured."""
    process = worker(node)
    before, slow, bomb, crash, after = take_in(node, "", "hang", "bomb", "crash", "")

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
    process = worker(node, limit_s=60)
    images = take_in(node, "hang", "")
    wait_for(lambda: hangs(node), "the analysis has begun")
    kill(analyzer_pid(process))

    assert outcomes(node) == dict.fromkeys(images, MEASURED)


@pytest.mark.parametrize(
    ("signals", "start"),
    [([signal.SIGKILL], {"REAL_STARTS": "1"}), ([signal.SIGTERM, signal.SIGTERM], {})],
    ids=["killed", "told twice"],
)
def test_no_analysis_survives_its_worker(
    node: NodeHarness, signals: list[signal.Signals], start: dict[str, str]
) -> None:
    """However a worker ends, an analysis that hangs deep in C ends with it."""
    process = worker(node, limit_s=60, **start)
    take_in(node, "hang")
    wait_for(lambda: hangs(node), "the analysis has begun")
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


def test_a_worker_is_stopped_while_it_loads(node: NodeHarness) -> None:
    """A stop does not wait for networks that take their time."""
    process = worker(node, REAL_STARTS="1")
    wait_for(lambda: node.events("node.started"), "the worker has started")
    for pid in children_of(process):
        os.kill(pid, signal.SIGSTOP)  # so slow
    process.terminate()

    assert process.wait(timeout=ENDS_S) == 0
    assert not node.events("model.loaded")


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


SAID = {
    "pickles": "sent a reply that is not of the schema",
    "nan": "sent a reply that is not of the schema",
    "other": "answered for another image",
    "unmatched": "answered another question",
    "huge": "announced a reply of 4294967296 bytes, the limit is 16777216",
    "flood": "spoke without being asked",
    "quits": "ended with exit code 3",
}
"""What the audit log says of a child that breaks the rules, by deed of `support.hostile_child`."""


def audited(deed: str) -> str:
    """Return the words of the audit log for a deed."""
    if deed in SAID:
        return f"the analysis {SAID[deed]} (tried 2 times)"
    return f"the analysis was stopped after {LIMIT_S} s"


def test_replies_of_a_hostile_child_are_refused(node: NodeHarness) -> None:
    """What it says costs its own image, with the true reason; the worker goes on, and executes nothing."""
    deeds = [*SAID, "half", "drip"]
    images = [builders.image_2d(ImageComments=deed, InstanceNumber=n) for n, deed in enumerate(deeds)]
    fine = builders.image_2d(InstanceNumber=99)
    images[deeds.index("other")].ImageComments = f"other {encode(measured(fine)).decode()}"
    process = worker(node)
    for each in (*images, fine):
        node.receive(each)

    found = outcomes(node)

    assert found.pop(str(fine.SOPInstanceUID)) == MEASURED
    assert set(found.values()) == {UNDECODABLE}
    assert details(node) == {
        str(each.SOPInstanceUID): audited(deed) for each, deed in zip(images, deeds, strict=True)
    }
    assert not Path("/was-unpickled").exists()
    assert process.poll() is None
    assert len(node.events("node.started")) == 1


def measured(image: Dataset) -> ImageResult:
    """Return a result of an image that is not the one which was asked about."""
    ef = Value(value=20.0, ci95=(19.0, 21.0))
    strips = [StripResult(status="measured", measurements={"EF_percent": ef})]
    return ImageResult(image=row_of(image), strips=strips)


def test_a_hostile_child_reaches_nothing(node: NodeHarness) -> None:
    """Neither database, keys, sockets, other processes nor programs: each attempt is refused."""
    data, key = node.folder / "data", node.folder / "key.pem"
    key.write_text("secret")
    secrets = [data / "echonode.db", data / "audit.key", key]
    process = worker(node)
    attempts = [f"reach {path}" for path in (*secrets, "/etc/passwd", "/proc/self/mem")]
    attempts += [f"connect {node.port}", f"memory {process.pid}", "execute"]
    *uids, fine = take_in(node, *attempts, "")

    found = outcomes(node)

    assert found == dict.fromkeys(uids, UNDECODABLE) | {fine: MEASURED}
    assert details(node) == {
        uid: f"refused: {attempt.split()[0]}" for uid, attempt in zip(uids, attempts, strict=True)
    }
    assert key.read_text() == "secret"
    assert process.poll() is None
    assert len(node.events("node.started")) == 1


@pytest.fixture(scope="module")
def analyzer() -> Iterator[SandboxedAnalyzer]:
    """Start the processes of the analysis as a worker does, with the fake analyzer."""
    with SandboxedAnalyzer(Settings(), fake_analyzer.fake_analyzer) as started:
        yield started


def test_a_study_is_beyond_what_became_of_the_one_before(analyzer: SandboxedAnalyzer, tmp_path: Path) -> None:
    """Every study has a process of its own, so an image that takes one over has only its own study."""
    first, second = (builders.image_2d(StudyInstanceUID=uid) for uid in ("1.2.3.1", "1.2.3.2"))
    path = builders.save(first, tmp_path / "image.dcm")
    pids = []

    for each in (first, first, second):
        analyzer.examine(row_of(each), path)
        pids.append(analyzer.pid)

    assert pids[0] == pids[1] != pids[2]


@pytest.mark.parametrize("policy", ["warn", "require"])
def test_a_machine_that_cannot_confine(policy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With "require" no analysis starts there, and the sentence names what it could do; else it does."""
    weak = Confined(open=("reach the network",), by=())
    monkeypatch.setattr(AnalysisProcess, "confined", lambda _: weak)
    settings = Settings(job={"sandbox": policy})

    with SandboxedAnalyzer(settings, fake_analyzer.fake_analyzer) as analyzer:
        if policy == "warn":
            assert analyzer.confined == weak
            return
        with pytest.raises(AnalyzerError, match="here an analysis can reach the network"):
            assert analyzer.confined


def test_this_machine_holds_every_promise(analyzer: SandboxedAnalyzer) -> None:
    """Nothing is reachable here; a kernel without Landlock keeps the promises by seccomp alone."""
    confined = analyzer.confined

    assert confined.open == ()
    assert "seccomp" in confined.by
    if landlock.abi() == 0:
        pytest.skip("this kernel has no Landlock: the second layer is not there")
    assert any(each.startswith("Landlock") for each in confined.by)


def test_pixels_reach_the_networks_through_shared_memory(tmp_path: Path) -> None:
    """Each strip arrives as it was decoded; an image that kills the networks costs itself alone."""
    clip = builders.us_image(np.stack([builders.texture(seed=seed) for seed in range(5)]))
    black = builders.us_image(np.zeros((64, 96), np.uint8))
    images = [builders.us_image(builders.texture()), clip, black, builders.image_2d(), clip]
    path = tmp_path / "image.dcm"

    with SandboxedAnalyzer(Settings(), load_decoder, decoding_analyzer.decoding_networks) as analyzer:
        assert analyzer.model == decoding_analyzer.MODEL
        results = [analyzer.examine(row_of(each), builders.save(each, path)) for each in images]

    shown = [hashlib.sha256(strips_of(each)).hexdigest() for each in images]
    assert [each.reason for each in results] == [None, None, "undecodable", "no_mmode_region", None]
    assert [results[n].strips[0].detail for n in (0, 1, 4)] == [shown[n] for n in (0, 1, 4)]
    assert results[2].strips[0].detail == "the analysis died of SIGSEGV (tried 2 times)"
    assert [each.image.sop_instance_uid for each in results] == [str(each.SOPInstanceUID) for each in images]


def strips_of(image: Dataset) -> bytes:
    """Return the pixels of every strip of an image, decoded in this process."""
    return b"".join(strip.pixels.tobytes() for region in decoded(image).regions for strip in region.strips)


def test_strips_that_no_image_has() -> None:
    """Places outside the shared memory, regions that are none and measurements of a decoder are refused."""
    row = row_of(builders.image_2d())
    good = SharedRegion(region=region(0, 0, 9, 9), strips=(SharedStrip(frame=0, offset=0),))
    far = SharedRegion(region=region(0, 0, 9, 9), strips=(SharedStrip(frame=0, offset=SIZE - 99),))
    before = SharedRegion(region=region(0, 0, 9, 9), strips=(SharedStrip(frame=0, offset=-1),))
    inside_out = SharedRegion(region=region(9, 0, 0, 9), strips=good.strips)
    measured = SharedRegion(region=good.region, refusal=StripResult(status="measured"))

    check_decoded(message(row, good), row)
    for wrong in (far, before, inside_out, measured, SharedRegion(region=good.region)):
        with pytest.raises(BadReply, match="no image has"):
            check_decoded(message(row, wrong), row)
    with pytest.raises(BadReply, match="another image"):
        check_decoded(message(row, good), row_of(builders.image_2d(InstanceNumber=7)))


def region(x0: int, y0: int, x1: int, y1: int) -> MModeRegion:
    """Return a calibrated region."""
    scale = Calibration(cm_per_px_y=0.04, s_per_px_x=0.005)
    return MModeRegion(x0=x0, y0=y0, x1=x1, y1=y1, calibration=scale, index=0)


def message(row: Instance, *regions: SharedRegion) -> Decoded:
    """Return what a process that decodes says."""
    result = ImageResult(image=row, strips=[])
    return Decoded(result=result, patient=UNKNOWN_PATIENT, regions=regions, refusal=None)
