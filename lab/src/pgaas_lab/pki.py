"""The certificates of one cluster."""

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pgaas_lab.datacenters import Datacenter

LIFE = timedelta(days=3650)


@dataclass(frozen=True)
class Authority:
    """A certificate authority with its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def ensure(datacenter: Datacenter) -> None:
    """Make a cluster's authority, certificates and service account key, unless they are all there."""
    folder = datacenter.pki
    complete = folder / "complete"
    if complete.exists() and complete.read_text() == datacenter.node_address:
        return
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    authority = make_authority(datacenter)
    write_certificate(folder / "ca.crt", authority.certificate)
    write_key(folder / "ca.key", authority.key)
    kubernetes = ["kubernetes", "kubernetes.default", "kubernetes.default.svc"]
    api_names = [*kubernetes, "kubernetes.default.svc.cluster.local", "localhost"]
    api_addresses = ["127.0.0.1", datacenter.node_address, datacenter.api_service_address]
    node = f"system:node:{datacenter.name}"
    issue(folder, authority, "apiserver", "kube-apiserver", names=api_names, addresses=api_addresses)
    issue(folder, authority, "admin", "admin", organization="system:masters")
    # One node in a lab: the kubelet's identity is an administrator's, and no node authorizer is needed.
    issue(
        folder,
        authority,
        "kubelet",
        node,
        organization="system:masters",
        names=[datacenter.name],
        addresses=[datacenter.node_address],
    )
    account = ec.generate_private_key(ec.SECP256R1())
    write_key(folder / "sa.key", account)
    (folder / "sa.pub").write_bytes(
        account.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    complete.write_text(datacenter.node_address)


def name_of(common_name: str, organization: str = "") -> x509.Name:
    """Return a subject."""
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization)] if organization else []
    return x509.Name([*attributes, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def make_authority(datacenter: Datacenter) -> Authority:
    """Make a self-signed authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = name_of(f"kubernetes-{datacenter.name}")
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        builder(subject, subject, key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Authority(certificate, key)


def builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    """Return a certificate to be, without extensions."""
    # A clock that was set back a little must not make a new lab unusable.
    begin = datetime.now(UTC) - timedelta(hours=1)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + LIFE)
    )


def issue(
    folder: Path,
    authority: Authority,
    file: str,
    common_name: str,
    *,
    organization: str = "",
    names: list[str] | None = None,
    addresses: list[str] | None = None,
) -> None:
    """Issue a certificate for both ends of a connection, and write it and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    usages = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    issuer = authority.certificate
    request = (
        builder(name_of(common_name, organization), issuer.subject, key)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usages, critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()), critical=False
        )
    )
    alternatives: list[x509.GeneralName] = [x509.DNSName(name) for name in names or []]
    alternatives += [x509.IPAddress(ipaddress.ip_address(address)) for address in addresses or []]
    if alternatives:
        request = request.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    write_certificate(folder / f"{file}.crt", request.sign(authority.key, hashes.SHA256()))
    write_key(folder / f"{file}.key", key)


def write_certificate(file: Path, certificate: x509.Certificate) -> None:
    """Write a certificate as PEM."""
    file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def write_key(file: Path, key: ec.EllipticCurvePrivateKey) -> None:
    """Write a private key as PEM that only root can read."""
    file.touch(mode=0o600)
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
