"""DICOM over TLS: who gets in, who does not, and that a silent peer stops nobody."""

import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydicom.uid import UltrasoundImageStorage
from support import builders
from support.attacks import connected, is_closed, others_answered, read, request
from support.certificates import DAY, Authority, Identity
from support.node import NodeHarness, free_port, receiver, receiver_process, runtime, settings_for, wait_for
from support.pacs import Pacs
from support.peers import needs_dcmtk

from dicom_node.errors import SettingsError
from dicom_node.monitoring import certificates, preflight
from dicom_node.network.outcomes import Accepted, Unreachable
from dicom_node.network.scu import Outgoing, echo, send_objects
from dicom_node.roles.receiver import Receiver
from dicom_node.settings import Settings
from dicom_node.settings.sections import Destination, TLSSettings


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Return the hospital's authority."""
    return Authority(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def ours(authority: Authority) -> Identity:
    """Return the identity of the node: RSA, with which ciphers without forward secrecy would be possible."""
    return authority.issue("node", is_rsa=True)


@pytest.fixture(scope="module")
def cart(authority: Authority) -> Identity:
    """Return the identity of a scanner."""
    return authority.issue("cart")


def settings_with(folder: Path, tls: TLSSettings, **node: object) -> Settings:
    """Return settings of a receiver with a TLS port."""
    return settings_for(folder, **node).model_copy(update={"tls": tls})


@pytest.fixture(scope="module")
def node(
    tmp_path_factory: pytest.TempPathFactory, authority: Authority, ours: Identity
) -> Iterator[NodeHarness]:
    """Yield a receiver process that listens on two ports and survives all tests of this module."""
    folder = tmp_path_factory.mktemp("tls")
    tls = authority.settings(ours, port=free_port())
    settings = settings_with(folder / "node", tls, acse_timeout_s=2, max_connections_per_host=8)
    log = folder / "log"
    with receiver_process(settings, log=log) as running:
        yield running
        assert running.receiver.poll() is None
        assert "Traceback" not in log.read_text()


def dcmtk(tool: str, node: NodeHarness, ca: Path, identity: Identity | None, *files: Path) -> int:
    """Call the TLS port with DCMTK; return its exit code."""
    port = str(node.settings.tls.port)
    who = ["+tls", str(identity.private_key), str(identity.certificate)] if identity else ["+tla"]
    command = [tool, *who, "+cf", str(ca), "-aec", "ECHONODE", "localhost", port, *map(str, files)]
    return subprocess.run(command, check=False, capture_output=True, timeout=30).returncode


def refusals(node: NodeHarness, host: str, count: int = 1) -> list[str]:
    """Wait for the audit rows of failed handshakes of a host, and return what they say."""

    def found() -> list[str]:
        rows = [row for row in node.events("association.rejected") if row.peer_ip == host]
        return [row.detail["reason"].removeprefix("no TLS connection: ") for row in rows]

    wait_for(lambda: len(found()) >= count, f"{count} rows")
    return found()


@needs_dcmtk
def test_dcmtk_with_a_certificate(
    tmp_path: Path, node: NodeHarness, authority: Authority, cart: Identity
) -> None:
    """DCMTK gets through C-ECHO and C-STORE over TLS, and the plain port still answers."""
    image = builders.save(builders.us_image(builders.texture()), tmp_path / "image.dcm")

    assert dcmtk("echoscu", node, authority.ca, cart) == 0
    assert dcmtk("storescu", node, authority.ca, cart, image) == 0
    assert len(node.instances(builders.STUDY_UID)) == 1
    assert (
        subprocess.run(["echoscu", "-aec", "ECHONODE", "localhost", str(node.port)], check=False).returncode
        == 0
    )


@needs_dcmtk
def test_strangers_are_refused(tmp_path: Path, node: NodeHarness, authority: Authority) -> None:
    """No certificate, one of another authority, an expired one: no association, an audit row each."""
    stranger = Authority(tmp_path / "elsewhere", "elsewhere").issue("stranger")
    expired = authority.issue("expired", days=-1)
    before = node.events("association.opened")

    assert dcmtk("echoscu", node, authority.ca, None) != 0
    assert dcmtk("echoscu", node, authority.ca, stranger) != 0
    assert dcmtk("echoscu", node, authority.ca, expired) != 0
    assert node.events("association.opened") == before
    assert set(refusals(node, "127.0.0.1", 2)) == {
        "PEER_DID_NOT_RETURN_A_CERTIFICATE",
        "CERTIFICATE_VERIFY_FAILED",
    }


@needs_dcmtk
def test_client_certificates_may_be_waived(tmp_path: Path, authority: Authority, ours: Identity) -> None:
    """With client_certificates = false a caller needs none."""
    tls = authority.settings(ours, port=free_port(), client_certificates=False)
    with receiver_process(settings_with(tmp_path, tls)) as node:
        assert dcmtk("echoscu", node, authority.ca, None) == 0


def test_silent_connections_stop_nobody(node: NodeHarness, authority: Authority, cart: Identity) -> None:
    """While connections to the TLS port say nothing, others shake hands; only then are they closed."""
    port = node.settings.tls.port
    there = Destination(name="x", ae_title="ECHONODE", host="127.0.0.1", port=port, timeout_s=5, tls=True)
    ca = authority.settings(cart)
    with others_answered(node.port), ExitStack() as stack:
        silent = [stack.enter_context(connected(port, "127.0.1.1")) for _ in range(8)]
        assert echo(there, calling_ae="CART", tls=ca) == Accepted(status=0)
        assert not any(is_closed(each) for each in silent)
        wait_for(lambda: all(is_closed(each) for each in silent), "all to be closed", limit_s=6)

    assert refusals(node, "127.0.1.1")[0] == "not in time"


def test_plain_dicom_on_the_tls_port(node: NodeHarness) -> None:
    """Who forgets to switch TLS on is refused, and the audit log says so."""
    with connected(node.settings.tls.port, "127.0.1.2") as opened:
        opened.sendall(request())
        wait_for(lambda: is_closed(opened), "the connection to be closed")

    assert refusals(node, "127.0.1.2")[0] in {
        "WRONG_VERSION_NUMBER",
        "HTTP_REQUEST",
        "PACKET_LENGTH_TOO_LONG",
    }


@pytest.mark.parametrize(
    ("version", "ciphers"),
    [(ssl.TLSVersion.TLSv1_1, "ALL:@SECLEVEL=0"), (ssl.TLSVersion.TLSv1_2, "AES128-GCM-SHA256:AES256-SHA")],
)
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_old_versions_and_ciphers(
    version: ssl.TLSVersion, ciphers: str, node: NodeHarness, authority: Authority, cart: Identity
) -> None:
    """TLS 1.1, and 1.2 without forward secrecy, are refused (BCP 195)."""
    context = ssl.create_default_context(cafile=str(authority.ca))
    context.load_cert_chain(cart.certificate, cart.private_key)
    context.minimum_version = context.maximum_version = version
    context.set_ciphers(ciphers)
    with (
        connected(node.settings.tls.port, host := f"127.0.1.{version % 100}") as opened,
        pytest.raises(OSError, match=r"(?i)alert|closed|reset|EOF"),
    ):
        context.wrap_socket(opened, server_hostname="localhost")

    assert refusals(node, host)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_current_versions(
    version: ssl.TLSVersion, node: NodeHarness, authority: Authority, cart: Identity
) -> None:
    """1.2 and 1.3 are spoken, with a cipher that authenticates; a request in small records is understood."""
    context = ssl.create_default_context(cafile=str(authority.ca))
    context.load_cert_chain(cart.certificate, cart.private_key)
    context.minimum_version = context.maximum_version = version
    with (
        socket.create_connection(("127.0.0.1", node.settings.tls.port), timeout=10) as raw,
        context.wrap_socket(raw, server_hostname="localhost") as opened,
    ):
        cipher = opened.cipher()
        for byte in request():
            opened.send(bytes([byte]))
        assert read(opened, 1) == b"\x02"

    assert cipher is not None
    assert "GCM" in cipher[0] or "CHACHA20" in cipher[0]


def test_key_that_others_can_read(tmp_path: Path, authority: Authority) -> None:
    """A private key with permissions for group or others: no start, and a sentence that says what to do."""
    identity = authority.issue("open")
    tls = authority.settings(identity, port=free_port())
    for mode in (0o640, 0o604, 0o644):
        identity.private_key.chmod(mode)
        with pytest.raises(SettingsError, match="chmod 600"):
            Receiver(runtime(settings=settings_with(tmp_path, tls))).start()
        assert certificates.verdict(tls, now=datetime.now(UTC))[0] == "failed"
    identity.private_key.chmod(0o600)
    with receiver(tmp_path):
        assert certificates.verdict(tls, now=datetime.now(UTC))[0] == "ok"


def test_files_that_are_none(tmp_path: Path, authority: Authority, ours: Identity) -> None:
    """A missing or broken file is named with its key."""
    broken = tmp_path / "broken.pem"
    broken.write_text("no certificate")
    missing = str(tmp_path / "missing.pem")
    good = authority.settings(ours, port=free_port())
    for key in ("certificate", "private_key", "ca"):
        for path in (missing, str(broken)):
            if key == "private_key" and path != missing:
                broken.chmod(0o600)
            tls = good.model_copy(update={key: path})
            with pytest.raises(SettingsError, match=rf"tls\.\w+: {tmp_path}|tls\.certificate"):
                Receiver(runtime(settings=settings_with(tmp_path / "node", tls))).start()


@pytest.mark.parametrize(("days", "expected"), [(365, "ok"), (29, "warning"), (-1, "failed")])
def test_expiry_in_check(days: float, expected: str, tmp_path: Path, authority: Authority) -> None:
    """`echonode check` warns a month before a certificate expires, and fails when it has."""
    identity = authority.issue(f"for{days}", days=days)
    settings = settings_with(tmp_path, authority.settings(identity, port=free_port()))

    what, verdict, detail = next(each for each in preflight.check_results(settings) if each.what == "tls")
    assert (what, verdict) == ("tls", expected)
    (first, *_) = certificates.expiries(settings.tls)
    assert first.key == "certificate"
    assert abs(first.at - datetime.now(UTC) - days * DAY) < DAY
    assert f"{first.at:%Y-%m-%d}" in detail


@pytest.fixture
def pacs(authority: Authority) -> Iterator[tuple[Pacs, Destination]]:
    """Yield a PACS behind TLS that wants certificates."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    identity = authority.issue("pacs")
    context.load_cert_chain(identity.certificate, identity.private_key)
    context.load_verify_locations(authority.ca)
    context.verify_mode = ssl.CERT_REQUIRED
    with Pacs(sop_classes=[UltrasoundImageStorage], ssl_context=context) as running:
        yield running, running.destination.model_copy(update={"tls": True})


def test_sending_over_tls(
    tmp_path: Path, pacs: tuple[Pacs, Destination], authority: Authority, ours: Identity
) -> None:
    """Results go to a destination with tls = true over TLS, with our certificate."""
    running, destination = pacs
    image = builders.us_image(builders.texture())
    path = builders.save(image, tmp_path / "image.dcm")

    assert list(
        send_objects(destination, [Outgoing(path=path)], calling_ae="US", tls=authority.settings(ours))
    ) == [Accepted(status=0)]
    assert running.uids == [image.SOPInstanceUID]


def test_sending_to_whom_we_do_not_know(
    tmp_path: Path, pacs: tuple[Pacs, Destination], authority: Authority, ours: Identity
) -> None:
    """A PACS of another authority, or under another name, gets nothing; the reason is said."""
    _, destination = pacs
    elsewhere = Authority(tmp_path, "elsewhere")
    tls = authority.settings(ours)
    answers = [
        echo(destination, calling_ae="US", tls=tls.model_copy(update={"ca": str(elsewhere.ca)})),
        echo(destination.model_copy(update={"host": "127.0.0.3"}), calling_ae="US", tls=tls),
    ]

    for answer in answers:
        assert isinstance(answer, Unreachable)
    assert "certificate verify failed" in answers[0].why
