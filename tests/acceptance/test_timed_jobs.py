"""Timed jobs of a real worker process."""

import json
import threading
from pathlib import Path
from typing import Any

from support import builders
from support.node import PATIENCE_S, process_node, wait_for
from support.pacs import Pacs


def test_sigterm_in_the_middle_of_a_job(tmp_path: Path, pacs: Pacs) -> None:
    """A delivery that runs is seen through: its row says what the PACS has, and the worker ends with 0."""
    entered, may_answer = threading.Event(), threading.Event()

    def answer(_: Any) -> int:
        entered.set()
        may_answer.wait(PATIENCE_S)
        return 0x0000

    pacs.answer = answer
    node = process_node(tmp_path, [pacs.destination])
    try:
        node.receive(builders.image_2d())
        worker = node.start_role("work")
        wait_for(entered.is_set, "the PACS is asked to store the first object")
        worker.terminate()
        may_answer.set()

        assert worker.wait(timeout=PATIENCE_S) == 0
        assert node.delivered() == len(pacs.uids) >= 1
        assert [each.detail["role"] for each in node.events("node.stopped")] == ["worker"]
        listed = json.loads(node.run_command("schedule", "--json").stdout)["jobs"]
        delivery = next(each for each in listed if each["name"] == f"deliver to {pacs.name}")
        assert (delivery["last_result"], delivery["next_run_at"]) == ("success", None)
    finally:
        may_answer.set()
        node.close()
