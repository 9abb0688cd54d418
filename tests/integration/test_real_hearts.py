"""Real pictures through the real node: DCMTK sends, Orthanc receives, the shipped weights measure."""

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from pydicom import dcmread
from support.builders import save
from support.node import PATIENCE_S, process_node, wait_for
from support.orthanc import Orthanc, running_orthanc
from support.peers import require
from support.real_images import REAL_IMAGES, real_image

from dicom_node.tools.demo.verdict import numbers
from inference.analyse import Model, analyse, load_model

pytestmark = pytest.mark.timeout(240)

LENGTHS = ("IVSd_cm", "LVIDd_cm", "LVPWd_cm", "IVSs_cm", "LVIDs_cm", "LVPWs_cm")


@pytest.fixture
def orthanc(tmp_path: Path) -> Iterator[Orthanc]:
    """A real PACS."""
    with running_orthanc(tmp_path / "orthanc") as made:
        yield made


@pytest.fixture(scope="module")
def model() -> Model:
    """The shipped weights."""
    return load_model(device="cpu")


def storescu(path: Path, port: int) -> None:
    """DCMTK pushes one file as it is, JPEG included."""
    require("storescu")
    command = ["storescu", "-xy", "-aec", "ECHONODE", "127.0.0.1", str(port), str(path)]
    sent = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert sent.returncode == 0, sent.stderr


def test_the_ge_picture_comes_back_measured(
    tmp_path: Path, orthanc: Orthanc, capsys: pytest.CaptureFixture[str]
) -> None:
    """SR and overlay of a real GE strip reach Orthanc; its lengths are shown beside the printed ones."""
    source = save(real_image("lv_ge_commons.jpg"), tmp_path / "ge.dcm")
    (tmp_path / "node").mkdir()
    with closing(process_node(tmp_path / "node", [orthanc.destination])) as node:
        node.start_command("serve")
        node.wait_until_listening()
        storescu(source, node.port)
        files = wait_for(
            lambda: found if len(found := orthanc.files()) == 2 else None,
            "SR and overlay in Orthanc",
            limit_s=4 * PATIENCE_S,
        )

    objects = [dcmread(io.BytesIO(each)) for each in files]
    (sr,) = [ds for ds in objects if ds.Modality == "SR"]
    (overlay,) = [ds for ds in objects if ds.Modality != "SR"]
    assert set(LENGTHS) <= set(numbers(sr))
    assert (overlay.Rows, overlay.Columns) == (434, 636)
    assert sr.StudyInstanceUID == overlay.StudyInstanceUID == dcmread(source).StudyInstanceUID
    with capsys.disabled():
        report(numbers(sr))
    printed = json.loads((REAL_IMAGES / "truth.json").read_text())["lv_ge_commons.jpg"]["printed_by_device"]
    assert abs(numbers(sr)["LVIDd_cm"] - printed["LVIDd_cm"]) <= 0.2
    assert abs(numbers(sr)["EF_percent"] - printed["EF_Teich_pct"]) <= 5


def report(found: dict[str, float]) -> None:
    """Shows reported and printed lengths side by side."""
    printed = json.loads((REAL_IMAGES / "truth.json").read_text())["lv_ge_commons.jpg"]["printed_by_device"]
    rows = [f"{name:10} {found[name]:8.2f} {printed[name]:8.2f}" for name in LENGTHS]
    rows.append(f"EF_percent {found['EF_percent']:8.1f} {printed['EF_Teich_pct']:8.1f}")
    sys.stdout.write("\n".join(["", "real GE     reported  printed", *rows, ""]))


@pytest.mark.parametrize("name", ["lv_ge_commons.jpg", "lv_philips_tte47.png"])
def test_real_ventricles_never_crash_and_say_why_not(name: str, model: Model) -> None:
    """A real left ventricle gives numbers or a reason."""
    (result,) = analyse(real_image(name), model)

    assert result.measured or result.reason


@pytest.mark.parametrize("kind", ["tapse", "ivc", "aorta_la", "mitral"])
def test_what_is_no_left_ventricle_is_refused(kind: str, model: Model) -> None:
    """Real look-alikes give no numbers, by a wide margin: the networks never saw a real picture."""
    (result,) = analyse(real_image(f"not_lv_{kind}_tte47.png"), model)

    assert result.reason == "no_cycle"


def test_a_picture_without_a_scale_says_so(model: Model) -> None:
    """The mouse strip has no regions."""
    (result,) = analyse(real_image("lv_mouse_echo2pheno.png"), model)

    assert result.reason == "no_mmode_region"
