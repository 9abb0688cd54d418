"""The inside of pynetdicom that the node overrides or leans on is what was read when that was written.

pynetdicom is pinned exactly. Whoever raises the pin reads each place named by a failure below, changes
the node where it has to, and then enters the new digest.
"""

import ast
import hashlib
import importlib
import inspect
import re
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from types import FunctionType, MappingProxyType
from typing import Any, NamedTuple

import pytest
from pynetdicom import _config

ROOT = Path(__file__).parents[2]


class Read(NamedTuple):
    """A place of pynetdicom as it was read."""

    digest: str
    """The first 16 hex digits of the SHA-256 of its source."""
    used_by: str
    """What of the node depends on it, below `dicom_node`; two are separated by a comma."""


OVERRIDDEN: Mapping[str, Read] = MappingProxyType(
    {
        "ae.ApplicationEntity._create_socket": Read(
            "f56bca8888e1ce9f", "network.requestor._AE._create_socket"
        ),
        "dimse.DIMSEServiceProvider.__init__": Read(
            "bbecd186810e7700", "receive.dimse.FileBackedDIMSE.__init__"
        ),
        "dimse.DIMSEServiceProvider.get_msg": Read(
            "890e3e04283f5aeb", "receive.dimse.FileBackedDIMSE.get_msg"
        ),
        "dimse.DIMSEServiceProvider.receive_primitive": Read(
            "5f99c86b14a15cef", "receive.dimse.FileBackedDIMSE.receive_primitive"
        ),
        "dul.DULServiceProvider.__init__": Read(
            "c82dafa9438ddf70", "network.upper_layer.BoundedUpperLayer.__init__"
        ),
        "dul.DULServiceProvider._is_transport_event": Read(
            "8725ed03bb8fbdef", "network.upper_layer.BoundedUpperLayer._is_transport_event"
        ),
        "dul.DULServiceProvider._process_recv_primitive": Read(
            "4c0ebbb3e646e35e", "network.upper_layer.BoundedUpperLayer._process_recv_primitive"
        ),
        "dul.DULServiceProvider._read_pdu_data": Read(
            "19f2d4e38c13c835", "network.upper_layer.BoundedUpperLayer._read_pdu_data"
        ),
        "dul.DULServiceProvider.run_reactor": Read(
            "e3a10eb3a0931e48", "receive.upper_layer.AcceptorUpperLayer.run_reactor"
        ),
        "dul.DULServiceProvider._send": Read(
            "a850a7919e68484e",
            "network.upper_layer.BoundedUpperLayer._send, receive.upper_layer.AcceptorUpperLayer._send",
        ),
        "transport.AssociationServer.__init__": Read(
            "edacb98bdfb7b974", "receive.server.AssociationServer.__init__"
        ),
        "transport.AssociationServer.process_request": Read(
            "4fa44ac5b54b4498", "receive.server.AssociationServer.process_request"
        ),
        "transport.AssociationServer.server_bind": Read(
            "cf69278a05a5c777", "receive.server.AssociationServer.server_bind"
        ),
        "transport.AssociationSocket.__init__": Read(
            "1f0325fdef2cc353", "receive.upper_layer.AcceptorSocket.__init__"
        ),
        "transport.AssociationSocket._shutdown_socket": Read(
            "e2b2628faa81a578",
            "network.requestor._Socket._shutdown_socket, network.upper_layer.BoundedSocket._shutdown_socket",
        ),
        "transport.AssociationSocket.send": Read(
            "1ea8158c0b51faca", "network.upper_layer.BoundedSocket.send"
        ),
        "transport.RequestHandler._create_association": Read(
            "05c8d12b79863cdb", "receive.server.Connection._create_association"
        ),
        "transport.RequestHandler.handle": Read("034823fb4df3a874", "receive.server.Connection.handle"),
        "transport.ThreadedAssociationServer.process_request_thread": Read(
            "9e76e9b9c8a3d8b1", "receive.server.AssociationServer.process_request_thread"
        ),
    }
)
"""What a class of the node replaces, whether it calls its parent's or not."""

