"""Files: durable, never overwritten, never outside the data folder."""

import io
import os
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import ExplicitVRLittleEndian, JPEGBaseline8Bit

from store.errors import InvalidUID, StoreError, StoreUnavailable
from store.files.file_store import FileStore
from store.files.layout import spread
from store.files.placing import KeptFile
from store.files.uids import check_uid

STUDY, SOP = "1.2.826.1", "1.2.826.1.7"
HOSTILE = [
    "",
    ".",
    "..",
    "1.",
    ".1",
    "1..2",
    "../../etc/passwd",
    "/etc/passwd",
    "1.2/3",
    "1.2\\3",
    "1.2\n",
    "1.2\0",
    " 1.2",
    "1.2 ",
    "1.2.x",
    "-1",
    "1" * 65,
    "1." * 5000 + "1",
    "١.٢",  # noqa: RUF001 Arabic digits are digits for Python, not for DICOM
    "1.2.dcm",
]


def dicom(comment: str = "a", *, syntax: str = ExplicitVRLittleEndian, version: str = "X") -> bytes:
    """Return a small DICOM file; `version` only changes the file meta information."""
    ds = Dataset()
    ds.ImageComments = comment
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.6.1"
    ds.file_meta.MediaStorageSOPInstanceUID = SOP
    ds.file_meta.TransferSyntaxUID = syntax
    ds.file_meta.ImplementationVersionName = version
    buffer = io.BytesIO()
    dcmwrite(buffer, ds, enforce_file_format=True)
    return buffer.getvalue()


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    """Return an empty file store."""
    return FileStore(tmp_path / "data")


@pytest.fixture
def arrive(store: FileStore) -> Callable[..., Path]:
    """Return a function that puts bytes into incoming/ as the receiver does."""

    def write(data: bytes, name: str = "arriving") -> Path:
        path = store.incoming / name
        path.write_bytes(data)
        return path

    return write


def keep(store: FileStore, received: Path, **uids: str) -> KeptFile:
    """Keep a file as the receiver does once its row is written."""
    kept = store.keep_instance(received, **uids)
    store.discard(received, kept)
    return kept


def _content(store: FileStore) -> dict[str, bytes]:
    root = store.absolute(".")
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


@pytest.mark.parametrize("uid", ["1", "1.2", "0.0", "1.2.840.10008.1.2", "1" * 64, "01.002"])
def test_uids(uid: str) -> None:
    """Digits between dots, up to 64 characters, pass (leading zeros do occur in the field)."""
    assert uid == check_uid(uid)


@pytest.mark.parametrize("uid", HOSTILE)
@pytest.mark.parametrize("field", ["study_uid", "sop_instance_uid"])
def test_hostile_uids(store: FileStore, arrive: Callable[..., Path], field: str, uid: str) -> None:
    """Anything else raises InvalidUID before the disk is touched."""
    received = arrive(dicom())
    uids = {"study_uid": STUDY, "sop_instance_uid": SOP, field: uid}
    with pytest.raises(InvalidUID) as raised:
        store.keep_instance(received, **uids)
    with pytest.raises(InvalidUID):
        store.keep_result(dicom(), **uids)

    assert {"incoming/arriving": dicom()} == _content(store)
    assert len(str(raised.value)) < 300


def test_a_new_file(store: FileStore, arrive: Callable[..., Path]) -> None:
    """The bytes are kept as received under their UIDs, and nothing stays in incoming/."""
    data = dicom()
    kept = keep(store, arrive(data), study_uid=STUDY, sop_instance_uid=SOP)

    assert (f"instances/{spread(STUDY)}/{STUDY}/{SOP}.dcm", len(data), "new") == (
        kept.path,
        kept.size_bytes,
        kept.outcome,
    )
    assert {kept.path: data} == _content(store)
    assert data == store.absolute(kept.path).read_bytes()


@pytest.mark.parametrize("version", ["X", "A LATER SENDER"])
def test_a_duplicate(store: FileStore, arrive: Callable[..., Path], version: str) -> None:
    """The same data set again, even with another file meta, changes nothing."""
    first = keep(store, arrive(dicom()), study_uid=STUDY, sop_instance_uid=SOP)
    again = keep(store, arrive(dicom(version=version)), study_uid=STUDY, sop_instance_uid=SOP)

    assert ("duplicate", first.path, first.sha256) == (again.outcome, again.path, again.sha256)
    assert {first.path: dicom()} == _content(store)


