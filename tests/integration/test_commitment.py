"""Storage commitment with real peers: what a destination confirms, and what we confirm to a scanner."""

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import ImplicitVRLittleEndian, SecondaryCaptureImageStorage, UltrasoundImageStorage
from pynetdicom import AE, build_context
from pynetdicom.dimse_primitives import N_EVENT_REPORT
from pynetdicom.sop_class import Verification
from sqlalchemy import text
from support import builders
from support.attacks import (
    COMMAND,
    LAST,
    command,
    connected,
    context_item,
    echo_rq,
    item,
    p_data,
    read_pdu,
    request,
    user_information,
)
from support.footprint import TIMED_JOB_THREADS
from support.node import NodeHarness, free_port, receiver, wait_for
from support.pacs import Pacs
from support.scanner import Scanner, question
from support.sender import association, encoded, push

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
def node(tmp_path: Path, pacs: Pacs) -> NodeHarness:
    """Return an outbox that leads to the PACS, and asks it again after an hour; now is now, as for `node`."""
    made = NodeHarness(tmp_path, pacs.destination, commitment_wait_s=3600)
    made.now = datetime.now(UTC)
    return made


@pytest.fixture
def running(tmp_path: Path, node: NodeHarness) -> Iterator[NodeHarness]:
    """Start the receiver of the same node; only the scanner is listed as a peer."""
    peers = [{"ae_title": "SCANNER", "host": "127.0.0.1"}]
    destinations = node.runtime.settings.destinations
    with receiver(tmp_path / "data", peers=peers, destinations=destinations) as running:
        yield running


def test_an_answer_on_the_same_association(node: NodeHarness, pacs: Pacs) -> None:
    """What was sent is asked for in one request, and what the destination says at once is believed."""
    made = [node.add_result(1), node.add_result(2), node.add_result(3, study=2)]
    pacs.reports_at_once = True

    node.deliver()
    assert node.deliveries() == {"SENT": 3}
    assert node.ask() == 3

    assert node.deliveries() == {"COMMITTED": 3}
    assert sorted(made) == sorted(
        item.ReferencedSOPInstanceUID for item in pacs.requests[0].ReferencedSOPSequence
    )
    assert [len(pacs.requests), node.ask()] == [1, 0]
    (asked,), (answered,) = node.events("commitment.asked"), node.events("commitment.answered")
    assert asked.detail["transaction_uid"] == answered.detail["transaction_uid"]
    assert (answered.outcome, answered.detail["kept"], answered.detail["failed"]) == ("success", 3, 0)
    assert len(node.events("delivery.committed")) == 3


@pytest.mark.parametrize("roles", [True, False], ids=["roles negotiated", "roles not negotiated"])
def test_an_answer_on_a_new_association(
    node: NodeHarness, pacs: Pacs, running: NodeHarness, roles: bool
) -> None:
    """The destination may report to our port hours later, though it is not listed as a peer."""
    node.add_result(1)
    node.deliver()
    node.ask()
    assert node.deliveries() == {"SENT": 1}

    assert pacs.report(running.port, pacs.requests[0], roles=roles) == 0x0000

    assert node.deliveries() == {"COMMITTED": 1}


def test_an_answer_counts_once(node: NodeHarness, pacs: Pacs, running: NodeHarness) -> None:
    """A repeated answer is taken and changes nothing, not even when it says something else now."""
    made = node.add_result(1)
    node.deliver()
    node.ask()

    statuses = [pacs.report(running.port, pacs.requests[0])]
    statuses += [pacs.report(running.port, pacs.requests[0], failed={made: 0x0112})]

    assert statuses == [0x0000, 0x0000]
    assert node.deliveries() == {"COMMITTED": 1}
    assert len(node.events("commitment.answered")) == 1


def test_answers_that_nobody_asked_for(node: NodeHarness, pacs: Pacs, running: NodeHarness) -> None:
    """An unknown transaction, or another AE title's, is answered 0x0110 and audited; no row moves."""
    node.add_result(1)
    node.deliver()
    node.ask()
    true_uid = pacs.requests[0].TransactionUID

    statuses = [pacs.report(running.port, pacs.requests[0], ae_title="SCANNER")]
    pacs.requests[0].TransactionUID = "1.2.3"
    statuses += [pacs.report(running.port, pacs.requests[0])]

    assert statuses == [0x0110, 0x0110]
    assert node.deliveries() == {"SENT": 1}
    said = [(event.peer_ae, event.detail["transaction_uid"]) for event in node.events("commitment.unknown")]
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
def test_what_is_not_kept(
    node: NodeHarness, pacs: Pacs, running: NodeHarness, reason: int, state: str
) -> None:
    """What the destination lost is sent again, the same bytes; what it can never keep is parked."""
    lost, kept = node.add_result(1), node.add_result(2)
    node.deliver()
    node.ask()

    assert pacs.report(running.port, pacs.requests[0], failed={lost: reason}) == 0x0000

    assert node.deliveries() == {state: 1, "COMMITTED": 1}
    assert node.deliver() == 0, "not before a pause"
    node.now += timedelta(minutes=1)
    pacs.reports_at_once = True
    node.deliver()
    node.ask()
    assert node.deliveries() == ({"DEAD": 1, "COMMITTED": 1} if state == "DEAD" else {"COMMITTED": 2})
    assert pacs.uids == [lost, kept] + [lost] * (state == "PENDING")
    assert pacs.contradictions() == {}


