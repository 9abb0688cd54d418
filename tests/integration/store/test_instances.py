"""Rows of received instances and what they do to their study."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from store.audit import audit_log
from store.db.database import Database
from store.db.states import InstanceState, StudyState
from store.errors import IllegalTransition, InvalidUID, NotFound
from store.rows import instances, studies
from store.rows.instances import Instance, NewInstance

SECOND = timedelta(seconds=1)


def _study(database: Database, study_uid: str) -> studies.Study:
    with database.read() as session:
        return studies.get(session, study_uid)


def _events(database: Database) -> list[str]:
    with database.read() as session:
        return [event.event for event in audit_log.events(session)]


def test_the_first_image_opens_its_study(
    database: Database, new_instance: Callable[..., NewInstance], receive: Callable[..., bool], now: datetime
) -> None:
    """The row says what came from whom, the study is RECEIVING, and both are in the audit log."""
    assert receive(1)
    new = new_instance(1)
    with database.read() as session:
        (found,) = instances.of_study(session, new.study_uid)
        (received, _) = audit_log.events(session)

    assert Instance(**vars(new), reason=None, detail={}, received_at=now, file_gone_at=None) == found
    assert ("VIVID", "192.0.2.10", new.study_uid, new.sop_instance_uid) == (
        received.peer_ae,
        received.peer_ip,
        received.study_uid,
        received.sop_instance_uid,
    )
    assert _events(database) == ["instance.received", "study.receiving"]
    study = _study(database, new.study_uid)
    assert (StudyState.RECEIVING, 1, now, now) == (
        study.state,
        study.revision,
        study.first_received_at,
        study.last_received_at,
    )


def test_a_known_instance_changes_nothing(
    database: Database, receive: Callable[..., bool], now: datetime, study_uid: str
) -> None:
    """The second time there is no new row, no event, and the quiet period goes on."""
    receive(1)
    before = _events(database)

    assert not receive(1, at=now + SECOND, state=InstanceState.KEPT, sha256="f" * 64)
    assert before == _events(database)
    assert now == _study(database, study_uid).last_received_at


@pytest.mark.parametrize("state", [InstanceState.RECEIVED, InstanceState.KEPT])
def test_the_next_image_prolongs_the_wait(
    database: Database, receive: Callable[..., bool], now: datetime, study_uid: str, state: InstanceState
) -> None:
    """Any image of the scanner prolongs the quiet period of an open study, silently."""
    receive(1)
    receive(2, at=now + SECOND, state=state)
    study = _study(database, study_uid)

    assert (now, now + SECOND, 1) == (study.first_received_at, study.last_received_at, study.revision)
    assert _events(database) == ["instance.received", "study.receiving", "instance.received"]


def test_a_kept_object_opens_a_study(
    database: Database, receive: Callable[..., bool], study_uid: str
) -> None:
    """A study that begins with an SR is a study."""
    receive(1, state=InstanceState.KEPT)

    assert StudyState.RECEIVING is _study(database, study_uid).state


def test_our_own_object_is_only_a_row(
    database: Database, receive: Callable[..., bool], now: datetime, study_uid: str
) -> None:
    """What we made neither opens a study nor prolongs its wait when it comes back."""
    receive(1, state=InstanceState.OWN)
    with database.read() as session, pytest.raises(NotFound):
        studies.get(session, study_uid)
    receive(2)
    receive(3, state=InstanceState.OWN, at=now + SECOND)

    assert now == _study(database, study_uid).last_received_at


@pytest.mark.parametrize("state", [s for s in StudyState if s is not StudyState.RECEIVING])
def test_a_late_image_makes_a_new_revision(
    database: Database,
    in_state: Callable[..., str],
    receive: Callable[..., bool],
    now: datetime,
    state: StudyState,
) -> None:
    """Whatever its state, a study is RECEIVING again, as its next revision, waiting from now."""
    study_uid = in_state(state)
    later = now + timedelta(days=1)
    receive(2, at=later)
    study = _study(database, study_uid)

    assert (study.state, study.revision) == (StudyState.RECEIVING, 2)
    assert (later, later) == (study.first_received_at, study.last_received_at)
    assert _events(database)[-2:] == ["instance.received", "study.reopened"]


@pytest.mark.parametrize("late", [InstanceState.KEPT, InstanceState.OWN])
@pytest.mark.parametrize("state", [s for s in StudyState if s is not StudyState.RECEIVING])
def test_a_late_object_without_pixels_changes_nothing(
    database: Database,
    in_state: Callable[..., str],
    receive: Callable[..., bool],
    state: StudyState,
    late: InstanceState,
) -> None:
    """An SR, and our own results coming back, leave a closed study closed."""
    study_uid = in_state(state)
    before = _study(database, study_uid)
    receive(2, state=late)

    assert before == _study(database, study_uid)


def test_adoption_is_its_own_event(
    database: Database, new_instance: Callable[..., NewInstance], now: datetime
) -> None:
    """A row made at start for a file without one is told apart from one that came over the network."""
    with database.transaction() as session:
        instances.register(
            session, new_instance(peer_ae=None, peer_ip=None), now=now, event="instance.adopted"
        )

    assert _events(database) == ["instance.adopted", "study.receiving"]


def test_known_paths(
    database: Database, receive: Callable[..., bool], new_instance: Callable[..., NewInstance]
) -> None:
    """Every row's path is known."""
    receive(1)
    receive(2, state=InstanceState.OWN)
    with database.read() as session:
        paths = [new_instance(number).path for number in (1, 2, 3)]
        assert set(paths[:2]) == instances.known_paths(session, paths)