@pytest.mark.parametrize("other", [dicom("b"), dicom(syntax=JPEGBaseline8Bit)], ids=["bytes", "syntax"])
def test_a_conflict(store: FileStore, arrive: Callable[..., Path], other: bytes) -> None:
    """Other content of the same UID is kept aside, once, and the first stays as it is."""
    first = keep(store, arrive(dicom()), study_uid=STUDY, sop_instance_uid=SOP)
    for _ in range(2):
        kept = keep(store, arrive(other), study_uid=STUDY, sop_instance_uid=SOP)
        assert (f"conflicts/{spread(SOP)}/{SOP}.{kept.sha256[:16]}.dcm", "conflict") == (
            kept.path,
            kept.outcome,
        )

    assert {first.path: dicom(), kept.path: other} == _content(store)


def test_the_same_instance_over_two_associations(store: FileStore, arrive: Callable[..., Path]) -> None:
    """Of many equal files at once exactly one is new."""
    paths = [arrive(dicom(), f"arriving{number}") for number in range(16)]

    def keep_one(path: Path) -> str:
        return keep(store, path, study_uid=STUDY, sop_instance_uid=SOP).outcome

    with ThreadPoolExecutor(8) as pool:
        outcomes = sorted(pool.map(keep_one, paths))

    assert outcomes == ["duplicate"] * 15 + ["new"]
    assert {f"instances/{spread(STUDY)}/{STUDY}/{SOP}.dcm": dicom()} == _content(store)


@pytest.mark.parametrize("data", [b"", b"not DICOM", b"\0" * 200, dicom()[:140], dicom()[:150]])
def test_not_dicom(store: FileStore, arrive: Callable[..., Path], data: bytes) -> None:
    """A file without file meta information is refused and left to the caller."""
    with pytest.raises(StoreError, match="no DICOM file"):
        keep(store, arrive(data), study_uid=STUDY, sop_instance_uid=SOP)

    assert {"incoming/arriving": data} == _content(store)


