"""SQLite is not trusted to a file system on the other end of a wire."""

from pathlib import Path

import pytest

from store.db.database import Database
from store.errors import StoreError
from store.files import filesystems

LINE = "36 35 98:0 / {point} rw,noatime shared:1 - {kind} {source} rw"


def table(**mounted: str) -> str:
    """Return the text of /proc/self/mountinfo: type by mount point, `_` for a slash."""
    lines = [LINE.format(point="/", kind="ext4", source="/dev/sda")]
    lines += [
        LINE.format(point=point.replace("_", "/"), kind=kind, source="x") for point, kind in mounted.items()
    ]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    "kind", ["nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "fuse", "9p", "ceph", "fuse.glusterfs"]
)
def test_network_types(kind: str) -> None:
    """Each of these is named, for a path anywhere below its mount point."""
    assert filesystems.network_type(Path("/srv/x/y"), mountinfo=table(_srv=kind)) == kind


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "zfs", "tmpfs", "overlay", "fuseblk", "ntfs3"])
def test_local_types(kind: str) -> None:
    """A disk of this machine is welcome."""
    assert filesystems.network_type(Path("/srv/x"), mountinfo=table(_srv=kind)) is None


def test_the_nearest_mount_point_counts() -> None:
    """A local disk below a network folder is local, a folder with a similar name is another one."""
    text = table(_srv="nfs4", _srv_local="ext4")

    assert filesystems.network_type(Path("/srv/local/x"), mountinfo=text) is None
    assert filesystems.network_type(Path("/srv2/x"), mountinfo=text) is None
    assert filesystems.network_type(Path("/srv/other"), mountinfo=text) == "nfs4"


def test_a_mount_over_another_hides_it() -> None:
    """Of two mounts at one place the later one counts; blanks in names are octal there."""
    over = "\n".join(LINE.format(point="/a\\040b", kind=kind, source="x") for kind in ("nfs", "ext4"))

    assert filesystems.network_type(Path("/a b/c"), mountinfo=over) is None


def test_this_machine_can_be_read(tmp_path: Path) -> None:
    """The real table is understood."""
    assert filesystems.network_type(tmp_path) is None


def test_the_database_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`upgrade` says in a sentence why it will not start there, and creates nothing."""
    mountinfo = tmp_path / "mountinfo"
    mountinfo.write_text(LINE.format(point=tmp_path, kind="nfs4", source="server:/x") + "\n")
    monkeypatch.setattr(filesystems, "MOUNTINFO", mountinfo)
    database = Database(f"sqlite:///{tmp_path}/echonode.db")
    with pytest.raises(StoreError, match=r"network file system \(nfs4\).*local disk"):
        database.upgrade()
    database.close()

    assert [path.name for path in tmp_path.iterdir()] == ["mountinfo"]
