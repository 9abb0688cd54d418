"""The tables of moves, written out once more by hand."""

from itertools import product
from typing import Any

import pytest

from store.errors import IllegalMove
from store.states import LEGAL_MOVES, DeliveryState, InstanceState, JobState, StudyState, check_move

LEGAL = {
    InstanceState: """RECEIVED>MEASURED RECEIVED>NOT_MEASURED MEASURED>MEASURED MEASURED>NOT_MEASURED
        NOT_MEASURED>MEASURED NOT_MEASURED>NOT_MEASURED""",
    StudyState: """RECEIVING>READY READY>PROCESSING READY>RECEIVING PROCESSING>DONE PROCESSING>FAILED
        PROCESSING>READY PROCESSING>RECEIVING DONE>READY DONE>RECEIVING FAILED>READY FAILED>RECEIVING""",
    JobState: "QUEUED>RUNNING RUNNING>DONE RUNNING>DEAD RUNNING>QUEUED",
    DeliveryState: "PENDING>DELIVERED PENDING>DEAD DEAD>PENDING",
}
MOVES = [
    (old, new, f"{old}>{new}" in table.split())
    for states, table in LEGAL.items()
    for old, new in product(states, states)
]


@pytest.mark.parametrize(("old", "new", "legal"), MOVES)
def test_moves(old: Any, new: Any, legal: bool) -> None:
    """Every legal move is allowed and every other one refused."""
    if legal:
        check_move(old, new)
    else:
        with pytest.raises(IllegalMove, match=f"{old} -> {new}"):
            check_move(old, new)


def test_every_state_has_its_moves() -> None:
    """No state is missing from the table of its enum."""
    assert {states: set(states) for states in LEGAL} == {k: set(v) for k, v in LEGAL_MOVES.items()}
