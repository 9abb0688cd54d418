"""`echonode resend`: what was parked is sent again."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.node import NodeHarness
from support.pacs import Pacs
from typer.testing import CliRunner

from dicom_node.cli.app import app


@pytest.mark.parametrize(("words", "again"), [(["--dead"], 2), (["1.2.3.2"], 1), (["9.9"], 0)])
def test_resend(tmp_path: Path, words: list[str], again: int) -> None:
    """The parked deliveries of a study, or all, go out as the same bytes once the cause is put right."""
    with Pacs(answer=lambda _: 0xA900) as pacs:
        node = NodeHarness(tmp_path, pacs.destination)
        made = [node.add_result(1, study=1), node.add_result(2, study=2)]
        node.deliver()
        assert node.deliveries() == {"DEAD": 2}

        run = CliRunner().invoke(app, ["resend", *words, "--config", str(node.config)])
        pacs.answer = lambda _: 0x0000
        node.now = datetime.now(UTC)
        node.deliver()

    assert (run.exit_code, f"{again} to be sent again" in run.output) == (0, True)
    assert pacs.uids == made[2 - again :]
    assert len(node.events("delivery.requeued")) == again


@pytest.mark.parametrize("words", [[], ["1.2.3", "--dead"]])
def test_resend_wants_one_wish(tmp_path: Path, words: list[str]) -> None:
    """Neither nothing nor both: a slip must not send everything."""
    config = tmp_path / "node.toml"
    config.write_text(f'[node]\ndata_dir = "{tmp_path}"\n')

    assert CliRunner().invoke(app, ["resend", *words, "--config", str(config)]).exit_code == 2
