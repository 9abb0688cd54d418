"""What the receiver answers to bad input and bad luck: a status, an audit row, and nothing left behind."""

import os
import resource
import socket
import sqlite3
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom.config import IGNORE
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian, UltrasoundImageStorage
from pynetdicom.presentation import build_context
from support import builders, unordered
from support.node import receiver, receiver_process, settings_for, wait_for
from support.sender import (
    association,
    contexts_of,
    data_set_bytes,
    encoded,
    fragments,
    paused,
    push,
    store_raw,
)

from store.db.database import Database

STUDY = builders.STUDY_UID
US = UltrasoundImageStorage


def image(number: int = 1, **attributes: object) -> Dataset:
    """Return a small ultrasound image."""
    return builders.us_image(builders.texture(), InstanceNumber=number, **attributes)


def big_image(number: int = 1, *, rows: int = 480) -> Dataset:
    """Return an ultrasound image of 0.9 MB, or more with more rows."""
    pixels = np.random.default_rng(number).integers(0, 256, (rows, 640, 3), dtype=np.uint8)
    return builders.us_image(pixels, InstanceNumber=number)


@pytest.mark.parametrize(
    "uid",
    [
        None,
        "",
        "../../../../tmp/echonode-was-here",
        "/etc/passwd",
        "1.2/../3",
        "1.2..3",
        "1.2\\3.4",
        "1.2 ",
        "1.2\n",
        "1." + 63 * "2",
        500 * "1.2",
        "nonsense",
    ],
)
def test_hostile_instance_uid_in_the_request(uid: str | None, tmp_path: Path) -> None:
    """A SOP Instance UID that is none gets 0xA900, an audit row, and no file; the next image is stored."""
    ds = image()
    with receiver(tmp_path / "node") as node:
        with association(node.port, *contexts_of(ds)) as opened:
            hostile = store_raw(opened, encoded(ds), sop_class=US, sop_instance=uid)
            next_one = opened.send_c_store(ds).Status

        assert (hostile, next_one) == (0xA900, 0x0000)
        (refused,) = node.events("instance.refused")
        assert (refused.outcome, refused.detail["status"]) == ("refused", "0xA900")
        assert len(node.stored_files()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["node"]


@pytest.mark.parametrize("uid", [None, "", "../../x", "1.2.3", "1.2.840.10008.1.1", 40 * "1.2"])
def test_hostile_class_uid_in_the_request(uid: str | None, tmp_path: Path) -> None:
    """A SOP Class UID that is none, or not the one of its context, gets 0xA900; the next image is stored."""
    ds = image()
    with receiver(tmp_path) as node:
        with association(node.port, *contexts_of(ds), build_context("1.2.840.10008.1.1")) as opened:
            hostile = store_raw(opened, encoded(ds), sop_class=uid, sop_instance=ds.SOPInstanceUID)
            next_one = opened.send_c_store(ds).Status

        assert (hostile, next_one) == (0xA900, 0x0000)
        assert len(node.events("instance.refused")) == 1


@pytest.mark.parametrize(
    "keyword", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID"]
)
@pytest.mark.parametrize("value", [None, "", "../../x", "1." + 70 * "1", "1.2\\3.4"])
def test_hostile_uids_in_the_data_set(keyword: str, value: str | None, tmp_path: Path) -> None:
    """UIDs inside the data set are no safer than those of the request: 0xA900 and no file."""
    ds = image()
    uid = ds.SOPInstanceUID
    bad = Dataset(ds)
    delattr(bad, keyword)
    if value is not None:
        bad[keyword] = DataElement(keyword, "UI", value, validation_mode=IGNORE)
    with receiver(tmp_path) as node:
        with association(node.port, build_context(US, ImplicitVRLittleEndian)) as opened:
            data = encoded(bad, ImplicitVRLittleEndian)
            assert store_raw(opened, data, sop_class=US, sop_instance=uid) == 0xA900

        (refused,) = node.events("instance.refused")
        assert refused.sop_instance_uid == uid
        assert node.stored_files() == []


@pytest.mark.parametrize("order", unordered.ORDERS)
def test_elements_out_of_order_are_kept_as_they_are(order: str, tmp_path: Path) -> None:
    """Elements in any order, with padding behind them, get success and are stored byte for byte."""
    ds = image()
    data = unordered.encoded(ds, unordered.ORDERS[order]) + unordered.trailing_padding(6)
    with receiver(tmp_path) as node:
        with association(node.port, *contexts_of(ds)) as opened:
            status = store_raw(opened, data, sop_class=US, sop_instance=ds.SOPInstanceUID)

        assert status == 0x0000
        (kept,) = node.stored_files()
        assert data_set_bytes(tmp_path / kept) == data


def test_data_set_of_another_object(tmp_path: Path) -> None:
    """A data set that is another instance, or of another class, than the request says gets 0xA900."""
    ds, other = image(), builders.secondary_capture()
    with receiver(tmp_path) as node:
        with association(node.port, *contexts_of(ds)) as opened:
            instance = store_raw(opened, encoded(ds), sop_class=US, sop_instance="1.2.3")
            sop_class = store_raw(opened, encoded(other), sop_class=US, sop_instance=other.SOPInstanceUID)

        assert (instance, sop_class) == (0xA900, 0xA900)
        assert node.stored_files() == []


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00",
        b"GET / HTTP/1.1\r\nHost: echonode\r\n\r\n",
        bytes(5000),
        b"\xff" * 5000,
        bytes(range(256)) * 40,
        b"\x08\x00\x05\x00CS\x0a\x00\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8\xf7\xf6",
        100_000 * b"\x08\x00\x40\x11SQ\x00\x00\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff",
    ],
    ids=["empty", "one byte", "http", "zeros", "ones", "all bytes", "bad charset", "deep nesting"],
)
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, "1.2.840.10008.1.2.1.99"])
def test_bytes_that_are_no_data_set(data: bytes, syntax: UID, tmp_path: Path) -> None:
    """Unparsable bytes get 0xC001, an audit row and no file; receiver and association live on."""
    ds = image()
    with receiver(tmp_path) as node:
        with association(node.port, build_context(US, syntax)) as opened:
            status = store_raw(opened, data, sop_class=US, sop_instance="1.2.3")
            again = store_raw(opened, encoded(ds, syntax), sop_class=US, sop_instance=ds.SOPInstanceUID)

        assert (status, again) == (0xC001, 0x0000)
        assert node.events("instance.refused")[0].detail["status"] == "0xC001"
        assert len(node.stored_files()) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"Rows": 65535, "Columns": 65535, "NumberOfFrames": "99999999"},
        {"PatientBirthDate": "tomorrow"},
        {"SpecificCharacterSet": "ISO_IR 999"},
    ],
)
def test_parsable_objects_are_stored_whatever_they_say(changes: dict[str, object], tmp_path: Path) -> None:
    """Absurd sizes, dates and character sets are the worker's to judge; the object is kept."""
    with receiver(tmp_path) as node:
        assert push(node.port, image(**changes)) == [0x0000]