def test_no_answer(node: NodeHarness, pacs: Pacs, running: NodeHarness) -> None:
    """Asked again after the wait, each time in a new transaction; then the object is sent again."""
    made = node.add_result(1)
    node.deliver()
    for asks in range(1, MAX_REQUESTS + 1):
        node.ask()
        assert node.ask() == 0, "not before the wait is over"
        assert len(pacs.requests) == asks
        node.now += HOUR
    assert len({request.TransactionUID for request in pacs.requests}) == MAX_REQUESTS

    assert node.ask() == 0
    assert node.deliveries() == {"PENDING": 1}
    node.deliver()
    node.ask()
    # An answer to the very first request still counts.
    pacs.report(running.port, pacs.requests[0])

    assert pacs.uids == [made, made]
    assert pacs.contradictions() == {}
    assert node.deliveries() == {"COMMITTED": 1}
    assert "3 times" in node.events("delivery.resend")[0].detail["error"]


def test_a_destination_that_never_answers(tmp_path: Path, pacs: Pacs) -> None:
    """Sending and asking again ends after give_up_hours: the delivery is parked, with the reason."""
    node = NodeHarness(tmp_path, pacs.destination, commitment_wait_s=3600, give_up_hours=8)
    node.add_result(1)
    began = node.now
    while node.deliveries() != {"DEAD": 1}:
        node.deliver()
        node.ask()
        node.now += HOUR
        assert node.now - began < timedelta(hours=16)

    assert len(pacs.uids) == 3
    assert "no answer" in node.events("delivery.dead")[0].detail["error"]


def test_a_clock_set_back_while_waiting(node: NodeHarness) -> None:
    """An hour back only lengthens the wait; a year back ends it."""
    node.add_result(1)
    node.deliver()
    node.ask()

    node.now -= HOUR
    assert node.ask() == 0
    node.now -= timedelta(days=365)
    assert node.ask() == 1
    assert node.deliveries() == {"SENT": 1}


def test_a_destination_that_is_down_when_asked(tmp_path: Path) -> None:
    """What does not arrive is no ask: it is repeated with growing pauses until the destination is back."""
    with Pacs(commitment=True) as pacs:
        node = NodeHarness(tmp_path, pacs.destination)
        node.add_result(1)
        node.deliver()
        port = pacs.port

    for _ in range(MAX_REQUESTS + 1):
        assert node.ask() == 1
        assert node.ask() == 0
        node.now = node.uncommitted()[0].next_attempt_at
    assert [each.asks for each in node.uncommitted()] == [0]
    with Pacs(commitment=True, port=port) as pacs:
        pacs.reports_at_once = True
        node.ask()

    assert node.deliveries() == {"COMMITTED": 1}
    assert len(node.events("commitment.not_asked")) == MAX_REQUESTS + 1


def test_a_destination_without_storage_commitment(tmp_path: Path) -> None:
    """A wrong `commitment = true` shows at once: parked, and the reason names the service."""
    with Pacs() as pacs:
        committing = pacs.destination.model_copy(update={"commitment": True})
        node = NodeHarness(tmp_path, committing)
        node.add_result(1)
        node.deliver()
        node.ask()

    assert node.deliveries() == {"DEAD": 1}
    assert "1.2.840.10008.1.20.1" in node.events("delivery.dead")[0].detail["error"]


def test_a_refused_request_is_repeated(node: NodeHarness, pacs: Pacs) -> None:
    """A failure status to the request itself may pass."""
    pacs.request_status = 0x0213
    node.add_result(1)
    node.deliver()
    node.ask()
    assert node.deliveries() == {"SENT": 1}

    pacs.request_status, pacs.reports_at_once = 0x0000, True
    node.now += timedelta(minutes=1)
    node.ask()

    assert node.deliveries() == {"COMMITTED": 1}


def test_a_destination_taken_out_of_the_settings(tmp_path: Path, node: NodeHarness) -> None:
    """What it took and never confirmed is parked, too."""
    node.add_result(1)
    node.deliver()

    assert park_homeless(NodeHarness(tmp_path).runtime) == 1

    assert node.deliveries() == {DeliveryState.DEAD: 1}


