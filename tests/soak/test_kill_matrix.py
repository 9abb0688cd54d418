"""Kill matrix: kill -9 of receiver, worker or both, over and over, while DCMTK pushes studies.

200 rounds; TEST_SCALE=10 makes it 2,000. Half of the kills come at named moments between two
steps that must not be parted, the others at random times.
"""

import random
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from moments import ASKING_MOMENTS, RECEIVER_MOMENTS, WORKER_MOMENTS
from nursery import Nursery
from pacs import Pacs
from pusher import Pusher, image, needs_dcmtk
from rig import Rig, wait_for
from scale import SCALE

from store.db.states import InstanceState
from store.rows import results

pytestmark = [needs_dcmtk, pytest.mark.timeout(600 * SCALE)]

ROUNDS = 200 * SCALE
IMAGES_PER_STUDY = 3
LONGEST_LIFE_S = {"receive": 0.4, "work": 2.5}
"""Random kills come within this time after a start: long enough to get something done."""
MOMENT_PATIENCE_S = 4.0
"""After this long a process that has not come to its named moment is killed where it is."""
OBJECTS_PER_STUDY = 2 * 2 * IMAGES_PER_STUDY
"""Two results of each image go to two destinations."""
MOST_WAITING = 300
"""Objects; while more are to be delivered the scanner waits, lest the end take minutes."""
MOMENTS = {"receive": RECEIVER_MOMENTS, "work": WORKER_MOMENTS + ASKING_MOMENTS}
SETTLED_S = 120.0


class Victim:
    """One role that is killed again and again; its process is forked anew each time."""

    def __init__(self, role: str, nursery: Nursery, folder: Path, chance: random.Random) -> None:
        self.role = role
        self._nursery = nursery
        self._folder = folder
        self._chance = chance
        self._lives = 0
        self._pid: int | None = None
        self._dies_by = 0.0

    def live(self, *, named: bool) -> None:
        """Run until the moment of death that is drawn now; goes on with a process that still runs."""
        if self._pid is not None and self._nursery.alive(self._pid):
            return
        self._lives += 1
        environment = {}
        if named:
            environment["DIE_AT"] = self._chance.choice(MOMENTS[self.role])
            environment["DIED_ONCE"] = str(self._folder / f"{self.role} {self._lives}")
        limit_s = MOMENT_PATIENCE_S if named else self._chance.uniform(0, LONGEST_LIFE_S[self.role])
        self._pid = self._nursery.start(self.role, **environment)
        self._dies_by = time.monotonic() + limit_s

    def end(self) -> bool:
        """Wait for the named moment, or kill at the drawn time; True when it died of its moment."""
        assert self._pid is not None
        while self._nursery.alive(self._pid) and time.monotonic() < self._dies_by:
            time.sleep(0.005)
        by_itself = not self._nursery.alive(self._pid)
        self._nursery.kill(self._pid)
        assert self._nursery.exits[self._pid] == -signal.SIGKILL
        return by_itself


@pytest.fixture
def destinations() -> Iterator[list[Pacs]]:
    """Start a PACS whose C-STORE answer counts, and one that confirms what it keeps."""
    with Pacs() as plain, Pacs(name="archive", commitment=True) as archive:
        archive.reports_at_once = True
        yield [plain, archive]


@pytest.fixture
def rig(tmp_path: Path, destinations: list[Pacs]) -> Iterator[Rig]:
    """Return a node that delivers to both, not started; no job is given up for all the killing."""
    with closing(Rig(tmp_path, [each.destination for each in destinations], job_attempts=100)) as made:
        yield made


def push_until(done: threading.Event, scanner: Pusher, rig: Rig) -> None:
    """Send study after study; whatever is not acknowledged is sent again."""
    study = 0
    while not done.is_set():
        if rig.open_studies() * OBJECTS_PER_STUDY + rig.undelivered() > MOST_WAITING:
            done.wait(0.1)
            continue
        for number in range(IMAGES_PER_STUDY):
            scanner.queue(image(study, number))
        while not scanner.push() and not done.is_set():
            time.sleep(0.05)
        study += 1
    wait_for(scanner.push, "the last images are acknowledged")


def test_killed_over_and_over(rig: Rig, destinations: list[Pacs]) -> None:
    """Nothing acknowledged is lost, nothing reaches the PACS twice, and the audit chain is whole."""
    chance = random.Random(20261125)
    scanner = Pusher(rig.port, rig.folder / "scanner")
    stop = threading.Event()
    pusher = threading.Thread(target=push_until, args=(stop, scanner, rig))
    with Nursery(rig.config, rig.folder / "node.log") as nursery:
        victims = {role: Victim(role, nursery, rig.folder, chance) for role in ("receive", "work")}
        pusher.start()
        named = 0
        for number in range(ROUNDS):
            chosen = chance.choice([("receive",), ("work",), ("receive", "work")])
            for role, victim in victims.items():
                victim.live(named=role in chosen and number % 2 == 0)
            named += sum([victims[role].end() for role in chosen])
        for role in victims:
            nursery.start(role)
        stop.set()
        pusher.join()
        flush_due(rig)
        assert_nothing_lost(rig, destinations, scanner)
    print(f"{ROUNDS} rounds, {named} at named moments, {len(scanner.acknowledged)} images acknowledged")
    assert named > ROUNDS / 5, "hardly any process reached its named moment"


def flush_due(rig: Rig) -> None:
    """Wait until every study is concluded and nothing waits for delivery."""
    wait_for(lambda: rig.unfinished() == 0, "every image is concluded and delivered", limit_s=SETTLED_S)


def assert_nothing_lost(rig: Rig, destinations: list[Pacs], scanner: Pusher) -> None:
    """Compare what the scanner knows, what the node keeps and what each PACS got."""
    sources, objects = set(), set()
    for ds in scanner.acknowledged:
        row = rig.instances(ds.StudyInstanceUID)[ds.SOPInstanceUID]
        assert row.state is InstanceState.MEASURED
        assert (rig.folder / "data" / row.path).is_file()
    with rig.database.read() as session:
        for study_uid in {str(ds.StudyInstanceUID) for ds in scanner.acknowledged}:
            for each in results.of_study(session, study_uid):
                sources.add(each.source_sop_instance_uid)
                objects.add((each.source_sop_instance_uid, each.kind, each.revision, each.sop_instance_uid))
    assert sources == {str(ds.SOPInstanceUID) for ds in scanner.acknowledged}
    assert len({each[:3] for each in objects}) == len(objects)
    for pacs in destinations:
        assert set(pacs.uids) == {each[3] for each in objects}
        assert pacs.contradictions() == {}
    assert rig.deliveries() == {
        "PENDING": 0,
        "SENT": 0,
        "DEAD": 0,
        "DELIVERED": len(objects),
        "COMMITTED": len(objects),
    }
    assert rig.broken_audit_rows() == []
