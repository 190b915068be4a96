"""Stubs behind TLS: a private CA is trusted where it is named, and nobody else ever."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.pipelines.stubs import SECRETS, Services, StubArtifactory, StubVault, serving

CONTENT = b"PK" * 100


def named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def certificate(
    subject: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: str,
    signer: ec.EllipticCurvePrivateKey,
    address: str,
) -> bytes:
    """Return a certificate as PEM: a CA's if it has no address, else a server's."""
    now = datetime.now(UTC)
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
    builder = (
        x509.CertificateBuilder()
        .subject_name(named(subject))
        .issuer_name(named(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=not address, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(authority, critical=False)
    )
    if address:
        names = [x509.IPAddress(ip_address(address))]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def context(folder: Path, address: str) -> tuple[Path, ssl.SSLContext]:
    """Return a CA's file, and what serves with a certificate of it for an address."""
    authority, server = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    ca, chain = folder / "ca.pem", folder / "server.pem"
    ca.write_bytes(certificate("private CA", authority, "private CA", authority, ""))
    private = server.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    chain.write_bytes(certificate("server", server, "private CA", authority, address) + private)
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(chain)
    return ca, made


@pytest.fixture
def address() -> str:
    return "127.0.0.1"


@pytest.fixture
def private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str) -> Iterator[Services]:
    ca, tls = context(tmp_path, address)
    made = Services(StubVault(tls), StubArtifactory(tls), ca)
    (tmp_path / "pgaas-1.2.3.zip").write_bytes(CONTENT)
    with serving(made.vault, made.artifactory):
        for name, value in made.environment.items():
            monkeypatch.setenv(name, value)
        yield made


def publish(pgaas, tmp_path: Path, *arguments: str):
    done = pgaas("ci", "publish", str(tmp_path / "pgaas-1.2.3.zip"), "--tag", "v1.2.3", *arguments)
    assert not any(secret in done.out + done.err for secret in SECRETS)
    return done


def test_a_private_ca_that_is_named_is_trusted_with_stub_services(private, pgaas, tmp_path: Path) -> None:
    done = publish(pgaas, tmp_path)
    assert done.code == 0, done.err
    assert list(private.artifactory.files.values()) == [CONTENT]


def test_the_ca_can_be_named_by_an_option_with_stub_services(
    private, pgaas, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PGAAS_CA_FILE")
    assert publish(pgaas, tmp_path, "--ca-file", str(private.ca_file)).code == 0


def test_a_stub_whose_ca_is_unknown_gets_no_secret(
    private, pgaas, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PGAAS_CA_FILE")
    done = publish(pgaas, tmp_path)
    assert done.code == 5
    assert "certificate is not trusted" in done.err
    assert "PGAAS_CA_FILE" in done.err
    assert private.vault.asked == []


def test_a_stub_of_another_private_ca_gets_no_secret(private, pgaas, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other, _ = context(tmp_path / "other", "127.0.0.1")
    assert publish(pgaas, tmp_path, "--ca-file", str(other)).code == 5
    assert private.vault.asked == []


@pytest.mark.parametrize("address", ["127.0.0.2"])
def test_a_stub_with_the_certificate_of_another_address_gets_no_secret(
    private, pgaas, tmp_path: Path
) -> None:
    done = publish(pgaas, tmp_path)
    assert done.code == 5
    assert private.vault.asked == []


@pytest.mark.parametrize("content", [None, "no certificate", ""])
def test_a_ca_file_that_is_none_is_named_without_asking_a_stub(
    private, pgaas, tmp_path: Path, content: str | None
) -> None:
    file = tmp_path / "wrong.pem"
    if content is not None:
        file.write_text(content)
    done = publish(pgaas, tmp_path, "--ca-file", str(file))
    assert done.code == 2, done.err
    assert str(file) in done.err
