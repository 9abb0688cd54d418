"""The receiver, pushed to over real associations: what is taken, and what is then in the store."""

import socket
import subprocess
import threading
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    AllTransferSyntaxes,
    ImplicitVRLittleEndian,
    UltrasoundImageStorage,
)
from pynetdicom.presentation import build_context
from support import builders
from support.node import receiver, runtime, settings_for, wait_for
from support.peers import require
from support.sender import association, contexts_of, data_set_bytes, encoded, push, store_raw

from dicom_node import identity
from dicom_node.errors import CannotListen
from dicom_node.roles.receiver import Receiver

STUDY = builders.STUDY_UID


def image(number: int = 1, **attributes: object) -> Dataset:
    """Return a small ultrasound image; equal numbers give equal instances."""
    return builders.us_image(builders.texture(), InstanceNumber=number, **attributes)


def in_syntax(ds: Dataset, syntax: UID) -> bytes:
    """Return the data set in a transfer syntax, with one made-up fragment where that is compressed."""
    copy = Dataset(ds)
    if syntax.is_encapsulated:
        copy.PixelData = encapsulate([b"not a real frame"])
        copy["PixelData"].is_undefined_length = True
    return encoded(copy, syntax)


def test_echo_of_dcmtk(tmp_path: Path) -> None:
    """DCMTK's echoscu gets success, and the association is in the audit log."""
    require("echoscu")
    with receiver(tmp_path) as node:
        subprocess.run(["echoscu", "-aec", "ECHONODE", "127.0.0.1", str(node.port)], check=True)
        node.wait_for_event("association.closed")

        (opened,) = node.events("association.opened")
        assert (opened.peer_ae, opened.peer_ip) == ("ECHOSCU", "127.0.0.1")


def test_study_of_dcmtk(tmp_path: Path) -> None:
    """DCMTK's storescu pushes a study of several classes: ultrasound is to be analysed, the rest is kept."""
    require("storescu")
    sent = [image(), builders.image_2d(), builders.vendor_sr(), builders.presentation_state(image())]
    folder = tmp_path / "sent"
    for number, ds in enumerate(sent):
        builders.save(ds, folder / f"{number}.dcm")
    with receiver(tmp_path / "node") as node:
        command = ["storescu", "-aec", "ECHONODE", "+sd", "127.0.0.1", str(node.port), str(folder)]
        subprocess.run(command, check=True)

        rows = {row.sop_instance_uid: row for row in node.instances(STUDY)}
        assert {uid: row.state for uid, row in rows.items()} == {
            sent[0].SOPInstanceUID: "RECEIVED",
            sent[1].SOPInstanceUID: "RECEIVED",
            sent[2].SOPInstanceUID: "KEPT",
            sent[3].SOPInstanceUID: "KEPT",
        }
        for number, ds in enumerate(sent):
            kept = node.data_dir / rows[ds.SOPInstanceUID].path
            assert data_set_bytes(kept) == data_set_bytes(folder / f"{number}.dcm")
        assert len(node.events("instance.received")) == 4


@pytest.mark.parametrize("syntax", AllTransferSyntaxes, ids=str)
def test_every_transfer_syntax_is_stored_as_received(syntax: UID, tmp_path: Path) -> None:
    """Bytes on disk are the bytes sent, under the transfer syntax that was negotiated."""
    ds = image()
    data = in_syntax(ds, syntax)
    with receiver(tmp_path) as node:
        with association(node.port, build_context(UltrasoundImageStorage, syntax)) as opened:
            status = store_raw(opened, data, sop_class=ds.SOPClassUID, sop_instance=ds.SOPInstanceUID)

        assert status == 0x0000
        (row,) = node.instances(STUDY)
        assert row.transfer_syntax_uid == syntax
        assert row.state == "RECEIVED"
        assert data_set_bytes(node.data_dir / row.path) == data


@pytest.mark.parametrize(
    "sop_class",
    [
        "1.2.840.10008.5.1.4.1.1.6",  # Ultrasound Image, retired
        "1.2.840.10008.5.1.4.1.1.3",  # Ultrasound Multi-frame Image, retired
        "1.2.840.10008.5.1.4.1.1.6.2",  # Enhanced US Volume, which cannot hold a calibrated M-mode region
        "1.2.840.10008.5.1.4.1.1.104.1",  # Encapsulated PDF
        "1.2.840.10008.5.1.4.1.1.66",  # Raw Data
        "1.2.840.10008.5.1.4.1.1.9",  # Standalone Curve, retired
        "1.3.46.670589.2.5.1.1",  # Philips private
    ],
)
def test_every_storage_class_is_taken(sop_class: str, tmp_path: Path) -> None:
    """Retired, rare and private storage classes are stored like any other."""
    ds = image(SOPClassUID=UID(sop_class))
    with receiver(tmp_path) as node:
        with association(node.port, build_context(sop_class, ImplicitVRLittleEndian)) as opened:
            data = encoded(ds, ImplicitVRLittleEndian)
            status = store_raw(opened, data, sop_class=sop_class, sop_instance=ds.SOPInstanceUID)

        assert status == 0x0000
        (row,) = node.instances(STUDY)
        retired = ("1.2.840.10008.5.1.4.1.1.3", "1.2.840.10008.5.1.4.1.1.6")
        assert row.state == ("RECEIVED" if sop_class in retired else "KEPT")


