"""Kill matrix: kill -9 of receiver, worker or both, over and over, while DCMTK pushes studies.

Half of the kills come at named moments between two steps that must not be parted, the others at
random times.
"""

import random
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from store.db.states import InstanceState
from support.fork_server import ForkedProcess
from support.kill_moments import ASKING_MOMENTS, RECEIVER_MOMENTS, WORKER_MOMENTS
from support.node import NodeHarness, process_node, wait_for
from support.pacs import Pacs
from support.pusher import Pusher, image

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

    def __init__(self, role: str, node: NodeHarness, chance: random.Random) -> None:
        self.role = role
        self._node = node
        self._chance = chance
        self._lives = 0
        self._process: ForkedProcess | None = None
        self._dies_by = 0.0

    def live(self, *, named: bool) -> None:
        """Run until the moment of death that is drawn now; goes on with a process that still runs."""
        if self._process is not None and self._process.poll() is None:
            return
        self._lives += 1
        environment = {}
        if named:
            environment["DIE_AT"] = self._chance.choice(MOMENTS[self.role])
            environment["DIED_ONCE"] = str(self._node.folder / f"{self.role} {self._lives}")
        limit_s = MOMENT_PATIENCE_S if named else self._chance.uniform(0, LONGEST_LIFE_S[self.role])
        self._process = self._node.start_role(self.role, **environment)
        self._dies_by = time.monotonic() + limit_s

    def end(self) -> bool:
        """Wait for the named moment, or kill at the drawn time; True when it died of its moment."""
        assert self._process is not None
        while self._process.poll() is None and time.monotonic() < self._dies_by:
            time.sleep(0.005)
        by_itself = self._process.poll() is not None
        self._process.kill()
        assert self._process.wait() == -signal.SIGKILL
        return by_itself


@contextmanager
def two_destinations() -> Iterator[list[Pacs]]:
    """Run a PACS whose C-STORE answer counts, and one that confirms what it keeps."""
    with Pacs() as plain, Pacs(name="archive", commitment=True) as archive:
        archive.reports_at_once = True
        yield [plain, archive]


def push_until(done: threading.Event, scanner: Pusher, node: NodeHarness) -> None:
    """Send study after study; whatever is not acknowledged is sent again."""
    study = 0
    while not done.is_set():
        if node.open_studies() * OBJECTS_PER_STUDY + node.undelivered() > MOST_WAITING:
            done.wait(0.1)
            continue
        for number in range(IMAGES_PER_STUDY):
            scanner.queue(image(study, number))
        while not scanner.push() and not done.is_set():
            time.sleep(0.05)
        study += 1
    wait_for(scanner.push, "the last images are acknowledged")


def survive(folder: Path, rounds: int) -> None:
    """Kill so many times; check that nothing is lost or sent twice and that the audit chain is whole."""
    with two_destinations() as pacs:
        # No job is given up for all the killing.
        addresses = [each.destination for each in pacs]
        with closing(process_node(folder, addresses, job_attempts=100)) as node:
            scanner = Pusher(node.port, folder / "scanner")
            named = kill_again_and_again(node, scanner, rounds)
            assert_nothing_lost(node, pacs, scanner)
    print(f"{rounds} rounds, {named} at named moments, {len(scanner.acknowledged)} images acknowledged")
    assert named > rounds / 5, "hardly any process reached its named moment"


def kill_again_and_again(node: NodeHarness, scanner: Pusher, rounds: int) -> int:
    """Kill roles while the scanner sends, then let them end; return how many died at a named moment."""
    chance = random.Random(20261125)
    stop = threading.Event()
    pusher = threading.Thread(target=push_until, args=(stop, scanner, node))
    victims = {role: Victim(role, node, chance) for role in MOMENTS}
    pusher.start()
    named = 0
    for number in range(rounds):
        chosen = chance.choice([("receive",), ("work",), ("receive", "work")])
        for role, victim in victims.items():
            victim.live(named=role in chosen and number % 2 == 0)
        named += sum([victims[role].end() for role in chosen])
    for role in victims:
        node.start_role(role)
    stop.set()
    pusher.join()
    wait_for(lambda: node.unfinished() == 0, "every image is delivered", limit_s=SETTLED_S)
    return named


def assert_nothing_lost(node: NodeHarness, destinations: list[Pacs], scanner: Pusher) -> None:
    """Compare what the scanner knows, what the node keeps and what each PACS got."""
    sources, objects = set(), set()
    for ds in scanner.acknowledged:
        row = node.instance(ds)
        assert row.state is InstanceState.MEASURED
        assert (node.data_dir / row.path).is_file()
    for study_uid in {str(ds.StudyInstanceUID) for ds in scanner.acknowledged}:
        for each in node.results(study_uid):
            sources.add(each.source_sop_instance_uid)
            objects.add((each.source_sop_instance_uid, each.kind, each.revision, each.sop_instance_uid))
    assert sources == {str(ds.SOPInstanceUID) for ds in scanner.acknowledged}
    assert len({each[:3] for each in objects}) == len(objects)
    for pacs in destinations:
        assert set(pacs.uids) == {each[3] for each in objects}
        assert pacs.contradictions() == {}
    assert node.deliveries() == {"DELIVERED": len(objects), "COMMITTED": len(objects)}
    assert node.broken_audit_rows() == []
