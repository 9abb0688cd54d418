"""The audit log of a node that runs: checkpoints, segments, and the commands of the auditor."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.node import PATIENCE_S, NodeHarness, process_node, wait_for

from store.audit import audit_log

OLD_STUDY = "1.2.3.4"


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NodeHarness]:
    """Return a node that keeps rows for a week, with rows of last month, not started."""
    with closing(process_node(tmp_path)) as made:
        with made.config.open("a") as config:
            config.write("\n[audit]\nkeep_days = 7\n")
        old = datetime.now(UTC) - timedelta(days=30)
        for minute in range(3):
            with made.database.transaction() as session:
                at = old + timedelta(minutes=minute)
                audit_log.record(session, "study.receiving", at=at, study_uid=OLD_STUDY)
        yield made


def test_an_auditor_at_work(node: NodeHarness) -> None:
    """Old rows are sealed, checkpoints come at start and stop; all is found and sound until an edit."""
    worker = node.start_role("work")
    wait_for(lambda: node.events("audit.sealed"), "old rows are sealed")
    wait_for(lambda: node.events("audit.checkpoint"), "a checkpoint is written")
    worker.terminate()
    assert worker.wait(timeout=PATIENCE_S) == 0

    sound = node.run_command("audit", "verify")
    assert (sound.returncode, sound.stdout) == (0, "the audit chain is sound, compared with 2 checkpoints\n")
    assert node.events("study.receiving") == []
    found = json.loads(node.run_command("audit", "--json", "--study", OLD_STUDY).stdout)
    assert [row["id"] for row in found] == [1, 2, 3]
    assert node.events("audit.read")[0].detail["found"] == 3

    with closing(sqlite3.connect(node.data_dir / "echonode.db", isolation_level=None)) as connection:
        connection.execute("DROP TRIGGER audit_events_no_update")
        connection.execute("UPDATE audit_events SET outcome = 'failure' WHERE id = 4")
    broken = node.run_command("audit", "verify")
    assert broken.returncode == 1
    assert "row 4 was edited: its content does not match its hash\n" in broken.stdout
    assert "the trigger audit_events_no_update is missing" in broken.stdout


def test_a_checkpoint_by_hand(node: NodeHarness) -> None:
    """The command prints the line that it appends."""
    done = node.run_command("audit", "checkpoint")

    assert done.returncode == 0
    assert done.stdout == (node.data_dir / "checkpoints.jsonl").read_text()
    assert json.loads(done.stdout)["id"] == 3