def test_a_class_in_many_contexts_is_accepted_in_each(tmp_path: Path) -> None:
    """Carts propose one class several times; each context gets a known syntax that it offers."""
    private = "1.2.840.113619.5.2"
    proposed = [
        build_context(UltrasoundImageStorage, syntaxes)
        for syntaxes in (
            ["1.2.840.10008.1.2.4.50"],
            [private, "1.2.840.10008.1.2.1"],
            ["1.2.840.10008.1.2"],
            [private],
        )
    ]
    with receiver(tmp_path) as node, association(node.port, *proposed) as opened:
        accepted = {context.context_id: context.transfer_syntax[0] for context in opened.accepted_contexts}

    assert accepted == {1: "1.2.840.10008.1.2.4.50", 3: "1.2.840.10008.1.2.1", 5: "1.2.840.10008.1.2"}


def test_services_we_do_not_offer_are_rejected_context_by_context(tmp_path: Path) -> None:
    """A worklist or query context is rejected; storage beside it is accepted."""
    worklist, procedure_step = "1.2.840.10008.5.1.4.31", "1.2.840.10008.3.1.2.3.3"
    contexts = [build_context(uid) for uid in (worklist, procedure_step, UltrasoundImageStorage)]
    with receiver(tmp_path) as node, association(node.port, *contexts) as opened:
        assert [context.abstract_syntax for context in opened.accepted_contexts] == [UltrasoundImageStorage]


def test_duplicate_changes_nothing(tmp_path: Path) -> None:
    """The same bytes a second time are acknowledged; one file, one row, one audit row that says so."""
    with receiver(tmp_path) as node:
        statuses = push(node.port, image()) + push(node.port, image())

        assert statuses == [0x0000, 0x0000]
        assert len(node.instances(STUDY)) == 1
        assert len(node.stored_files()) == 1
        assert [event.outcome for event in node.events("instance.duplicate")] == ["success"]


def test_conflict_is_kept_aside(tmp_path: Path) -> None:
    """Other bytes under a known UID do not overwrite: first version in place, second in conflicts/."""
    first = image()
    second = image(SOPInstanceUID=first.SOPInstanceUID, ImageComments="changed")
    with receiver(tmp_path) as node:
        statuses = push(node.port, first) + push(node.port, second)

        assert statuses == [0x0000, 0x0000]
        (row,) = node.instances(STUDY)
        assert data_set_bytes(node.data_dir / row.path) == encoded(first)
        (conflict,) = node.events("instance.conflict")
        assert conflict.outcome == "refused"
        assert data_set_bytes(node.data_dir / str(conflict.detail["path"])) == encoded(second)


def test_one_uid_in_two_studies_is_a_conflict(tmp_path: Path) -> None:
    """A SOP Instance UID that was first seen in another study keeps its first study."""
    first = image()
    second = image(SOPInstanceUID=first.SOPInstanceUID, StudyInstanceUID=UID("1.2.3"))
    with receiver(tmp_path) as node:
        push(node.port, first, second)

        assert len(node.instances(STUDY)) == 1
        assert node.instances("1.2.3") == []
        assert len(node.events("instance.conflict")) == 1


def test_same_image_from_eight_senders_at_once(tmp_path: Path) -> None:
    """Eight simultaneous pushes of one image are all acknowledged and make one row and one file."""
    statuses: list[int | None] = []
    with receiver(tmp_path) as node:
        senders = [
            threading.Thread(target=lambda: statuses.extend(push(node.port, image()))) for _ in range(8)
        ]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()

        assert statuses == [0x0000] * 8
        assert len(node.instances(STUDY)) == 1
        assert len(node.stored_files()) == 1
        assert len(node.events("instance.duplicate")) == 7


def test_own_results_are_not_analysed(tmp_path: Path) -> None:
    """An object that this node made comes back from the PACS: stored, marked, never analysed."""
    own = image(Manufacturer=identity.MANUFACTURER, ManufacturerModelName=identity.MODEL_NAME)
    with receiver(tmp_path) as node:
        push(node.port, own)

        assert [row.state for row in node.instances(STUDY)] == ["OWN"]


@pytest.mark.parametrize(
    ("called", "peers", "reason"),
    [
        ("OTHER", (), "called AE title is not ours"),
        (
            "ECHONODE",
            ({"ae_title": "VIVID", "host": "127.0.0.1"},),
            "calling AE title is not listed in [[peers]]",
        ),
        (
            "ECHONODE",
            ({"ae_title": "SCANNER", "host": "192.0.2.1"},),
            "this AE title may not call from this address",
        ),
    ],
)
def test_uninvited_peers_are_rejected(
    called: str, peers: tuple[dict[str, str], ...], reason: str, tmp_path: Path
) -> None:
    """A rejection says why in the audit log, and the peer gets an A-ASSOCIATE-RJ."""
    with receiver(tmp_path, peers=peers) as node:
        with association(node.port, *contexts_of(image()), called=called) as opened:
            assert opened.is_rejected

        (event,) = node.wait_for_event("association.rejected")
        assert (event.peer_ae, event.outcome, event.detail["reason"]) == ("SCANNER", "refused", reason)
        assert node.events("association.opened") == []