@pytest.fixture
def scanner() -> Iterator[Scanner]:
    """Start a scanner."""
    made = Scanner()
    yield made
    made.close()


def reports_of(node: NodeHarness) -> dict[str, int]:
    """Return how many reports are in each state that has any."""
    with node.database.read() as session:
        return {state: number for state, number in commitment_reports.counts(session).items() if number}


def test_a_scanner_that_stays_gets_its_report_there(
    node: NodeHarness, running: NodeHarness, scanner: Scanner
) -> None:
    """Held, never seen, and seen under another class: each object is answered for, on its association."""
    held, other = builders.image_2d(), builders.image_2d(InstanceNumber=2)
    never = builders.image_2d(InstanceNumber=3)
    assert push(running.port, held, other) == [0x0000, 0x0000]
    other.SOPClassUID = SecondaryCaptureImageStorage

    with scanner.association(running.port) as opened:
        assert scanner.ask(opened, question(held, other, never)) == 0x0000
        wait_for(lambda: reports_of(node) == {"REPORTED": 1}, "the report")

    ((event_type, ds, own),) = scanner.reports
    assert (event_type, own, ds.TransactionUID) == (2, True, "1.2.3")
    assert [each.ReferencedSOPInstanceUID for each in ds.ReferencedSOPSequence] == [held.SOPInstanceUID]
    assert {each.ReferencedSOPInstanceUID: each.FailureReason for each in ds.FailedSOPSequence} == {
        other.SOPInstanceUID: 0x0119,
        never.SOPInstanceUID: 0x0112,
    }


def test_a_scanner_that_left_is_called(node: NodeHarness, running: NodeHarness, scanner: Scanner) -> None:
    """The worker reports to the scanner's own port, and tries again until the scanner takes it."""
    image = builders.image_2d()
    push(running.port, image)
    with scanner.association(running.port) as opened:
        assert scanner.ask(opened, question(image)) == 0x0000
    worker = NodeHarness(running.folder, peers=[scanner.peer])
    worker.now = datetime.now(UTC)
    assert report_due(worker.runtime) == 0, "the receiver has the first word"

    scanner.status = 0x0110
    worker.now += timedelta(seconds=11)
    assert report_due(worker.runtime) == 1
    assert reports_of(node) == {"PENDING": 1}
    scanner.status = 0x0000
    worker.now += timedelta(seconds=11)
    assert report_due(worker.runtime) == 1
    assert report_due(worker.runtime) == 0

    assert reports_of(node) == {"REPORTED": 1}
    assert [(kind, own) for kind, _, own in scanner.reports] == [(1, False), (1, False)]
    assert [each.outcome for each in node.events("commitment.report_retry")] == ["failure"]


def test_a_scanner_that_cannot_be_called(node: NodeHarness, running: NodeHarness, scanner: Scanner) -> None:
    """Without a port the report is given up, audited; the scanner may ask again and be told."""
    image = builders.image_2d()
    push(running.port, image)
    with scanner.association(running.port) as opened:
        assert scanner.ask(opened, question(image)) == 0x0000
    node.now += timedelta(seconds=11)
    assert report_due(node.runtime) == 1
    assert reports_of(node) == {"DEAD": 1}
    assert "no port" in node.events("commitment.report_dead")[0].detail["error"]

    with scanner.association(running.port) as opened:
        assert scanner.ask(opened, question(image)) == 0x0000
        wait_for(lambda: reports_of(node) == {"REPORTED": 1}, "the report")


def test_a_scanner_that_is_gone_for_good(running: NodeHarness, scanner: Scanner) -> None:
    """Reports are given up after give_up_hours."""
    image = builders.image_2d()
    with scanner.association(running.port) as opened:
        assert scanner.ask(opened, question(image)) == 0x0000
    gone = scanner.peer.model_copy(update={"port": free_port()})
    worker = NodeHarness(running.folder, peers=[gone], give_up_hours=0.01)
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
    *,
    node: NodeHarness,
    running: NodeHarness,
    scanner: Scanner,
    change: dict[str, Any],
    uids: dict[str, Any],
    status: int,
) -> None:
    """What is no request is refused and audited; nothing is owed, and the association goes on."""
    request = question(builders.image_2d())
    for keyword, value in change.items():
        setattr(request, keyword, value)
        if value is None:
            delattr(request, keyword)

    with scanner.association(running.port) as opened:
        assert scanner.ask(opened, request, **uids) == status
        assert scanner.ask(opened, question(builders.image_2d())) == 0x0000

    assert reports_of(node) == {"PENDING": 1}
    running.wait_for_event("commitment.refused")


