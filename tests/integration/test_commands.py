"""What commands say and with which code they end, called in the test's own process."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from dicom_node.cli.app import main


@dataclass(frozen=True, kw_only=True)
class Run:
    """How a command ended."""

    exit_code: int
    stdout: str
    stderr: str


Command = Callable[..., Run]


@pytest.fixture
def echonode(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Return the command `echonode`."""

    def call(*words: str | Path) -> Run:
        monkeypatch.setattr(sys, "argv", ["echonode", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        code = ended.value.code
        return Run(exit_code=code if isinstance(code, int) else 0, stdout=said.out, stderr=said.err)

    return call


@pytest.mark.parametrize("words", [["measure"], ["measure", "/no/such/file"], ["nonsense"], ["phantom"]])
def test_wrong_usage_is_exit_two(echonode: Command, words: list[str]) -> None:
    """Missing or unknown words are exit 2."""
    assert echonode(*words).exit_code == 2


def test_bad_settings_are_exit_two_with_one_line_per_mistake(echonode: Command, tmp_path: Path) -> None:
    """Each mistake in the settings file is one line: key, value, what is allowed."""
    config = tmp_path / "bad.toml"
    config.write_text('[node]\nae_title = "THIS TITLE IS TOO LONG"\nport = 99999\ncolour = "blue"\n')

    run = echonode("check", "--config", config)

    assert run.exit_code == 2
    lines = run.stderr.strip().splitlines()
    assert len(lines) == 3
    assert any("node.ae_title" in line and "16" in line for line in lines)
    assert any("node.port" in line and "99999" in line for line in lines)
    assert any("node.colour" in line for line in lines)


def test_check_says_what_is_missing(echonode: Command, tmp_path: Path) -> None:
    """`check` is exit 1 and names the destination that does not answer."""
    config = tmp_path / "node.toml"
    config.write_text(
        f'[node]\ndata_dir = "{tmp_path / "data"}"\n'
        '[[destinations]]\nname = "pacs"\nae_title = "PACS"\nhost = "127.0.0.1"\nport = 1\n'
    )

    run = echonode("check", "--config", config)

    assert run.exit_code == 1
    assert "destination pacs" in run.stdout
    assert "failed" in run.stdout
    assert "database" in run.stdout


@pytest.mark.parametrize("words", [["audit"], ["audit", "verify"], ["replay", "1.2.3"], ["resend", "--dead"]])
def test_a_missing_database_is_one_sentence_and_exit_one(
    echonode: Command, tmp_path: Path, words: list[str]
) -> None:
    """Asking a node that has never run is answered, without a traceback."""
    config = tmp_path / "node.toml"
    config.write_text(f'[node]\ndata_dir = "{tmp_path / "data"}"\n')

    run = echonode(*words, "--config", config)

    assert run.exit_code == 1
    assert len(run.stderr.strip().splitlines()) == 1
    assert "Traceback" not in run.stderr
