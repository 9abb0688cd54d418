"""A certificate authority of one's own: keys and certificates as PEM files, made in milliseconds."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from dicom_node.settings.sections import TLSSettings

DAY = timedelta(days=1)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _usage(*, is_ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=is_ca,
        crl_sign=is_ca,
        content_commitment=False,
        key_encipherment=not is_ca,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True, kw_only=True)
class Identity:
    """A certificate and its key, in files."""

    certificate: Path
    private_key: Path

    def in_one_file(self) -> Path:
        """Write both into one file beside the key; returns its path."""
        path = self.private_key.with_suffix(".both.pem")
        path.touch(mode=0o600)
        path.write_bytes(self.private_key.read_bytes() + self.certificate.read_bytes())
        return path


class Authority:
    """Signs certificates; its own is in the file `ca`."""

    def __init__(self, folder: Path, name: str = "hospital") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._name = _name(name)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.ca = self._write(
            f"{name}-ca.pem", self._certificate(self._name, self._key, days=365, is_ca=True)
        )

    def issue(self, name: str, *, days: float = 365, is_rsa: bool = False) -> Identity:
        """Return a new identity of this machine that is good for so many days from now."""
        key = rsa.generate_private_key(65_537, 2048) if is_rsa else ec.generate_private_key(ec.SECP256R1())
        encoded = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        private_key = self._folder / f"{name}-key.pem"
        private_key.touch(mode=0o600)
        private_key.write_bytes(encoded)
        certificate = self._write(f"{name}.pem", self._certificate(_name(name), key, days=days))
        return Identity(certificate=certificate, private_key=private_key)

    def settings(self, identity: Identity, *, port: int = 0, **more: object) -> TLSSettings:
        """Return the `[tls]` of a node with this identity."""
        about = {"certificate": str(identity.certificate), "private_key": str(identity.private_key)}
        return TLSSettings(port=port, ca=str(self.ca), **about, **more)  # type: ignore[arg-type]  # parsed by pydantic

    def _certificate(
        self, subject: x509.Name, key: Key, *, days: float, is_ca: bool = False
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        names = [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(min(now, now + days * DAY) - DAY)
            .not_valid_after(now + days * DAY)
            .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            # The default verification of Python 3.13 wants the rest, too.
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
            )
            .add_extension(_usage(is_ca=is_ca), critical=True)
        )
        return builder.sign(self._key, hashes.SHA256())

    def _write(self, name: str, certificate: x509.Certificate) -> Path:
        path = self._folder / name
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return path
