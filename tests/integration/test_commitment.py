"""Storage commitment with real peers: what a destination confirms, and what we confirm to a scanner."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import builders
import pytest
from pacs import Pacs
from pydicom.uid import ImplicitVRLittleEndian, SecondaryCaptureImageStorage, UltrasoundImageStorage
from pynetdicom import AE, build_context
from pynetdicom.dimse_primitives import N_EVENT_REPORT
from pynetdicom.sop_class import Verification
from receivers import Node, association, encoded, push, receiver
from rig import free_port, wait_for
from scanner import Scanner, question
from sqlalchemy import text
from world import World

from dicom_node.commitment import scp, scu
from dicom_node.commitment.scu import MAX_REQUESTS, report_due
from dicom_node.delivery.outbox import park_homeless
from dicom_node.network import commitment_messages
from store.db.states import DeliveryState
from store.rows import commitment_reports

HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait for seconds for answers that will not come."""
    monkeypatch.setattr(scu, "ANSWER_WAIT_S", 0.3)


@pytest.fixture
def pacs() -> Iterator[Pacs]:
    """Start a PACS that takes storage commitment requests and reports when told to."""
    with Pacs(commitment=True) as running:
        yield running


@pytest.fixture
def world(tmp_path: Path, pacs: Pacs) -> World:
    """Return an outbox that leads to the PACS, and asks it again after an hour; now is now, as for `node`."""
    made = World(tmp_path, pacs.destination, commitment_wait_s=3600)
    made.now = datetime.now(UTC)
    return made


@pytest.fixture
def node(tmp_path: Path, world: World) -> Iterator[Node]:
    """Start the receiver of the same node; only the scanner is listed as a peer."""
    peers = [{"ae_title": "SCANNER", "host": "127.0.0.1"}]
    destinations = world.runtime.settings.destinations
    with receiver(tmp_path, peers=peers, destinations=destinations) as running:
        yield running


def test_an_answer_on_the_same_association(world: World, pacs: Pacs) -> None:
    """What was sent is asked for in one request, and what the destination says at once is believed."""
    made = [world.add(1), world.add(2), world.add(3, study=2)]
    pacs.reports_at_once = True

    world.deliver()
    assert world.states() == {"SENT": 3}
    assert world.ask() == 3

    assert world.states() == {"COMMITTED": 3}
    assert sorted(made) == sorted(
        item.ReferencedSOPInstanceUID for item in pacs.requests[0].ReferencedSOPSequence
    )
    assert [len(pacs.requests), world.ask()] == [1, 0]
    (asked,), (answered,) = world.events("commitment.asked"), world.events("commitment.answered")
    assert asked.detail["transaction_uid"] == answered.detail["transaction_uid"]
    assert (answered.outcome, answered.detail["kept"], answered.detail["failed"]) == ("success", 3, 0)
    assert len(world.events("delivery.committed")) == 3


@pytest.mark.parametrize("roles", [True, False], ids=["roles negotiated", "roles not negotiated"])
def test_an_answer_on_a_new_association(world: World, pacs: Pacs, node: Node, roles: bool) -> None:
    """The destination may report to our port hours later, though it is not listed as a peer."""
    world.add(1)
    world.deliver()
    world.ask()
    assert world.states() == {"SENT": 1}

    assert pacs.report(node.port, pacs.requests[0], roles=roles) == 0x0000

    assert world.states() == {"COMMITTED": 1}


def test_an_answer_counts_once(world: World, pacs: Pacs, node: Node) -> None:
    """A repeated answer is taken and changes nothing, not even when it says something else now."""
    made = world.add(1)
    world.deliver()
    world.ask()

    statuses = [pacs.report(node.port, pacs.requests[0])]
    statuses += [pacs.report(node.port, pacs.requests[0], failed={made: 0x0112})]

    assert statuses == [0x0000, 0x0000]
    assert world.states() == {"COMMITTED": 1}
    assert len(world.events("commitment.answered")) == 1


def test_answers_that_nobody_asked_for(world: World, pacs: Pacs, node: Node) -> None:
    """An unknown transaction, or another AE title's, is answered 0x0110 and audited; no row moves."""
    world.add(1)
    world.deliver()
    world.ask()
    true_uid = pacs.requests[0].TransactionUID

    statuses = [pacs.report(node.port, pacs.requests[0], ae_title="SCANNER")]
    pacs.requests[0].TransactionUID = "1.2.3"
    statuses += [pacs.report(node.port, pacs.requests[0])]

    assert statuses == [0x0110, 0x0110]
    assert world.states() == {"SENT": 1}
    said = [(event.peer_ae, event.detail["transaction_uid"]) for event in world.events("commitment.unknown")]
    assert said == [("SCANNER", true_uid), ("PACS", "1.2.3")]


