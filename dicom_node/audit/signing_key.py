"""The Ed25519 key pair that signs checkpoints: the public key is to be copied to another machine."""

from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from dicom_node.errors import NodeError
from store.files.fsync import publish

PRIVATE, PUBLIC = "audit.key", "audit.pub"
GROUP_AND_OTHERS = 0o077


class BadKey(NodeError):
    """The key of the audit checkpoints cannot be used."""


def signing_key(data_dir: Path) -> Ed25519PrivateKey:
    """Return the private key of this data folder; the first call creates it and the file of the public key.

    Raises:
        BadKey: the file is accessible to group or others, holds no Ed25519 key, or cannot be used.
    """
    path = data_dir / PRIVATE
    try:
        if not path.exists():
            publish(_private_pem(Ed25519PrivateKey.generate()), path, mode=0o600)
        if path.stat().st_mode & GROUP_AND_OTHERS:
            raise BadKey(f"{path} can be read by others: chmod 600")
        key = load_pem_private_key(path.read_bytes(), password=None)
        if not isinstance(key, Ed25519PrivateKey):
            raise BadKey(f"{path} is no Ed25519 key")
        if not (data_dir / PUBLIC).exists():
            publish(public_pem(key.public_key()), data_dir / PUBLIC, mode=0o644)
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        raise BadKey(f"{path}: {type(error).__name__}") from error
    return key


def read_public_key(path: Path) -> Ed25519PublicKey:
    """Return the public key in a PEM file.

    Raises:
        BadKey: the file holds none, or cannot be read.
    """
    try:
        key = load_pem_public_key(path.read_bytes())
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        raise BadKey(f"{path}: {type(error).__name__}") from error
    if not isinstance(key, Ed25519PublicKey):
        raise BadKey(f"{path} is no Ed25519 key")
    return key


def public_pem(key: Ed25519PublicKey) -> bytes:
    """Return a public key in PEM format."""
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _private_pem(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