RELIED_ON: Mapping[str, Read] = MappingProxyType(
    {
        "acse.ACSE._check_sop_class_common_extended": Read(
            "a01e847c77050460", "receive.storage_scp.StorageSCP._on_sop_common"
        ),
        "acse.ACSE._negotiate_as_acceptor": Read(
            "fffd360957c42a8e", "receive.admission.AssociationAdmission.decide"
        ),
        "acse.ACSE.send_reject": Read("700998293bbcb6c9", "receive.admission._send_rejection"),
        "ae.ApplicationEntity.associate": Read("dbc8cf47090386b2", "network.requestor.open_association"),
        "ae.ApplicationEntity.make_server": Read("6569298ac5cf837c", "roles.receiver.Receiver"),
        "association.Association._run_reactor": Read("f28838c5559e462a", "receive.server.Connection.handle"),
        "association.Association._serve_request": Read("2f24c1759cdf6c8c", "receive.storage_scp.StorageSCP"),
        "association.Association.abort": Read("de1cee39dfe396b0", "roles.receiver.Receiver"),
        "association.Association.acse_timeout": Read(
            "5633674fbb21bae5", "receive.server.Connection._create_association"
        ),
        "association.Association.kill": Read("8f9713666a7f4cff", "receive.admission._send_rejection"),
        "association.Association.network_timeout": Read(
            "5aa7c33171f1d0c9", "receive.server.Connection._create_association"
        ),
        "association.Association.release": Read("c7d713502b77d702", "network.requestor.open_association"),
        "association.Association.run_reactor": Read("ed8bbbe3b3d6ddae", "receive.server.Connection.handle"),
        "association.Association.send_c_store": Read("fa5a8127f349f8e7", "network.scu._send"),
        "association.Association.send_n_action": Read("fd0ab80035a52546", "commitment.scu._request"),
        "association.Association.send_n_event_report": Read(
            "e3d427e77369680c", "commitment.scu._send_report"
        ),
        "association.Association.set_socket": Read(
            "235681dc751728fb", "receive.server.Connection._create_association"
        ),
        "dimse.DIMSEServiceProvider.assoc": Read("394ab04d573893e8", "receive.dimse.FileBackedDIMSE"),
        "dimse.DIMSEServiceProvider.dul": Read("488d9b7441cce153", "receive.dimse.FileBackedDIMSE"),
        "dimse.DIMSEServiceProvider.send_msg": Read(
            "a839cf2fb46976d9", "commitment.scp.CommitmentSCP._report"
        ),
        "dimse_messages.DIMSEMessage.decode_msg": Read(
            "f51c777e841a76be", "receive.dimse.IncomingDataSet.write"
        ),
        "dimse_messages.DIMSEMessage.message_to_primitive": Read(
            "f8f43d34e43450ef", "receive.dimse.FileBackedDIMSE.receive_primitive"
        ),
        "dul.DULServiceProvider._decode_pdu": Read(
            "fc71dd1bf853e1ce", "network.upper_layer.BoundedUpperLayer._checked"
        ),
        "dul.DULServiceProvider.assoc": Read("394ab04d573893e8", "network.upper_layer.BoundedUpperLayer"),
        "dul.DULServiceProvider.idle_timer_expired": Read(
            "0150c19fda68f6e9", "receive.storage_scp.StorageSCP.on_end"
        ),
        "dul.DULServiceProvider.kill_dul": Read("5ceccf8dd01c2072", "receive.server.Connection.handle"),
        "dul.DULServiceProvider.receive_pdu": Read(
            "fa67339834ca998c", "receive.upper_layer.AcceptorUpperLayer.run_reactor"
        ),
        "dul.DULServiceProvider.stop_dul": Read("28a7e0be126e7b30", "receive.admission._send_rejection"),
        "fsm.StateMachine.do_action": Read("9a883f44c7f31641", "network.upper_layer.BoundedUpperLayer.end"),
        "fsm.TRANSITION_TABLE": Read("73f9bd6de4b8d8ee", "network.upper_layer.BoundedUpperLayer.end"),
        "service_class.StorageServiceClass.SCP": Read(
            "63afca7fc6c6e7ee", "receive.storage_scp.StorageSCP._on_store"
        ),
        "service_class_n.StorageCommitmentServiceClass.SCP": Read(
            "be6e758c67d99a09", "commitment.scp.CommitmentSCP"
        ),
        "sop_class.uid_to_service_class": Read(
            "88fa4636b8cbaacd", "network.presentation_contexts.is_storage"
        ),
        "transport.AssociationServer._bind_defaults": Read(
            "4cada43c3a193724", "process.logs.quiet_libraries"
        ),
        "transport.AssociationServer.server_close": Read(
            "3fa1b358badbe682", "receive.server.AssociationServer.stop_listening"
        ),
        "transport.AssociationServer.shutdown": Read(
            "e8e2c3a41009886d", "receive.server.AssociationServer.stop_listening"
        ),
        "transport.AssociationSocket.assoc": Read(
            "21c8871dba69e713", "network.upper_layer.BoundedSocket.send"
        ),
        "transport.AssociationSocket.close": Read(
            "c726c8db53813d55", "receive.upper_layer.AcceptorUpperLayer.run_reactor"
        ),
        "transport.AssociationSocket.connect": Read(
            "aeeeae413bd339dc", "network.requestor._Socket._shutdown_socket"
        ),
        "transport.AssociationSocket.ready": Read(
            "3eb58e3d39dc076d", "network.upper_layer.BoundedUpperLayer._is_transport_event"
        ),
        "transport.RequestHandler.ae": Read(
            "0ab29e83604eaa43", "receive.server.Connection._create_association"
        ),
    }
)
"""What the node calls or counts on without replacing it: order of steps, names, who closes what."""