def test_truncated_pixel_data_is_stored(tmp_path: Path) -> None:
    """A data set cut in its pixels still says what it is, and is kept as it came."""
    ds = image()
    with receiver(tmp_path) as node, association(node.port, *contexts_of(ds)) as opened:
        data = encoded(ds)[:-1000]
        assert store_raw(opened, data, sop_class=US, sop_instance=ds.SOPInstanceUID) == 0x0000


def test_deflated_bomb_is_not_inflated(tmp_path: Path) -> None:
    """300 MB deflated to 1 MB are read only as far as the header needs."""
    ds = image()
    del ds.PixelData
    packer = zlib.compressobj(1, wbits=-zlib.MAX_WBITS)
    pixels = b"\xe0\x7f\x10\x00OB\x00\x00" + (300_000_000).to_bytes(4, "little")
    packed = [packer.compress(part) for part in (encoded(ds), pixels, *[bytes(1_000_000)] * 300)]
    data = b"".join([*packed, packer.flush()])
    with receiver_process(settings_for(tmp_path)) as node:
        with association(node.port, build_context(US, "1.2.840.10008.1.2.1.99")) as opened:
            status = store_raw(opened, data, sop_class=US, sop_instance="1.2.3")
        peak_kb = int(Path(f"/proc/{node.receiver.pid}/status").read_text().split("VmHWM:")[1].split()[0])

    assert status == 0xA900  # it is another instance than announced
    assert peak_kb < 200_000


