"""`echonode check` names what this machine lacks before the first study comes."""

import sqlite3
from pathlib import Path

import pytest

from dicom_node.monitoring import preflight
from dicom_node.settings import Settings
from dicom_node.settings.sections import DiskSettings, WebSettings
from dicom_node.study.sandbox.messages import Confined
from store.files import filesystems


def settings(folder: Path, **sections: object) -> Settings:
    """Return settings for a data folder."""
    return Settings(node={"data_dir": folder}, **sections)  # type: ignore[arg-type]  # parsed by pydantic


def test_a_disk_below_its_thresholds(tmp_path: Path) -> None:
    """With less free than either threshold the check fails and says what will be refused."""
    most = 1_048_576
    soft = preflight.disk(settings(tmp_path, disk=DiskSettings(soft_free_mb=most, hard_free_mb=1)))
    hard = preflight.disk(settings(tmp_path, disk=DiskSettings(soft_free_mb=most, hard_free_mb=most)))

    assert (soft.verdict, hard.verdict) == ("failed", "failed")
    assert "associations are rejected" in soft.detail
    assert "objects are refused" in hard.detail


def test_a_password_file_that_others_may_read(tmp_path: Path) -> None:
    """It fails before the port would be opened; on this machine alone none is needed."""
    path = tmp_path / "password"
    path.write_text("x")
    path.chmod(0o644)
    web = WebSettings(host="192.0.2.1", user="u", password_file=str(path))

    assert preflight.web(settings(tmp_path, web=web)).verdict == "failed"
    path.chmod(0o600)
    assert "with password" in preflight.web(settings(tmp_path, web=web)).detail
    assert preflight.web(settings(tmp_path)).verdict == "ok"


def test_a_database_that_cannot_be_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Damage and a network file system are found, each with its sentence."""
    assert preflight.database(settings(tmp_path)).verdict == "ok"
    path = tmp_path / "echonode.db"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2 // 4096 * 4096)
        file.write(bytes(4096) + b"x" * 4096)
    found = preflight.database(settings(tmp_path))
    assert (found.verdict, "is damaged" in found.detail) == ("failed", True)

    mountinfo = tmp_path / "mountinfo"
    mountinfo.write_text(f"1 1 0:1 / {tmp_path} rw - nfs4 server:/x rw\n")
    monkeypatch.setattr(filesystems, "MOUNTINFO", mountinfo)
    found = preflight.database(settings(tmp_path))
    assert (found.verdict, "network file system" in found.detail) == ("failed", True)


def test_what_an_analysis_can_do_is_found_out_by_trying(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a machine that holds every promise the line says so; else it names what is open, and may fail."""
    tried = preflight.confinement_here(settings(tmp_path))
    found = preflight.sandbox(settings(tmp_path))
    assert found.verdict == ("warning" if tried.open else "ok")
    assert "open files" in found.detail

    weak = Confined(open=("reach the network",), by=("seccomp",))
    monkeypatch.setattr(preflight, "confinement_here", lambda _: weak)
    found = preflight.sandbox(settings(tmp_path))
    assert (found.verdict, found.detail) == ("warning", "an analysis can reach the network (by seccomp)")