@pytest.mark.parametrize(
    ("number", "uid", "status"),
    [(10_000, "1.2.3.", 0x0000), (10_001, "1.2.3.", 0x0213), (10_000, "1." * 100, 0x0115)],
    ids=["as many as allowed", "one too many", "more bytes than are kept"],
)
def test_the_size_of_a_request_is_bounded(
    *, node: NodeHarness, running: NodeHarness, scanner: Scanner, number: int, uid: str, status: int
) -> None:
    """Ten thousand references are answered, more are refused."""
    references = [(str(UltrasoundImageStorage), f"{uid}{each}") for each in range(number)]
    with scanner.association(running.port) as opened:
        assert scanner.ask(opened, commitment_messages.request_data_set("1.2.3", references)) == status

    assert reports_of(node) == ({"PENDING": 1} if status == 0x0000 else {})


def test_what_is_owed_to_one_peer_is_bounded(
    node: NodeHarness, running: NodeHarness, scanner: Scanner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A peer that asks and asks and takes no report is refused, until it has taken some."""
    monkeypatch.setattr(scp, "MAX_PENDING_REPORTS", 3)
    monkeypatch.setattr(scp, "REPORT_DELAY_S", 1.0)
    image = builders.image_2d()
    with scanner.association(running.port) as opened:
        questions = [question(image, transaction_uid=f"1.2.{number}") for number in range(4)]
        assert [scanner.ask(opened, each) for each in questions] == [0x0000, 0x0000, 0x0000, 0x0213]
        wait_for(lambda: reports_of(node) == {"REPORTED": 3}, "the reports")
        assert scanner.ask(opened, questions[3]) == 0x0000


def test_a_flood_of_answers_is_served_in_turn(node: NodeHarness, running: NodeHarness) -> None:
    """A peer that sends answers without waiting for responses gets no thread for each."""
    context = build_context(commitment_messages.SOP_CLASS, ImplicitVRLittleEndian)
    with association(running.port, context) as opened, node.database.transaction() as session:
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
        assert threading.active_count() <= threads + 1 + TIMED_JOB_THREADS
        opened.abort()

    assert push(running.port, builders.image_2d()) == [0x0000]


def test_a_destination_that_is_no_peer_may_only_answer(running: NodeHarness) -> None:
    """Its association has room for answers and C-ECHO, none for objects."""
    ae = AE("PACS")
    contexts = [
        build_context(uid) for uid in (commitment_messages.SOP_CLASS, Verification, UltrasoundImageStorage)
    ]
    opened = ae.associate("127.0.0.1", running.port, contexts, ae_title="ECHONODE")

    assert {each.abstract_syntax for each in opened.accepted_contexts} == {
        commitment_messages.SOP_CLASS,
        Verification,
    }
    opened.release()


def test_messages_on_one_association_are_not_mixed(tmp_path: Path) -> None:
    """While a report goes out in many fragments, answers to other requests wait (PS3.8 7.6)."""
    references = [("1.2.840.10008.5.1.4.1.1.6.1", f"1.2.3.{number}") for number in range(1200)]
    data = encoded(commitment_messages.request_data_set("1.2.3.99", references))
    contexts = (
        (1, Verification, [ImplicitVRLittleEndian]),
        (3, commitment_messages.SOP_CLASS, [ImplicitVRLittleEndian]),
    )
    items = item(0x10, b"1.2.840.10008.3.1.1.1") + b"".join(map(context_item, contexts))
    sent = request(items=items + user_information(maximum=64))
    asked = command(
        0x0130,
        with_data_set=True,
        RequestedSOPClassUID=str(commitment_messages.SOP_CLASS),
        RequestedSOPInstanceUID=str(commitment_messages.SOP_INSTANCE),
        ActionTypeID=1,
    )
    seen: list[tuple[int, int]] = []
    with receiver(tmp_path / "data") as running, connected(running.port) as opened:
        opened.sendall(sent)
        assert read_pdu(opened)[0] == 0x02
        opened.sendall(p_data(COMMAND | LAST, asked, context=3) + p_data(LAST, data, context=3))
        until_s = time.monotonic() + 3
        while time.monotonic() < until_s:
            opened.sendall(echo_rq() * 4)
            echoes = 0
            while echoes < 4:
                kind, value = read_pdu(opened)
                assert kind == 0x04
                seen.append((value[4], value[5]))
                echoes += value[4] == 1 and value[5] == COMMAND | LAST

    report = [index for index, (context_id, control) in enumerate(seen) if (context_id, control) == (3, 0)]
    assert len(report) > 1000
    inside = seen[report[0] : report[-1] + 1]
    assert {context_id for context_id, _ in inside} == {3}
