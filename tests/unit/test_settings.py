"""Settings: defaults, the file, the environment, and one sentence per mistake."""

from pathlib import Path

import pytest

from dicom_node.errors import SettingsError
from dicom_node.settings import Settings


def load(tmp_path: Path, text: str) -> Settings:
    """Load a settings file with this text."""
    path = tmp_path / "node.toml"
    path.write_text(text, encoding="utf-8")
    return Settings.load(path)


def mistakes(tmp_path: Path, text: str) -> list[str]:
    """Return the lines of the error that this text gives."""
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, text)
    return str(caught.value).splitlines()


def test_every_key_has_a_default() -> None:
    """Without a file the node is ECHONODE on port 11112 and the database lies in the data folder."""
    settings = Settings.load(None)

    assert (settings.node.ae_title, settings.node.port) == ("ECHONODE", 11112)
    assert settings.destinations == ()
    assert settings.store_url == "sqlite:////var/lib/echonode/echonode.db"


def test_the_documented_file_loads(tmp_path: Path) -> None:
    """Every table and key of the documented file is known."""
    settings = load(
        tmp_path,
        f"""
        [node]
        ae_title = "ECHO1"
        data_dir = "{tmp_path}"
        receivers = 2
        [[peers]]
        ae_title = "VIVID_E95"
        host = "192.0.2.0/24"
        [[destinations]]
        name = "pacs"
        ae_title = "ORTHANC"
        host = "127.0.0.1"
        port = 4242
        [study]
        quiet_seconds = 5
        [inference]
        device = "cuda:1"
        """,
    )

    assert settings.node.receivers == 2
    assert settings.peers[0].host == "192.0.2.0/24"
    assert settings.destinations[0].timeout_s == 30.0
    assert settings.store_url == f"sqlite:///{tmp_path}/echonode.db"


def test_environment_overrides_one_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ECHONODE_NODE__PORT replaces the port and leaves its neighbours alone."""
    monkeypatch.setenv("ECHONODE_NODE__PORT", "104")

    settings = load(tmp_path, '[node]\nport = 11113\nae_title = "ECHO1"\n')

    assert (settings.node.port, settings.node.ae_title) == (104, "ECHO1")


@pytest.mark.parametrize("name", ["ECHONODE_NOED__PORT", "ECHONODE_PORT", "ECHONODE_NODE_PORT"])
def test_misspelt_variables_are_mistakes(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable with our prefix that sets nothing is named, not ignored."""
    monkeypatch.setenv(name, "1")

    assert [line.split(":")[0] for line in mistakes(tmp_path, "")] == [name]


@pytest.mark.parametrize(
    ("text", "key", "value", "allowed"),
    [
        ('[node]\nae_title = "SEVENTEEN_LETTERS"', "node.ae_title", "SEVENTEEN_LETTERS", "1 to 16"),
        ('[node]\nae_title = "  "', "node.ae_title", "  ", "1 to 16"),
        ('[node]\nae_title = "A\\\\B"', "node.ae_title", "A\\\\B", "no backslash"),
        ("[node]\nport = 70000", "node.port", "70000", "65535"),
        ("[node]\nport = -1", "node.port", "-1", "greater than or equal to 0"),
        ("[node]\nmax_pdu = 0", "node.max_pdu", "0", "4096"),
        ("[node]\nprot = 1", "node.prot", "1", "ae_title, host, port"),
        ("[wbe]\nport = 1", "wbe", "port", "node, peers"),
        ("[study]\nquiet_seconds = nan", "study.quiet_seconds", "nan", "finite"),
        ('[inference]\ndevice = "gpu"', "inference.device", "gpu", "cuda:N"),
        ('[store]\nurl = "mysql://x"', "store.url", "mysql://x", "sqlite:///"),
        ('[[peers]]\nae_title = "A"\nhost = "a b"', "peers[0].host", "a b", "IP address"),
        ('[[peers]]\nae_title = "A"', "peers[0].host", "", "missing"),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, text: str, key: str, value: str, allowed: str) -> None:
    """Each mistake gives one line that holds the key, the value and what is allowed."""
    (line,) = mistakes(tmp_path, text)

    assert line.startswith(key)
    assert value in line
    assert allowed in line


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    """Three mistakes give three lines."""
    text = '[node]\nport = 70000\nae_title = ""\n[web]\nport = "x"'

    assert [line.split(" ")[0] for line in mistakes(tmp_path, text)] == [
        "node.ae_title",
        "node.port",
        "web.port",
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[study]\nquiet_seconds = 60\nceiling_seconds = 30", "ceiling_seconds must not be less"),
        ("[delivery]\nfirst_retry_s = 60\nmax_retry_s = 30", "max_retry_s must not be less"),
        ("[node]\nport = 0\nreceivers = 2", "port 0"),
        (
            2 * '[[destinations]]\nname = "pacs"\nae_title = "A"\nhost = "h"\nport = 104\n',
            "used twice: pacs",
        ),
    ],
)
def test_keys_that_contradict_each_other(tmp_path: Path, text: str, words: str) -> None:
    """Values that are fine alone and wrong together are a mistake."""
    (line,) = mistakes(tmp_path, text)

    assert words in line


def test_data_dir_must_not_be_a_file(tmp_path: Path) -> None:
    """A data folder that is a file is refused before anything is written."""
    file = tmp_path / "file"
    file.touch()

    (line,) = mistakes(tmp_path, f'[node]\ndata_dir = "{file}"')

    assert "must be a folder" in line


@pytest.mark.parametrize("text", ["[node", "\xff"])
def test_a_file_that_is_no_toml(tmp_path: Path, text: str) -> None:
    """A file that cannot be parsed is named."""
    path = tmp_path / "node.toml"
    path.write_bytes(text.encode("latin-1"))

    with pytest.raises(SettingsError, match=r"node\.toml: not a TOML file"):
        Settings.load(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """A missing file is named."""
    with pytest.raises(SettingsError, match=r"absent\.toml: cannot be read"):
        Settings.load(tmp_path / "absent.toml")
