"""Log lines: one JSON object each, nothing from the wire unescaped, no patient."""

import json
import subprocess
import sys

import pytest

from dicom_node.process.logs import printable

LOG = """
import logging, structlog, warnings
from pydicom.dataset import Dataset
from dicom_node.process import logs
logs.configure(json={json})
structlog.get_logger("dicom_node.test").info("instance.received", peer_ae="VIVID")
logging.getLogger("pynetdicom.acse").info("Accepting Association")
logging.getLogger("pynetdicom.acse").warning("odd peer")
ds = Dataset()
ds.PatientName = "Secret^Name"
logging.getLogger("pydicom").warning("Invalid value for VR DA: '19x'")
try:
    try:
        ds.PatientName = "Secret^Name"
        raise ValueError(f"odd {{ds.PatientName}}")
    except ValueError as error:
        raise RuntimeError(f"while reading {{ds.PatientName}}") from error
except RuntimeError as error:
    structlog.get_logger("dicom_node.test").exception("failed")
    logging.getLogger("pynetdicom.events").exception(error)
warnings.warn(f"odd {{ds.PatientName}}")
"""


def run(*, as_json: bool) -> str:
    """Return what a process logs that has a patient among its local variables."""
    code = LOG.format(json=as_json)
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stderr


def test_lines_are_json() -> None:
    """Each line is one JSON object with time, level and logger; libraries are heard from WARNING on."""
    lines = [json.loads(line) for line in run(as_json=True).splitlines()]

    events = ["instance.received", "odd peer", "failed", "RuntimeError", "python.warning"]
    assert [line["event"] for line in lines] == events
    assert lines[0]["peer_ae"] == "VIVID"
    assert lines[0]["logger"] == "dicom_node.test"
    assert lines[1]["level"] == "warning"
    for line in lines[2:4]:
        assert "builtins.ValueError\n\nTraceback" in line["exception"]
        assert line["exception"].endswith("builtins.RuntimeError")
    assert lines[4]["category"] == "UserWarning"


@pytest.mark.parametrize("as_json", [True, False])
def test_a_traceback_shows_neither_variables_nor_messages(as_json: bool) -> None:
    """A failure is traced by types and places, without the data set it stumbled over."""
    text = run(as_json=as_json)

    assert "ValueError" in text
    assert "line 1" in text
    assert "Secret" not in text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("VIVID_E95", "VIVID_E95"),
        ("A\nB\x1b[31m", "A?B?[31m"),
        ("\u0416", "?"),
        (65 * "x", 61 * "x" + "..."),
        (None, "None"),
    ],
)
def test_printable(text: object, shown: str) -> None:
    """What a peer calls itself cannot forge lines, colour a terminal or fill the disk."""
    assert printable(text) == shown
