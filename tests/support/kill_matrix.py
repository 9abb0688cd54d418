"""Kill matrix: kill -9 of receiver, worker or both, over and over, while DCMTK pushes studies.

Half of the kills come at named moments between two steps that must not be parted, the others at
random times. Files go three seconds after all results are delivered, a checkpoint is written each second,
and now and then the tables are those of the last version, so that the next process migrates them.
"""

import random
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from dicom_node.storage.retention import RetentionSweep
from store.audit import audit_log
from store.audit.chain import Chain
from store.db.database import Database
from store.db.states import InstanceState
from store.rows import announced_results, jobs
from support.databases import migrate
from support.fork_server import ForkedProcess
from support.kill_moments import (
    ASKING_MOMENTS,
    CHECKPOINT_MOMENTS,
    MIGRATION_MOMENTS,
    RECEIVER_MOMENTS,
    RETENTION_MOMENTS,
    WORKER_MOMENTS,
)
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
MOMENTS = {
    "receive": RECEIVER_MOMENTS,
    "work": WORKER_MOMENTS + ASKING_MOMENTS + RETENTION_MOMENTS + CHECKPOINT_MOMENTS,
}
FORMER_REVISION = "0006"
"""Of the tables that a migrating process finds: it has most to do from there."""
TABLES = threading.Lock()
"""Held while the tables are not those of this version."""
SECTIONS = {
    "retention": {"days": 3 / 86_400},
    "audit": {"checkpoint_hours": 1 / 3600},
}
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

    def live(self, moments: Sequence[str] = ()) -> None:
        """Run until one of the named moments or a time, drawn now; goes on with a process that still runs."""
        if self._process is not None and self._process.poll() is None:
            return
        self._lives += 1
        environment = {}
        if moments:
            environment["DIE_AT"] = self._chance.choice(moments)
            environment["DIED_ONCE"] = str(self._node.folder / f"{self.role} {self._lives}")
        limit_s = MOMENT_PATIENCE_S if moments else self._chance.uniform(0, LONGEST_LIFE_S[self.role])
        self._process = self._node.start_role(self.role, **environment)
        self._dies_by = time.monotonic() + limit_s

    def end(self) -> bool:
        """Wait for the named moment, or kill at the drawn time; True when it died of its moment."""
        assert self._process is not None
        while self._process.poll() is None and time.monotonic() < self._dies_by:
            time.sleep(0.005)
        by_itself = self._process.poll() is not None
        self.kill()
        return by_itself

    def kill(self) -> None:
        """Kill it, if it runs."""
        if self._process is not None:
            self._process.kill()
            assert self._process.wait() == -signal.SIGKILL


class ChainWatch:
    """Verifies the rows that the audit chain has got since the last look."""

    def __init__(self) -> None:
        self._chain = Chain()

    def look(self, database: Database) -> None:
        """Fail if the new rows do not continue those of before."""
        with database.read() as session:
            self._chain.extend(audit_log.stored_rows(session, first_id=self._chain.last_id + 1))
        assert self._chain.flaws == [], self._chain.flaws


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
        with TABLES:
            waiting = node.open_studies() * OBJECTS_PER_STUDY + node.undelivered()
        if waiting > MOST_WAITING:
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
        with closing(process_node(folder, addresses, job_attempts=100, sections=SECTIONS)) as node:
            scanner = Pusher(node.port, folder / "scanner")
            named = kill_again_and_again(node, scanner, rounds)
            assert_nothing_lost(node, pacs, scanner)
            removed = assert_every_file_has_a_row(node)
    print(f"{rounds} rounds, {named} at named moments, {len(scanner.acknowledged)} images acknowledged")
    print(f"lost 0, twice 0, files without a row 0 ({removed} removed), chain verified {rounds + 1} times")
    assert named > rounds / 5, "hardly any process reached its named moment"


def kill_again_and_again(node: NodeHarness, scanner: Pusher, rounds: int) -> int:
    """Kill roles while the scanner sends, then let them end; return how many died at a named moment."""
    chance = random.Random(20261125)
    stop, chain = threading.Event(), ChainWatch()
    pusher = threading.Thread(target=push_until, args=(stop, scanner, node))
    victims = {role: Victim(role, node, chance) for role in MOMENTS}
    pusher.start()
    named = 0
    for number in range(rounds):
        if number % 10 == 5:
            named += kill_migrating(node, victims)
        else:
            named += kill_working(victims, chance, at_moments=number % 2 == 0)
        chain.look(node.database)
    stop.set()
    for role in victims:
        node.start_role(role)
    pusher.join()
    wait_for(lambda: node.unfinished() == 0, "every image is delivered", limit_s=SETTLED_S)
    return named


def kill_working(victims: Mapping[str, Victim], chance: random.Random, *, at_moments: bool) -> int:
    """Kill a role or both at work; return how many died at a named moment."""
    chosen = chance.choice([("receive",), ("work",), ("receive", "work")])
    for role, victim in victims.items():
        victim.live(MOMENTS[role] if at_moments and role in chosen else ())
    return sum([victims[role].end() for role in chosen])


def kill_migrating(node: NodeHarness, victims: Mapping[str, Victim]) -> int:
    """Kill both, bring the tables back to the last version, and kill who migrates them."""
    for victim in victims.values():
        victim.kill()
    with TABLES:
        end_what_was_begun(node)
        node.database.close()
        migrate(node.database.path, FORMER_REVISION)
        victims["work"].live(MIGRATION_MOMENTS)
        died = victims["work"].end()
        node.database.upgrade()
    return died


def end_what_was_begun(node: NodeHarness) -> None:
    """Have no file announced or about to be removed: the last version knows no such thing."""
    with node.database.transaction() as session:
        for job in jobs.requeue_running(session, now=node.clock(), max_attempts=sys.maxsize):
            announced_results.conclude(session, job_id=job.id, study_uid=job.study_uid)
    RetentionSweep(node.runtime).run()


def assert_nothing_lost(node: NodeHarness, destinations: list[Pacs], scanner: Pusher) -> None:
    """Compare what the scanner knows, what the node keeps and what each PACS got."""
    sources, objects = set(), set()
    for ds in scanner.acknowledged:
        row = node.instance(ds)
        assert row.state is InstanceState.MEASURED
        assert row.file_gone_at or (node.data_dir / row.path).is_file()
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


def assert_every_file_has_a_row(node: NodeHarness) -> int:
    """Compare rows with files, once retention has ended what it began; return how many are gone."""
    with suppress(AssertionError):  # says below which do not
        wait_for(
            lambda: node.files_on_disk() == node.files_of_rows(), "every file has a row, and the reverse"
        )
    assert node.files_on_disk() == node.files_of_rows()
    return len(node.files_of_rows(gone=True))