@pytest.mark.parametrize(
    ("reason", "state"),
    [
        (0x0110, "PENDING"),  # processing failure
        (0x0112, "PENDING"),  # no such object instance
        (0x0213, "PENDING"),  # resource limitation
        (0x0119, "DEAD"),  # class / instance conflict
        (0x0122, "DEAD"),  # referenced SOP class not supported
        (0x0131, "SENT"),  # duplicate transaction UID: about the question, not about the object
    ],
)
def test_what_is_not_kept(world: World, pacs: Pacs, node: Node, reason: int, state: str) -> None:
    """What the destination lost is sent again, the same bytes; what it can never keep is parked."""
    lost, kept = world.add(1), world.add(2)
    world.deliver()
    world.ask()

    assert pacs.report(node.port, pacs.requests[0], failed={lost: reason}) == 0x0000

    assert world.states() == {state: 1, "COMMITTED": 1}
    assert world.deliver() == 0, "not before a pause"
    world.now += timedelta(minutes=1)
    pacs.reports_at_once = True
    world.deliver()
    world.ask()
    assert world.states() == ({"DEAD": 1, "COMMITTED": 1} if state == "DEAD" else {"COMMITTED": 2})
    assert pacs.uids == [lost, kept] + [lost] * (state == "PENDING")
    assert pacs.contradictions() == {}


def test_no_answer(world: World, pacs: Pacs, node: Node) -> None:
    """Asked again after the wait, each time in a new transaction; then the object is sent again."""
    made = world.add(1)
    world.deliver()
    for asks in range(1, MAX_REQUESTS + 1):
        world.ask()
        assert world.ask() == 0, "not before the wait is over"
        assert len(pacs.requests) == asks
        world.now += HOUR
    assert len({request.TransactionUID for request in pacs.requests}) == MAX_REQUESTS

    assert world.ask() == 0
    assert world.states() == {"PENDING": 1}
    world.deliver()
    world.ask()
    # An answer to the very first request still counts.
    pacs.report(node.port, pacs.requests[0])

    assert pacs.uids == [made, made]
    assert pacs.contradictions() == {}
    assert world.states() == {"COMMITTED": 1}
    assert "3 times" in world.events("delivery.resend")[0].detail["error"]


def test_a_destination_that_never_answers(tmp_path: Path, pacs: Pacs) -> None:
    """Sending and asking again ends after give_up_hours: the delivery is parked, with the reason."""
    world = World(tmp_path, pacs.destination, commitment_wait_s=3600, give_up_hours=8)
    world.add(1)
    began = world.now
    while world.states() != {"DEAD": 1}:
        world.deliver()
        world.ask()
        world.now += HOUR
        assert world.now - began < timedelta(hours=16)

    assert len(pacs.uids) == 3
    assert "no answer" in world.events("delivery.dead")[0].detail["error"]


def test_a_clock_set_back_while_waiting(world: World) -> None:
    """An hour back only lengthens the wait; a year back ends it."""
    world.add(1)
    world.deliver()
    world.ask()

    world.now -= HOUR
    assert world.ask() == 0
    world.now -= timedelta(days=365)
    assert world.ask() == 1
    assert world.states() == {"SENT": 1}


def test_a_destination_that_is_down_when_asked(tmp_path: Path) -> None:
    """What does not arrive is no ask: it is repeated with growing pauses until the destination is back."""
    with Pacs(commitment=True) as pacs:
        world = World(tmp_path, pacs.destination)
        world.add(1)
        world.deliver()
        port = pacs.port

    for _ in range(MAX_REQUESTS + 1):
        assert world.ask() == 1
        assert world.ask() == 0
        world.now = world.sent()[0].next_attempt_at
    assert [each.asks for each in world.sent()] == [0]
    with Pacs(commitment=True, port=port) as pacs:
        pacs.reports_at_once = True
        world.ask()

    assert world.states() == {"COMMITTED": 1}
    assert len(world.events("commitment.not_asked")) == MAX_REQUESTS + 1


def test_a_destination_without_storage_commitment(tmp_path: Path) -> None:
    """A wrong `commitment = true` shows at once: parked, and the reason names the service."""
    with Pacs() as pacs:
        committing = pacs.destination.model_copy(update={"commitment": True})
        world = World(tmp_path, committing)
        world.add(1)
        world.deliver()
        world.ask()

    assert world.states() == {"DEAD": 1}
    assert "1.2.840.10008.1.20.1" in world.events("delivery.dead")[0].detail["error"]