def test_durable_before_it_returns(
    store: FileStore, arrive: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is synced before it gets its name; its folder and the folder above after."""
    trace: list[str] = []
    real_fsync, real_link = os.fsync, os.link
    root = store.absolute(".")

    def fsync(descriptor: int) -> None:
        trace.append(f"fsync {Path(f'/proc/self/fd/{descriptor}').readlink().relative_to(root)}")
        real_fsync(descriptor)

    def link(source: Path, target: Path) -> None:
        trace.append("link")
        real_link(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "link", link)
    folder = f"instances/{spread(STUDY)}/{STUDY}"
    keep(store, arrive(dicom()), study_uid=STUDY, sop_instance_uid=SOP)
    above = ["fsync instances", f"fsync instances/{spread(STUDY)}"]
    assert ["fsync incoming/arriving", *above, "link", f"fsync {folder}"] == trace
    trace.clear()
    keep(store, arrive(dicom()), study_uid=STUDY, sop_instance_uid=SOP)
    assert ["fsync incoming/arriving", "link", f"fsync {folder}"] == trace
    trace.clear()
    keep(store, arrive(dicom("b")), study_uid=STUDY, sop_instance_uid=SOP)
    assert trace[-2:] == ["link", f"fsync conflicts/{spread(SOP)}"]


def test_a_folder_removed_by_hand(store: FileStore, arrive: Callable[..., Path]) -> None:
    """The folder of a study is made again when somebody has removed it."""
    first = keep(store, arrive(dicom()), study_uid=STUDY, sop_instance_uid=SOP)
    store.absolute(first.path).unlink()
    store.absolute(first.path).parent.rmdir()

    assert keep(store, arrive(dicom()), study_uid=STUDY, sop_instance_uid=SOP).outcome == "new"


def test_results(store: FileStore) -> None:
    """A result is kept once; the same bytes are a duplicate, other bytes give way to what is on disk."""
    data = dicom()
    first = store.keep_result(data, study_uid=STUDY, sop_instance_uid=SOP)
    again = store.keep_result(data, study_uid=STUDY, sop_instance_uid=SOP)
    other = store.keep_result(dicom("bb"), study_uid=STUDY, sop_instance_uid=SOP)

    assert other == replace(first, outcome="adopted")
    assert (f"results/{spread(STUDY)}/{STUDY}/{SOP}.dcm", len(data), "new") == (
        first.path,
        first.size_bytes,
        first.outcome,
    )
    assert again.outcome == "duplicate"
    assert {first.path: data} == _content(store)


def test_a_result_after_a_crash(store: FileStore) -> None:
    """What a killed worker left half written does not stand in the way of the next."""
    folder = store.absolute(f"results/{spread(STUDY)}/{STUDY}")
    folder.mkdir(parents=True)
    (folder / f"{SOP}.part").write_bytes(dicom()[:50])

    assert store.keep_result(dicom(), study_uid=STUDY, sop_instance_uid=SOP).outcome == "new"
    assert {f"results/{spread(STUDY)}/{STUDY}/{SOP}.dcm": dicom()} == _content(store)


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "instances/../../x"])
def test_absolute_stays_inside(store: FileStore, path: str) -> None:
    """A path that leads out of the data folder is refused."""
    with pytest.raises(StoreError, match="outside"):
        store.absolute(path)


def test_clear_incoming(store: FileStore, arrive: Callable[..., Path]) -> None:
    """Orphans are removed and counted; those a sibling may still be writing can be spared."""
    for name in ("a", "b"):
        arrive(b"half", name)
    os.utime(store.incoming / "a", (0, 0))

    assert store.clear_incoming(now=datetime.now(UTC), untouched_s=3600) == 1
    assert store.clear_incoming(now=datetime.now(UTC)) == 1
    assert store.clear_incoming(now=datetime.now(UTC)) == 0


def test_instance_paths(store: FileStore, arrive: Callable[..., Path]) -> None:
    """All kept instances are listed, and nothing else."""
    kept = [
        keep(store, arrive(dicom()), study_uid=study, sop_instance_uid=sop).path
        for study, sop in ((STUDY, SOP), (STUDY, "1.2.9"), ("1.5", "1.5.1"))
    ]
    keep(store, arrive(dicom("b")), study_uid=STUDY, sop_instance_uid=SOP)
    store.keep_result(dicom(), study_uid=STUDY, sop_instance_uid="1.9")
    arrive(b"half")

    assert sorted(kept) == sorted(store.instance_paths())


def test_reopened(store: FileStore, arrive: Callable[..., Path], tmp_path: Path) -> None:
    """Another process finds what this one kept."""
    kept = keep(store, arrive(dicom()), study_uid=STUDY, sop_instance_uid=SOP)

    assert [kept.path] == list(FileStore(tmp_path / "data").instance_paths())


def test_a_row_that_could_not_be_written(store: FileStore, arrive: Callable[..., Path]) -> None:
    """A kept file stays linked in incoming/ until its row is written, and a start finds it there."""
    received = arrive(dicom())
    kept = store.keep_instance(received, study_uid=STUDY, sop_instance_uid=SOP)
    assert store.linked_leftovers() == [received]
    assert store.clear_incoming(now=datetime.now(UTC)) == 0
    for _ in range(2):
        store.leave_for_next_start(kept)
    received.unlink()
    (left,) = store.linked_leftovers()
    assert left.samefile(store.absolute(kept.path))

    store.discard(received, kept)

    assert {kept.path: dicom()} == _content(store)


def test_files_of_an_earlier_version(store: FileStore, arrive: Callable[..., Path]) -> None:
    """A file in the former place is found: the same again is a duplicate, another a conflict."""
    for kind in ("instances", "results"):
        store.absolute(f"{kind}/{STUDY}").mkdir()
        store.absolute(f"{kind}/{STUDY}/{SOP}.dcm").write_bytes(dicom())
    again = keep(store, arrive(dicom()), study_uid=STUDY, sop_instance_uid=SOP)
    other = keep(store, arrive(dicom("b")), study_uid=STUDY, sop_instance_uid=SOP)
    late = keep(store, arrive(dicom()), study_uid=STUDY, sop_instance_uid="1.2.9")
    result = store.keep_result(dicom(), study_uid=STUDY, sop_instance_uid=SOP)

    assert (again.path, again.outcome) == (f"instances/{STUDY}/{SOP}.dcm", "duplicate")
    assert other.outcome == "conflict"
    assert late.path == f"instances/{spread(STUDY)}/{STUDY}/1.2.9.dcm"
    assert (result.path, result.outcome) == (f"results/{STUDY}/{SOP}.dcm", "duplicate")
    assert set(store.instance_paths()) == {again.path, late.path}
    assert store.remove([again.path, late.path, other.path, result.path]) > 0
    assert _content(store) == {}


def test_a_million_studies_are_spread() -> None:
    """No folder of studies has more than a few hundred entries, and there are no more than 4096 of them."""
    folders = Counter(spread(f"1.2.826.0.1.3680043.{number}") for number in range(100_000))

    assert len(folders) == 4096
    assert max(folders.values()) * 10 < 1000


def test_memory_of_folders_is_bounded(
    store: FileStore, arrive: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of many studies only the last folders are remembered."""
    monkeypatch.setattr("store.files.placing.REMEMBERED_FOLDERS", 3)
    for number in range(10):
        keep(store, arrive(dicom()), study_uid=f"1.2.{number}", sop_instance_uid=f"1.2.{number}.1")

    assert len(store._placing._durable) == 3  # noqa: SLF001 - what must not grow


def test_no_folder(tmp_path: Path) -> None:
    """A data folder that cannot be made is reported as such."""
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreUnavailable, match="file"):
        FileStore(tmp_path / "file" / "data")
