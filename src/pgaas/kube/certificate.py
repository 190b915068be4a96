"""A role's certificate and key as cert-manager's Secret has them: read, judged, and in other forms."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from pgaas.errors import NotHealthy

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
    from cryptography.x509 import Certificate

# What pgJDBC looks for in a PKCS#12 file, and the password that Java insists on: it protects nothing.
PKCS12_ALIAS = "user"
PKCS12_PASSWORD = "changeit"


@dataclass(frozen=True)
class Leaf:
    """Who a certificate is for, and until when."""

    subject: str
    common_name: str
    not_before: datetime
    not_after: datetime


def read_leaf(certificate: bytes, key: bytes, place: str) -> Leaf:
    """Return what a certificate says. Raise NotHealthy if it cannot be read, or the key is not its own."""
    from cryptography.x509.oid import NameOID

    chain, private = _chain(certificate, place), _key(key, place)
    if chain[0].public_key() != private.public_key():
        raise _unusable("its key belongs to another certificate", place)
    names = chain[0].subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return Leaf(
        subject=chain[0].subject.rfc4514_string(),
        common_name=str(names[0].value) if names else "",
        not_before=chain[0].not_valid_before_utc,
        not_after=chain[0].not_valid_after_utc,
    )


def pkcs8_der(key: bytes, place: str) -> bytes:
    """Return a key as PKCS#8 in DER, unencrypted, which is what pgJDBC takes as `sslkey`."""
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    return _key(key, place).private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def pkcs12(certificate: bytes, key: bytes, place: str) -> bytes:
    """Return a certificate and its key as one PKCS#12 file, as Java's key stores are."""
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption
    from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates

    chain = _chain(certificate, place)
    encryption = BestAvailableEncryption(PKCS12_PASSWORD.encode())
    return serialize_key_and_certificates(
        PKCS12_ALIAS.encode(),
        _key(key, place),  # type: ignore[arg-type]
        chain[0],
        chain[1:],
        encryption,
    )


def _chain(certificate: bytes, place: str) -> list[Certificate]:
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificates(certificate)
    except ValueError as error:
        raise _unusable(f"the certificate cannot be read: {error}", place) from error


def _key(key: bytes, place: str) -> PrivateKeyTypes:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        return load_pem_private_key(key, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        # What the library says of a key may quote from it.
        raise _unusable("the key cannot be read", place) from error


def _unusable(why: str, place: str) -> NotHealthy:
    return NotHealthy(
        f"{place} holds no certificate that can be used: {why}",
        where=place,
        next_step="look at who wrote it; cert-manager makes a new one once the Secret is deleted",
    )