def test_a_refused_request_is_repeated(world: World, pacs: Pacs) -> None:
    """A failure status to the request itself may pass."""
    pacs.request_status = 0x0213
    world.add(1)
    world.deliver()
    world.ask()
    assert world.states() == {"SENT": 1}

    pacs.request_status, pacs.reports_at_once = 0x0000, True
    world.now += timedelta(minutes=1)
    world.ask()

    assert world.states() == {"COMMITTED": 1}


def test_a_destination_taken_out_of_the_settings(tmp_path: Path, world: World) -> None:
    """What it took and never confirmed is parked, too."""
    world.add(1)
    world.deliver()

    assert park_homeless(World(tmp_path).runtime) == 1

    assert world.states() == {DeliveryState.DEAD: 1}


@pytest.fixture
def scanner() -> Iterator[Scanner]:
    """Start a scanner."""
    made = Scanner()
    yield made
    made.close()


def reports_of(world: World) -> dict[str, int]:
    """Return how many reports are in each state that has any."""
    with world.database.read() as session:
        return {state: number for state, number in commitment_reports.counts(session).items() if number}


def test_a_scanner_that_stays_gets_its_report_there(world: World, node: Node, scanner: Scanner) -> None:
    """Held, never seen, and seen under another class: each object is answered for, on its association."""
    held, other = builders.image_2d(), builders.image_2d(InstanceNumber=2)
    never = builders.image_2d(InstanceNumber=3)
    assert push(node.port, held, other) == [0x0000, 0x0000]
    other.SOPClassUID = SecondaryCaptureImageStorage

    with scanner.association(node.port) as opened:
        assert scanner.ask(opened, question(held, other, never)) == 0x0000
        wait_for(lambda: reports_of(world) == {"REPORTED": 1}, "the report")

    ((event_type, ds, own),) = scanner.reports
    assert (event_type, own, ds.TransactionUID) == (2, True, "1.2.3")
    assert [each.ReferencedSOPInstanceUID for each in ds.ReferencedSOPSequence] == [held.SOPInstanceUID]
    assert {each.ReferencedSOPInstanceUID: each.FailureReason for each in ds.FailedSOPSequence} == {
        other.SOPInstanceUID: 0x0119,
        never.SOPInstanceUID: 0x0112,
    }


def test_a_scanner_that_left_is_called(world: World, node: Node, scanner: Scanner) -> None:
    """The worker reports to the scanner's own port, and tries again until the scanner takes it."""
    image = builders.image_2d()
    push(node.port, image)
    with scanner.association(node.port) as opened:
        assert scanner.ask(opened, question(image)) == 0x0000
    worker = World(node.data_dir, peers=[scanner.peer])
    worker.now = datetime.now(UTC)
    assert report_due(worker.runtime) == 0, "the receiver has the first word"

    scanner.status = 0x0110
    worker.now += timedelta(seconds=11)
    assert report_due(worker.runtime) == 1
    assert reports_of(world) == {"PENDING": 1}
    scanner.status = 0x0000
    worker.now += timedelta(seconds=11)
    assert report_due(worker.runtime) == 1
    assert report_due(worker.runtime) == 0

    assert reports_of(world) == {"REPORTED": 1}
    assert [(kind, own) for kind, _, own in scanner.reports] == [(1, False), (1, False)]
    assert [each.outcome for each in world.events("commitment.report_retry")] == ["failure"]


def test_a_scanner_that_cannot_be_called(world: World, node: Node, scanner: Scanner) -> None:
    """Without a port the report is given up, audited; the scanner may ask again and be told."""
    image = builders.image_2d()
    push(node.port, image)
    with scanner.association(node.port) as opened:
        assert scanner.ask(opened, question(image)) == 0x0000
    world.now += timedelta(seconds=11)
    assert report_due(world.runtime) == 1
    assert reports_of(world) == {"DEAD": 1}
    assert "no port" in world.events("commitment.report_dead")[0].detail["error"]

    with scanner.association(node.port) as opened:
        assert scanner.ask(opened, question(image)) == 0x0000
        wait_for(lambda: reports_of(world) == {"REPORTED": 1}, "the report")


def test_a_scanner_that_is_gone_for_good(node: Node, scanner: Scanner) -> None:
    """Reports are given up after give_up_hours."""
    image = builders.image_2d()
    with scanner.association(node.port) as opened:
        assert scanner.ask(opened, question(image)) == 0x0000
    gone = scanner.peer.model_copy(update={"port": free_port()})
    worker = World(node.data_dir, peers=[gone], give_up_hours=0.01)
    worker.now, attempts = datetime.now(UTC), 0
    while reports_of(worker) == {"PENDING": 1}:
        worker.now += timedelta(seconds=15)
        attempts += report_due(worker.runtime)

    assert reports_of(worker) == {"DEAD": 1}
    assert attempts >= 2