READ = {**OVERRIDDEN, **RELIED_ON}
SWITCHES = {
    "STORE_SEND_CHUNKED_DATASET": "network.scu",
    "LOG_HANDLER_LEVEL": "process.logs.quiet_libraries",
    "LOG_REQUEST_IDENTIFIERS": "process.logs.quiet_libraries",
    "LOG_RESPONSE_IDENTIFIERS": "process.logs.quiet_libraries",
}
"""Settings in `pynetdicom._config` that the node sets; a renamed one would be set without effect."""


def place(name: str) -> Any:
    """Return what a dotted name below `pynetdicom` stands for."""
    module, *parts = name.split(".")
    found: Any = importlib.import_module(f"pynetdicom.{module}")
    for part in parts:
        found = inspect.getattr_static(found, part)
    return found


def digest(name: str) -> str:
    """Return the digest of the source of a function or property, or of the rows of a table."""
    found = place(name)
    if isinstance(found, dict):
        text = repr(sorted(found.items()))
    else:
        parts = (found.fget, found.fset) if isinstance(found, property) else (found,)
        text = "".join(inspect.getsource(part) for part in parts if part is not None)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@cache
def subclasses() -> list[tuple[type, ast.ClassDef]]:
    """Return the classes of the node that descend from one of pynetdicom, with their syntax trees."""
    found = []
    for path in sorted((ROOT / "dicom_node").rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        # By name or through the node's own subclass of it.
        if "pynetdicom" not in source and "upper_layer" not in source:
            continue
        module = importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
        classes = [node for node in ast.parse(source).body if isinstance(node, ast.ClassDef)]
        found += [(cls, node) for node in classes if any(bases(cls := getattr(module, node.name)))]
    return found


def bases(cls: type) -> Iterator[type]:
    """Return the classes of pynetdicom that a class descends from."""
    return (base for base in cls.__mro__ if base.__module__.startswith("pynetdicom"))


def where(cls: type, name: str) -> str | None:
    """Return the dotted name of the nearest function or property of this name in pynetdicom, if any."""
    for base in bases(cls):
        if isinstance(vars(base).get(name), FunctionType | property):
            return f"{base.__module__.removeprefix('pynetdicom.')}.{base.__name__}.{name}"
    return None


def inherited(tree: ast.ClassDef) -> set[str]:
    """Return the names that a class reads from `self` or `super()`."""
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) in {"self", "super()"}
    }


@pytest.mark.parametrize("name", READ)
def test_it_is_what_was_read(name: str) -> None:
    """The installed source of each place is the one that was read."""
    read = READ[name]
    now = digest(name)

    assert now == read.digest, (
        f"pynetdicom.{name} is not what was read (now {now}); dicom_node.{read.used_by} depends on it: "
        "read both, then enter the new digest"
    )


def test_every_override_is_listed() -> None:
    """A method of ours that replaces one of pynetdicom stands in OVERRIDDEN, and nothing else does."""
    found = {}
    for cls, _ in subclasses():
        for name in vars(cls):
            there = where(cls, name)
            if there is not None:
                found[there] = f"{cls.__module__.removeprefix('dicom_node.')}.{cls.__name__}.{name}"

    missing = {there: ours for there, ours in found.items() if there not in OVERRIDDEN}
    assert not missing, f"overridden, but not listed: {missing}"
    assert not OVERRIDDEN.keys() - found.keys(), "listed, but no longer overridden"


def test_every_inherited_name_is_listed() -> None:
    """A method of pynetdicom that a class of ours calls on itself stands in one of the lists."""
    missing = {
        there: cls.__name__
        for cls, tree in subclasses()
        for name in inherited(tree)
        if (there := where(cls, name)) is not None and there not in READ
    }

    assert not missing, f"called on itself, but not listed: {missing}"


def test_what_depends_on_them_exists() -> None:
    """Each place names a function, a class or a module of the node."""
    places = [read.used_by for read in READ.values()] + list(SWITCHES.values())
    for used_by in ", ".join(places).split(", "):
        parts = used_by.split(".")
        module = (ROOT / "dicom_node").joinpath(*parts[:2]).with_suffix(".py")
        names = parts[2:]
        source = module.read_text(encoding="utf-8")
        assert all(re.search(rf"^ *(def|class) {name}\b", source, re.MULTILINE) for name in names), used_by


@pytest.mark.parametrize("name", SWITCHES)
def test_the_switches_exist(name: str) -> None:
    """Each setting is there, and something in pynetdicom reads it."""
    assert hasattr(_config, name)
    folder = Path(inspect.getfile(_config)).parent
    assert any(f"_config.{name}" in path.read_text(encoding="utf-8") for path in folder.glob("*.py"))


def test_the_pin_is_the_installed_version() -> None:
    """pyproject.toml pins the version that is installed here, exactly."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert f"pynetdicom=={version('pynetdicom')}" in project["dependencies"]