@pytest.mark.parametrize("end", ["abort", "disconnect"])
def test_sender_that_gives_up_leaves_no_file(end: str, tmp_path: Path) -> None:
    """An abort, or a connection cut, in the middle of an object leaves an audit row and no bytes."""
    ds = big_image()
    with receiver(tmp_path) as node:
        with association(node.port, *contexts_of(ds)) as opened:
            with paused(opened):
                about = {"sop_class": US, "sop_instance": ds.SOPInstanceUID}
                for fragment in fragments(opened, encoded(ds), **about)[:-1]:
                    opened.dul.send_pdu(fragment)
                wait_for(
                    lambda: any("incoming" in name for name in node.stored_files()), "bytes in incoming/"
                )
            if end == "abort":
                opened.abort()
            else:
                opened.dul.socket.socket.shutdown(socket.SHUT_RDWR)
                wait_for(lambda: not opened.is_established, "the sender to notice")

        (aborted,) = node.wait_for_event("association.aborted")
        assert aborted.detail["objects_cut_off"] == 1
        assert aborted.outcome == "failure"
        assert node.stored_files() == []
        assert push(node.port, ds) == [0x0000]


def test_not_dicom_at_all(tmp_path: Path) -> None:
    """An HTTP client on the DICOM port disturbs nobody."""
    with receiver(tmp_path) as node:
        subprocess.run(["curl", "-s", "-m", "5", f"http://127.0.0.1:{node.port}/"], check=False)

        assert push(node.port, image()) == [0x0000]


def test_locked_database(tmp_path: Path) -> None:
    """A database that another program holds gives 0xA700; once free, the same image is stored."""
    settings = settings_for(tmp_path)
    ds = image()
    with receiver(tmp_path, database=Database(settings.store_url, busy_timeout_s=0.2)) as node:
        push(node.port, image(2))
        holder = sqlite3.connect(tmp_path / "echonode.db", isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        assert push(node.port, ds) == [0xA700]
        holder.execute("ROLLBACK")
        holder.close()

        assert push(node.port, ds) == [0x0000]
        assert len(node.instances(STUDY)) == 2
        (refused,) = node.wait_for_event("instance.refused")
        assert refused.detail["status"] == "0xA700"
        node.wait_for_event("association.closed", 3)


def test_database_that_is_gone(tmp_path: Path) -> None:
    """A database moved away gives 0xA700; put back, the same image is stored."""
    ds = image()
    with receiver(tmp_path) as node:
        push(node.port, image(2))
        away = tmp_path / "away"
        away.mkdir()
        for path in tmp_path.glob("echonode.db*"):
            path.rename(away / path.name)
        assert push(node.port, ds) == [0xA700]
        for path in away.iterdir():
            path.rename(tmp_path / path.name)

        assert push(node.port, ds) == [0x0000]
        assert len(node.instances(STUDY)) == 2


def test_disk_that_takes_no_more_of_a_file(tmp_path: Path) -> None:
    """A write error in the middle of an object gives 0xA700 on a living association, then it recovers."""
    small, big = image(), big_image()
    with (
        receiver_process(settings_for(tmp_path)) as node,
        association(node.port, *contexts_of(big)) as opened,
    ):
        resource.prlimit(node.receiver.pid, resource.RLIMIT_FSIZE, (600_000, resource.RLIM_INFINITY))
        assert opened.send_c_store(big).Status == 0xA700
        assert opened.send_c_store(small).Status == 0x0000
        resource.prlimit(node.receiver.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        assert opened.send_c_store(big).Status == 0x0000

        assert len(node.stored_files()) == 2


def test_full_disk(small_disk: Callable[[int], Path]) -> None:
    """A full disk gives 0xA700 and loses nothing; with room again the same image is stored."""
    first, second, disk = image(1), big_image(2, rows=960), small_disk(4)
    filler = disk / "filler"
    with receiver(disk / "node", disk={"soft_free_mb": 1, "hard_free_mb": 1}) as node:
        assert push(node.port, first) == [0x0000]
        with filler.open("wb") as file:
            room = os.statvfs(disk)
            os.posix_fallocate(file.fileno(), 0, room.f_bavail * room.f_bsize - 1_300_000)
        assert push(node.port, second) == [0xA700]
        assert len([name for name in node.stored_files() if name.startswith("incoming")]) == 0
        filler.unlink()

        assert push(node.port, second) == [0x0000]
        assert len(node.instances(STUDY)) == 2
        assert len(node.wait_for_event("instance.refused")) == 1
