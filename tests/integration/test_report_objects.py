"""The result objects before independent validators: dciodvfy, dsrdump, PixelMed."""

import os
import re
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import ComprehensiveSRStorage
from support import measured_strips
from support.peers import require
from support.report_files import beat_and_gaps, odd, ordered, strip, two_frames, written
from support.reported import clip
from support.reported import source as still

from dicom_node.report.quantities import QUANTITIES, calipers
from inference.types import StripResult

CHECK_OBJECTS = Path(__file__).parents[2] / ".." / "shared" / "tools" / "check_objects"
VALIDATORS = ("dciodvfy", "dsrdump", "dcmdump", "java")
FALSE_ALARM = re.compile(
    r"Template 300 .*measurement uncertainty\"\): Incorrect relationship - expected INFERRED FROM"
)
"""PixelMed takes any NUM below a NUM for one that it was inferred from; TID 310 says HAS PROPERTIES."""
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
    cases: dict[str, tuple[Dataset, list[StripResult]]] = {
        "still": (still(PatientSize="1.75", PatientWeight="70"), strip()),
        "clip": (clip(), two_frames()),
        "ordered": (ordered(), strip()),
        "odd": (odd(), beat_and_gaps()),
        "refused": (still(), [measured_strips.looked_at_in_vain("implausible")]),
    }
    folder = tmp_path_factory.mktemp("objects")
    files = {name: written(folder / name, *case) for name, case in cases.items()}
    files["revision"] = written(folder / "revision", still(), strip(), replaced=files["still"][1:])
    return files


def test_objects_pass_independent_validators(made: dict[str, list[Path]], tmp_path: Path) -> None:
    """Reports, pictures and graphics of stills, clips, odd and foreign sources and a revision are valid.

    No validator knows the class of TID 5300: the same tree is checked as a Comprehensive SR, and as
    it is by dsrdump.
    """
    require(*VALIDATORS)
    if not CHECK_OBJECTS.is_file():
        pytest.skip("../shared/tools/check_objects is not there")
    objects = [path for files in made.values() for path in files[1:]]
    known = [as_comprehensive(path, tmp_path) if "tid5300" in path.name else path for path in objects]

    assert complaints(known) == []
    for path in objects:
        if "tid5300" in path.name:
            assert output("dsrdump", path)[0] == 0


def as_comprehensive(path: Path, folder: Path) -> Path:
    """Return a copy of a report under the Comprehensive SR class."""
    ds = dcmread(path)
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = ComprehensiveSRStorage
    copy = folder / f"{path.parent.name}-{path.name}"
    ds.save_as(copy)
    return copy


def complaints(files: list[Path]) -> list[str]:
    """Return what the validators find wrong, but for what is known to be wrong with them."""
    _, said = output(str(CHECK_OBJECTS.resolve()), *files)
    headings = ("##### ", "PixelMed:", "ok: ")
    return [line for line in said.splitlines() if not (line.startswith(headings) or FALSE_ALARM.search(line))]


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


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_another_process_makes_the_same_bytes(made: dict[str, list[Path]], hash_seed: str) -> None:
    """After a restart, with another hash seed and time zone, all objects of a source are the same."""
    environment = os.environ | {"PYTHONHASHSEED": hash_seed, "TZ": "Pacific/Auckland"}
    done = subprocess.run(
        [sys.executable, "-c", REBUILD, made["clip"][0]],
        capture_output=True,
        text=True,
        check=True,
        env=environment | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )

    assert done.stdout.split() == [sha256(path.read_bytes()).hexdigest() for path in made["clip"][1:]]