@pytest.mark.parametrize(
    ("change", "uids", "status"),
    [
        ({"TransactionUID": "../../etc/passwd"}, {}, 0x0115),
        ({"TransactionUID": "1" * 65}, {}, 0x0115),
        ({"TransactionUID": None}, {}, 0x0115),
        ({"ReferencedSOPSequence": []}, {}, 0x0115),
        ({"ReferencedSOPSequence": None}, {}, 0x0115),
        ({}, {"instance": "1.2.3"}, 0x0112),
        ({}, {"action": 2}, 0x0123),
    ],
)
def test_bad_requests(
    *, world: World, node: Node, scanner: Scanner, change: dict[str, Any], uids: dict[str, Any], status: int
) -> None:
    """What is no request is refused and audited; nothing is owed, and the association goes on."""
    request = question(builders.image_2d())
    for keyword, value in change.items():
        setattr(request, keyword, value)
        if value is None:
            delattr(request, keyword)

    with scanner.association(node.port) as opened:
        assert scanner.ask(opened, request, **uids) == status
        assert scanner.ask(opened, question(builders.image_2d())) == 0x0000

    assert reports_of(world) == {"PENDING": 1}
    node.wait_for_event("commitment.refused")


@pytest.mark.parametrize(
    ("number", "uid", "status"),
    [(10_000, "1.2.3.", 0x0000), (10_001, "1.2.3.", 0x0213), (10_000, "1." * 100, 0x0115)],
    ids=["as many as allowed", "one too many", "more bytes than are kept"],
)
def test_the_size_of_a_request_is_bounded(
    *, world: World, node: Node, scanner: Scanner, number: int, uid: str, status: int
) -> None:
    """Ten thousand references are answered, more are refused."""
    references = [(str(UltrasoundImageStorage), f"{uid}{each}") for each in range(number)]
    with scanner.association(node.port) as opened:
        assert scanner.ask(opened, commitment_messages.request_data_set("1.2.3", references)) == status

    assert reports_of(world) == ({"PENDING": 1} if status == 0x0000 else {})


def test_what_is_owed_to_one_peer_is_bounded(
    world: World, node: Node, scanner: Scanner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A peer that asks and asks and takes no report is refused, until it has taken some."""
    monkeypatch.setattr(scp, "MAX_PENDING_REPORTS", 3)
    monkeypatch.setattr(scp, "REPORT_DELAY_S", 1.0)
    image = builders.image_2d()
    with scanner.association(node.port) as opened:
        questions = [question(image, transaction_uid=f"1.2.{number}") for number in range(4)]
        assert [scanner.ask(opened, each) for each in questions] == [0x0000, 0x0000, 0x0000, 0x0213]
        wait_for(lambda: reports_of(world) == {"REPORTED": 3}, "the reports")
        assert scanner.ask(opened, questions[3]) == 0x0000


def test_a_flood_of_answers_is_served_in_turn(world: World, node: Node) -> None:
    """A peer that sends answers without waiting for responses gets no thread for each."""
    context = build_context(commitment_messages.SOP_CLASS, ImplicitVRLittleEndian)
    with association(node.port, context) as opened, world.database.transaction() as session:
        session.execute(text("SELECT 1"))  # from here on nobody else can write
        threads = threading.active_count()
        for number in range(100):
            report = N_EVENT_REPORT()
            report.MessageID, report.EventTypeID = number, 1
            report.AffectedSOPClassUID, report.AffectedSOPInstanceUID = (
                commitment_messages.SOP_CLASS,
                commitment_messages.SOP_INSTANCE,
            )
            ds = encoded(question(builders.image_2d()), ImplicitVRLittleEndian)
            report.EventInformation = BytesIO(ds)
            opened.dimse.send_msg(report, opened.accepted_contexts[0].context_id)
        assert threading.active_count() <= threads + 1
        opened.abort()

    assert push(node.port, builders.image_2d()) == [0x0000]


def test_a_destination_that_is_no_peer_may_only_answer(node: Node) -> None:
    """Its association has room for answers and C-ECHO, none for objects."""
    ae = AE("PACS")
    contexts = [
        build_context(uid) for uid in (commitment_messages.SOP_CLASS, Verification, UltrasoundImageStorage)
    ]
    opened = ae.associate("127.0.0.1", node.port, contexts, ae_title="ECHONODE")

    assert {each.abstract_syntax for each in opened.accepted_contexts} == {
        commitment_messages.SOP_CLASS,
        Verification,
    }
    opened.release()
