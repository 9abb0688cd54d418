"""The result objects before independent validators: dciodvfy, dsrdump, dcentvfy."""

import os
import re
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest
from support import measured_strips
from support.peers import require
from support.report_files import every_case, known_to_validators

from dicom_node.report.quantities import QUANTITIES, calipers

VALIDATORS = ("dciodvfy", "dsrdump")
NUMBER = re.compile(r'<contains NUM:.*="(-?[\d.]+)" \((\S+),UCUM')
POLYLINE = re.compile(r"\(POLYLINE,([\d.]+)/([\d.]+),([\d.]+)/([\d.]+)\)")
REBUILD = """
import hashlib, sys
from pydicom import dcmread
from support import report_files as tests
for each in tests.objects_of(dcmread(sys.argv[1]), tests.two_frames()):
    print(hashlib.sha256(each.data).hexdigest())
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    """Return the objects of every kind of case as files, the source first."""
    return every_case(tmp_path_factory.mktemp("objects"))


def test_objects_pass_independent_validators(made: dict[str, list[Path]], tmp_path: Path) -> None:
    """Reports, pictures and graphics of stills, clips, odd and foreign sources and a revision are valid.

    PixelMed's validator, which takes minutes, has them in soak/test_report_objects.py.
    """
    require(*VALIDATORS)
    for path in known_to_validators(made, tmp_path):
        _, said = output("dciodvfy", "-new", path)
        assert [line for line in said.splitlines() if line.startswith("Error")] == []
    for path in (path for files in made.values() for path in files[1:]):
        if "tid" in path.name:
            assert output("dsrdump", path)[0] == 0


def output(*command: str | Path) -> tuple[int, str]:
    """Run a program; return its exit code and all it printed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=280)
    return done.returncode, done.stdout + done.stderr


def test_patient_and_study_are_the_sources(made: dict[str, list[Path]]) -> None:
    """Dcentvfy finds source and objects to be of one patient and one study."""
    require("dcentvfy")
    # Not "ordered": it compares bytes, and ours are UTF-8 where the source's are ISO 2022.
    for name in ("still", "clip", "refused", "revision"):
        # It does not know the class of TID 5300, whose attributes it therefore calls misplaced.
        files = [path for path in made[name] if "tid5300" not in path.name]
        _, said = output("dcentvfy", *files)
        assert [line for line in said.splitlines() if "AccessionNumber> IE" not in line] == []


@pytest.mark.parametrize("template", ["tid5200", "tid1500", "tid5300"])
def test_dsrdump_recovers_every_number_and_caliper(made: dict[str, list[Path]], template: str) -> None:
    """DCMTK reads the values, units and coordinates that were measured."""
    require("dsrdump")
    (path,) = [path for path in made["ordered"] if template in path.name]
    code, said = output("dsrdump", "+Pl", "+Pc", path)
    result = measured_strips.strip_result()

    assert code == 0
    printed = {(float(value), unit) for value, unit in NUMBER.findall(said)}
    for quantity in QUANTITIES:
        value = float(quantity.text(result.measurements[quantity.key].value))
        assert (value, quantity.unit.value) in printed
    drawn = {tuple(round(float(part), 2) for part in line) for line in POLYLINE.findall(said)}
    for cycle in result.cycles:
        for (x, upper), (_, lower) in calipers(cycle.landmarks).values():
            assert (round(x + 0.5, 2), upper + 0.5, round(x + 0.5, 2), lower + 0.5) in drawn


def test_another_process_makes_the_same_bytes(made: dict[str, list[Path]]) -> None:
    """After a restart, with another hash seed and time zone, all objects of a source are the same."""
    environment = os.environ | {"PYTHONHASHSEED": "1", "TZ": "Pacific/Auckland"}
    done = subprocess.run(
        [sys.executable, "-c", REBUILD, made["clip"][0]],
        capture_output=True,
        text=True,
        check=True,
        env=environment | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )

    assert done.stdout.split() == [sha256(path.read_bytes()).hexdigest() for path in made["clip"][1:]]
