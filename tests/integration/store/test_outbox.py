"""Results and deliveries: one line per destination and study, in order, nothing twice."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from store.audit import audit_log
from store.db.database import Database
from store.db.states import DeliveryState
from store.errors import IllegalTransition, NotFound
from store.rows import deliveries, delivery_transitions, results
from store.rows.deliveries import Delivery
from store.rows.results import NewResult

LATER = timedelta(minutes=1)
Add = Callable[..., bool]


def _due(database: Database, now: datetime, limit: int = 50) -> list[Delivery]:
    with database.read() as session:
        return deliveries.due(session, now=now, limit=limit)


def _lines(found: list[Delivery]) -> list[tuple[str, str]]:
    return [(delivery.destination, delivery.sop_instance_uid) for delivery in found]


def _answer(database: Database, delivery: Delivery, answer: str, now: datetime) -> None:
    later = {"next_attempt_at": now + LATER, "now": now}
    with database.transaction() as session:
        if answer == "delivered":
            delivery_transitions.delivered(session, delivery, status=0, now=now)
        elif answer == "sent":
            delivery_transitions.sent(session, delivery, status=0, now=now)
        elif answer == "committed":
            delivery_transitions.committed(session, delivery, now=now)
        elif answer == "resend":
            delivery_transitions.resend(session, delivery, error="lost", **later)
        elif answer == "retry":
            delivery_transitions.retry_later(session, delivery, error="no answer", status=None, **later)
        elif answer == "requeue":
            delivery_transitions.requeue(session, delivery, now=now)
        else:
            delivery_transitions.park(session, delivery, error="refused", status=0xA900, now=now)


def _states(database: Database) -> dict[str, int]:
    with database.read() as session:
        return deliveries.counts(session)


def test_add(
    database: Database, add_result: Add, new_result: Callable[..., NewResult], now: datetime, study_uid: str
) -> None:
    """A result has a row, one delivery per destination due at once, and an event."""
    assert add_result(1, to=("pacs", "archive"))
    new = new_result(1)
    with database.read() as session:
        (result,) = results.of_study(session, study_uid)
        (event,) = audit_log.events(session, event="result.created")
    found = _due(database, now)

    assert {**vars(new), "id": result.id, "created_at": now, "file_gone_at": None} == vars(result)
    assert (study_uid, new.sop_instance_uid, ["pacs", "archive"]) == (
        event.study_uid,
        event.sop_instance_uid,
        event.detail["destinations"],
    )
    assert [("pacs", new.sop_instance_uid), ("archive", new.sop_instance_uid)] == _lines(found)
    assert (DeliveryState.PENDING, 0, now, None, None, new.path, new.sop_class_uid) == (
        found[0].state,
        found[0].attempts,
        found[0].next_attempt_at,
        found[0].last_status,
        found[0].error,
        found[0].path,
        found[0].sop_class_uid,
    )


def test_add_again(database: Database, add_result: Add) -> None:
    """A job that runs a second time adds nothing twice, not even for a new destination."""
    add_result(1)
    with database.read() as session:
        before = audit_log.events(session)

    assert not add_result(1, to=("pacs", "archive"))
    assert _states(database) == {"PENDING": 1, "DELIVERED": 0, "SENT": 0, "COMMITTED": 0, "DEAD": 0}
    with database.read() as session:
        assert before == audit_log.events(session)


def test_is_own(
    database: Database, add_result: Add, new_result: Callable[..., NewResult], study_uid: str
) -> None:
    """What we made is recognised, what we received is not."""
    add_result(1)
    with database.read() as session:
        assert results.is_own(session, new_result(1).sop_instance_uid)
        assert not results.is_own(session, f"{study_uid}.1")


def test_latest(database: Database, add_result: Add, study_uid: str) -> None:
    """The predecessor is the newest earlier result of the same kind and source."""
    add_result(1, revision=1)
    add_result(2, revision=2)
    add_result(3, revision=3)
    add_result(4, revision=2, kind="overlay")
    add_result(5, revision=2, source_sop_instance_uid=f"{study_uid}.2")
    source = f"{study_uid}.1"

    def before(revision: int, kind: results.Kind = "tid5200", source: str = source) -> str | None:
        with database.read() as session:
            found = results.latest(session, source_sop_instance_uid=source, before_revision=revision).get(
                kind
            )
        return found.sop_instance_uid if found else None

    assert before(1) is None
    assert before(2) == f"{study_uid}.9.1"
    assert before(3) == f"{study_uid}.9.2"
    assert before(9) == f"{study_uid}.9.3"
    assert before(3, kind="overlay") == f"{study_uid}.9.4"
    assert before(3, source=f"{study_uid}.2") == f"{study_uid}.9.5"
    assert before(2, kind="overlay") is None


def test_head_of_the_line(database: Database, add_result: Add, now: datetime, study_uid: str) -> None:
    """Per destination and study only the oldest is due; another study or destination does not wait."""
    add_result(1, to=("pacs", "archive"))
    add_result(2, to=("pacs", "archive"))
    add_result(1, study="1.5")
    first, second, other = f"{study_uid}.9.1", f"{study_uid}.9.2", "1.5.9.1"
    found = _due(database, now)
    assert [("pacs", first), ("archive", first), ("pacs", other)] == _lines(found)
    _answer(database, found[0], "delivered", now)

    assert [("archive", first), ("pacs", second), ("pacs", other)] == _lines(_due(database, now))


def test_a_waiting_head_holds_up_its_line(database: Database, add_result: Add, now: datetime) -> None:
    """While the head waits for its next attempt, nothing overtakes it."""
    add_result(1)
    add_result(2)
    (head,) = _due(database, now)
    _answer(database, head, "retry", now)

    assert _due(database, now) == []
    (again,) = _due(database, now + LATER)
    assert (head.id, 1, None, "no answer") == (again.id, again.attempts, again.last_status, again.error)


def test_a_parked_head_lets_the_line_go(
    database: Database, add_result: Add, now: datetime, study_uid: str
) -> None:
    """A delivery that was given up does not block those behind it."""
    add_result(1)
    add_result(2)
    (head,) = _due(database, now)
    _answer(database, head, "park", now)

    assert [("pacs", f"{study_uid}.9.2")] == _lines(_due(database, now))
    assert _states(database) == {"PENDING": 1, "DELIVERED": 0, "SENT": 0, "COMMITTED": 0, "DEAD": 1}


def test_limit(database: Database, add_result: Add, now: datetime) -> None:
    """A limit keeps the oldest."""
    for study in ("1.3", "1.4", "1.5"):
        add_result(1, study=study)

    assert [delivery.study_uid for delivery in _due(database, now, limit=2)] == ["1.3", "1.4"]


@pytest.mark.parametrize(
    ("answer", "event", "outcome", "detail"),
    [
        ("delivered", "delivery.delivered", "success", {"status": "0x0000", "error": None}),
        (
            "retry",
            "delivery.retry",
            "failure",
            {"status": None, "error": "no answer", "next_attempt_at": "2026-11-22T20:01:00.000000Z"},
        ),
        ("park", "delivery.dead", "failure", {"status": "0xA900", "error": "refused"}),
        (
            "sent",
            "delivery.sent",
            "success",
            {"status": "0x0000", "error": None, "asks": 0, "next_attempt_at": "2026-11-22T20:00:00.000000Z"},
        ),
    ],
)
def test_answers_are_recorded(
    *,
    database: Database,
    add_result: Add,
    now: datetime,
    answer: str,
    event: str,
    outcome: str,
    detail: dict[str, object],
) -> None:
    """Each attempt is one event: where to, which attempt, and what came back."""
    add_result(1)
    (head,) = _due(database, now)
    _answer(database, head, answer, now)
    with database.read() as session:
        (found,) = audit_log.events(session, limit=1)

    assert (event, outcome, head.sop_instance_uid) == (found.event, found.outcome, found.sop_instance_uid)
    assert {"destination": "pacs", "attempts": 1, **detail} == found.detail


@pytest.mark.parametrize(
    ("way", "end"),
    [
        (("sent", "committed"), "COMMITTED"),
        (("sent", "park"), "DEAD"),
        (("sent", "resend"), "PENDING"),
        (("sent", "resend", "delivered"), "DELIVERED"),
        (("park", "requeue"), "PENDING"),
        (("park", "requeue", "sent", "committed"), "COMMITTED"),
    ],
)
def test_ways(database: Database, add_result: Add, now: datetime, way: tuple[str, ...], end: str) -> None:
    """A delivery goes from answer to answer, each with its event, to its end."""
    add_result(1)
    (head,) = _due(database, now)
    for answer in way:
        _answer(database, head, answer, now)

    assert {state: number for state, number in _states(database).items() if number} == {end: 1}
    with database.read() as session:
        found = [each.event for each in audit_log.events(session) if each.event.startswith("delivery.")]
    named = {"park": "dead", "requeue": "requeued"}
    assert found == [f"delivery.{named.get(answer, answer)}" for answer in way]


@pytest.mark.parametrize(
    ("before", "answer"),
    [
        (before, answer)
        for before in ("delivered", "sent", "park", None)
        for answer in ("committed", "resend", "requeue")
        if (before, answer) not in {("sent", "committed"), ("sent", "resend"), ("park", "requeue")}
    ],
)
def test_answers_out_of_place(
    database: Database, add_result: Add, now: datetime, before: str | None, answer: str
) -> None:
    """Only what was sent can be committed or lost, only what is parked can be queued again."""
    add_result(1)
    (head,) = _due(database, now)
    if before is not None:
        _answer(database, head, before, now)
    states = _states(database)
    with pytest.raises(IllegalTransition):
        _answer(database, head, answer, now)

    assert states == _states(database)


def test_requeued_is_as_patient_as_new(database: Database, add_result: Add, now: datetime) -> None:
    """Attempts and waiting time begin again when an administrator sends what was parked."""
    add_result(1)
    (head,) = _due(database, now)
    _answer(database, head, "park", now)
    with database.read() as session:
        (parked,) = deliveries.parked(session)
        assert deliveries.parked(session, "1.2.3.4") == []
    _answer(database, parked, "requeue", now + LATER)

    (fresh,) = _due(database, now + LATER)
    assert (fresh.attempts, fresh.waiting_since, fresh.asks) == (0, now + LATER, 0)


def test_a_taken_head_lets_the_line_go(
    database: Database, add_result: Add, now: datetime, study_uid: str
) -> None:
    """What waits for its commitment does not hold up what comes after it."""
    add_result(1)
    add_result(2)
    (head,) = _due(database, now)
    _answer(database, head, "sent", now)

    assert [("pacs", f"{study_uid}.9.2")] == _lines(_due(database, now))
    with database.read() as session:
        assert [head.id] == [each.id for each in deliveries.to_be_committed(session, now=now)]


def test_a_clock_set_back_by_a_year(database: Database, add_result: Add, now: datetime) -> None:
    """An hour back only lengthens a wait; a time that lies days ahead is no reason to wait at all."""
    add_result(1)
    (head,) = _due(database, now)
    _answer(database, head, "retry", now)

    assert _due(database, now - timedelta(hours=1)) == []
    assert len(_due(database, now - timedelta(days=365))) == 1


@pytest.mark.parametrize("answer", ["delivered", "retry", "park"])
@pytest.mark.parametrize("before", ["delivered", "park"])
def test_an_ended_delivery_is_left_alone(
    database: Database, add_result: Add, now: datetime, before: str, answer: str
) -> None:
    """A delivery that was delivered or parked takes no further answer."""
    add_result(1)
    (head,) = _due(database, now)
    _answer(database, head, before, now)
    states = _states(database)
    with pytest.raises(IllegalTransition):
        _answer(database, head, answer, now)

    assert states == _states(database)


def test_an_unknown_delivery(database: Database, add_result: Add, now: datetime) -> None:
    """A delivery without a row takes no answer."""
    add_result(1)
    (head,) = _due(database, now)
    with pytest.raises(NotFound):
        _answer(database, Delivery(**{**vars(head), "id": 999}), "delivered", now)


def test_counts_of_nothing(database: Database) -> None:
    """An empty outbox counts zero in every state."""
    assert _states(database) == {"PENDING": 0, "DELIVERED": 0, "SENT": 0, "COMMITTED": 0, "DEAD": 0}