@pytest.mark.parametrize("field", ["study_uid", "sop_instance_uid"])
@pytest.mark.parametrize("uid", ["", "../1.2", "1.2\n", "1..2", "1" * 65])
def test_invalid_uids(new_instance: Callable[..., NewInstance], field: str, uid: str) -> None:
    """An instance without valid UIDs cannot even be written down."""
    with pytest.raises(InvalidUID):
        new_instance(**{field: uid})


@pytest.mark.parametrize("state", [InstanceState.MEASURED, InstanceState.NOT_MEASURED])
def test_an_outcome_is_no_beginning(new_instance: Callable[..., NewInstance], state: InstanceState) -> None:
    """An instance begins as RECEIVED, KEPT or OWN."""
    with pytest.raises(ValueError, match="does not begin"):
        new_instance(state=state)


def test_outcomes(
    database: Database, receive: Callable[..., bool], new_instance: Callable[..., NewInstance], now: datetime
) -> None:
    """An analysis says what became of an instance, and a later one may say otherwise."""
    receive(1)
    uid = new_instance(1).sop_instance_uid
    steps: list[tuple[InstanceState, str | None, dict[str, object]]] = [
        (InstanceState.NOT_MEASURED, "no_cycle", {"strips": 1}),
        (InstanceState.NOT_MEASURED, "implausible", {}),
        (InstanceState.MEASURED, None, {"EF_percent": 61.5}),
    ]
    for state, reason, detail in steps:
        with database.transaction() as session:
            instances.set_outcome(session, uid, state, reason=reason, detail=detail, now=now)
        with database.read() as session:
            (found,) = instances.of_study(session, new_instance(1).study_uid)
            (event,) = audit_log.events(session, limit=1)
        assert (state, reason, detail) == (found.state, found.reason, found.detail)
        assert (f"instance.{state.lower()}", uid) == (event.event, event.sop_instance_uid)
        assert reason == event.detail.get("reason")


@pytest.mark.parametrize("state", [InstanceState.KEPT, InstanceState.OWN])
def test_what_is_not_analysed_has_no_outcome(
    database: Database,
    receive: Callable[..., bool],
    new_instance: Callable[..., NewInstance],
    now: datetime,
    state: InstanceState,
) -> None:
    """An SR can neither be measured nor fail to be."""
    receive(1, state=state)
    uid = new_instance(1).sop_instance_uid
    with pytest.raises(IllegalTransition), database.transaction() as session:
        instances.set_outcome(session, uid, InstanceState.MEASURED, reason=None, detail={}, now=now)


def test_outcome_of_an_unknown_instance(database: Database, now: datetime) -> None:
    """What never came has no outcome."""
    with pytest.raises(NotFound), database.transaction() as session:
        instances.set_outcome(session, "1.2", InstanceState.MEASURED, reason=None, detail={}, now=now)