def test_listed_peer_is_welcome(tmp_path: Path) -> None:
    """A peer on the list stores as usual."""
    with receiver(tmp_path, peers=[{"ae_title": "SCANNER", "host": "127.0.0.1"}]) as node:
        assert push(node.port, image()) == [0x0000]


def test_association_limit(tmp_path: Path) -> None:
    """One association more than allowed is rejected for now; when one ends there is room again."""
    with receiver(tmp_path, max_associations=1) as node:
        with association(node.port, *contexts_of(image())) as first:
            assert first.is_established
            with association(node.port, *contexts_of(image())) as second:
                assert second.is_rejected
        node.wait_for_event("association.closed")
        assert push(node.port, image()) == [0x0000]

        (event,) = node.events("association.rejected")
        assert event.detail["reason"] == "too many associations"


def test_port_probes_hold_no_place(tmp_path: Path) -> None:
    """Health checks that connect and go away leave room for the scanner at once."""
    with receiver(tmp_path, max_associations=1) as node:
        for _ in range(5):
            socket.create_connection(("127.0.0.1", node.port)).close()
        wait_for(lambda: push_or_rejected(node.port) == [0x0000], "room for the scanner", limit_s=5)


def push_or_rejected(port: int) -> list[int | None]:
    """Push one image; an empty list when the association was rejected."""
    with association(port, *contexts_of(image())) as opened:
        return [opened.send_c_store(image()).get("Status")] if opened.is_established else []


def test_limits_are_announced(tmp_path: Path) -> None:
    """The peer is told the maximum PDU length and the implementation of the settings."""
    with (
        receiver(tmp_path, max_pdu=65_536) as node,
        association(node.port, *contexts_of(image())) as opened,
    ):
        assert opened.acceptor.maximum_length == 65_536
        assert opened.acceptor.implementation_class_uid == identity.IMPLEMENTATION_CLASS_UID


def test_files_without_rows_are_adopted(tmp_path: Path) -> None:
    """After a crash between file and row the next start writes the row, with the sender's AE title."""
    ds = image()
    with receiver(tmp_path) as node:
        push(node.port, ds)
    for database_file in tmp_path.glob("echonode.db*"):
        database_file.unlink()
    (tmp_path / "instances" / "stranger").mkdir()
    (tmp_path / "instances" / "stranger" / "note.dcm").write_text("no DICOM")
    (tmp_path / "incoming" / "half.part").write_bytes(b"DICM")

    with receiver(tmp_path) as node:
        (row,) = node.instances(STUDY)
        (event,) = node.events("instance.adopted")
        assert (row.sop_instance_uid, row.state, row.peer_ae) == (ds.SOPInstanceUID, "RECEIVED", "SCANNER")
        assert event.sop_instance_uid == ds.SOPInstanceUID
        assert not list((tmp_path / "incoming").iterdir())
        assert push(node.port, ds) == [0x0000]
        assert len(node.events("instance.duplicate")) == 1


def test_start_and_stop_are_audited(tmp_path: Path) -> None:
    """The first audit row of a run is its start, the last its stop."""
    with receiver(tmp_path) as node:
        pass

    assert [event.event for event in node.events()] == ["node.started", "node.stopped"]


def test_a_taken_port_is_an_error_in_words(tmp_path: Path) -> None:
    """Two nodes on one port: the second says which port it could not open."""
    with receiver(tmp_path / "first") as node:
        second = Receiver(runtime(settings=settings_for(tmp_path / "second", port=node.port)))
        with pytest.raises(CannotListen, match=str(node.port)):
            second.start()
        second.stop()


def test_no_patient_name_in_database_or_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Neither rows nor log lines name the patient."""
    caplog.set_level("DEBUG", logger="dicom_node")
    with receiver(tmp_path) as node:
        push(node.port, image(PatientName="Secret^Name", PatientBirthDate="not a date"))
        node.wait_for_event("association.closed")
    printed = capfd.readouterr()

    written = b"".join(path.read_bytes() for path in tmp_path.glob("echonode.db*"))
    for text in (caplog.text, printed.out, printed.err, written.decode("latin-1")):
        assert "Secret" not in text
        assert "not a date" not in text


def test_memory_does_not_grow_with_the_object(tmp_path: Path) -> None:
    """A data set is on disk while it arrives: half of it sent, half of it in incoming/."""
    ds = image()
    with receiver(tmp_path) as node, association(node.port, *contexts_of(ds)) as opened:
        sent = threading.Thread(
            target=store_raw,
            args=(opened, encoded(ds) + bytes(20_000_000)),
            kwargs={"sop_class": ds.SOPClassUID, "sop_instance": ds.SOPInstanceUID},
        )
        sent.start()
        wait_for(lambda: any("incoming" in name for name in node.stored_files()), "a file in incoming/")
        sent.join()
