"""Certificates of authorities in PEM, as Secrets and ConfigMaps hold them: read, compared, put together."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from pgaas.errors import KubernetesError

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

BLOCK = re.compile(r"-----BEGIN ([^\n-]+)-----[ \t\r]*\n.*?-----END \1-----", re.DOTALL)
BEGINNING = "-----BEGIN "
PRIVATE = "PRIVATE KEY"
CERTIFICATE = "CERTIFICATE"


@dataclass(frozen=True)
class Authority:
    """The certificate of a CA. `fingerprint` is the SHA-256 of the certificate, in hex.

    `identity` stays the same when the certificate is renewed with its key: what the old one signed, the new
    one answers for.
    """

    pem: str
    fingerprint: str
    identity: str
    subject: str
    not_after: datetime


def read_authorities(text: str, place: str) -> tuple[Authority, ...]:
    """Return the CA certificates of a PEM text, each once, in their order; none for a blank text.

    Raise KubernetesError, which names `place`, for anything else in it: a private key above all, a
    certificate that may not sign others, a block that is cut off. Words between blocks do no harm.
    """
    if PRIVATE in text:
        raise _refused("a private key is in it, which nobody who trusts a CA needs", place)
    blocks = list(BLOCK.finditer(text))
    if len(blocks) != text.count(BEGINNING) or (text.strip() and not blocks):
        raise _refused("it is no PEM, or is cut off", place)
    for block in blocks:
        if block[1] != CERTIFICATE:
            raise _refused(f"it holds a {block[1].lower()}, where certificates are expected", place)
    return unique(_authority(block[0], place) for block in blocks)


def unique(authorities: Iterable[Authority]) -> tuple[Authority, ...]:
    """Return each authority once, in the order given; of one that was renewed, what lasts longest."""
    found: dict[str, Authority] = {}
    for authority in authorities:
        known = found.get(authority.identity)
        if known is None or known.not_after < authority.not_after:
            found[authority.identity] = authority
    return tuple(found.values())


def pem_of(authorities: Iterable[Authority]) -> str:
    """Return certificates as one PEM text, always the same for the same ones."""
    return "".join(authority.pem for authority in authorities)


def days_left(authority: Authority, now: datetime) -> int:
    """Return the whole days until a certificate ends; negative once it has."""
    return (authority.not_after - now).days


def _authority(block: str, place: str) -> Authority:
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.hashes import SHA256, Hash
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    try:
        certificate = x509.load_pem_x509_certificate(block.encode())
        signs = _may_sign(certificate)
        key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        subject = certificate.subject.rfc4514_string()
    except (ValueError, UnsupportedAlgorithm, x509.DuplicateExtension, x509.InvalidVersion) as error:
        raise _refused(f"a certificate cannot be read: {error}", place) from error
    if not signs:
        raise _refused(f"the certificate of {subject or 'nobody'} is no CA's", place)
    identity = Hash(SHA256())
    identity.update(certificate.subject.public_bytes())
    identity.update(key)
    return Authority(
        pem=certificate.public_bytes(Encoding.PEM).decode(),
        fingerprint=certificate.fingerprint(SHA256()).hex(),
        identity=identity.finalize().hex(),
        subject=subject,
        not_after=certificate.not_valid_after_utc,
    )


def _may_sign(certificate: Certificate) -> bool:
    """Return whether a certificate says that it is a CA's, and nothing in it says that it may not sign."""
    from cryptography import x509

    try:
        if not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            return False
    except x509.ExtensionNotFound:
        return False
    try:
        return certificate.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    except x509.ExtensionNotFound:
        return True


def _refused(why: str, place: str) -> KubernetesError:
    return KubernetesError(
        f"{place} cannot be trusted: {why}",
        where=place,
        next_step="it must hold CA certificates in PEM and nothing else: look at who wrote it",
    )
