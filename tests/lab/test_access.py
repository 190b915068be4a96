"""Certificate only: who gets in with what, tried on the live cluster from outside Kubernetes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from tests.lab.certificates import Issued, issue
from tests.lab.support import (
    CLUSTER,
    NAMESPACE,
    Credential,
    Door,
    Lab,
    Pgaas,
    wait_until,
    write_credential,
)

# Who may reach which database: everything else in the product of the two must be refused.
MAY = {
    "app_user": {"app_db"},
    "report_user": {"reporting_db"},
    "app_readonly": {"app_db", "reporting_db"},
    "pgadmin_readonly": {"app_db", "reporting_db", "postgres", "pgaas"},
}
DATABASES = ("app_db", "reporting_db", "postgres", "pgaas")
ALLOWED = [(role, database) for role, databases in MAY.items() for database in sorted(databases)]
REFUSED = [(role, name) for role, databases in MAY.items() for name in DATABASES if name not in databases]


def credential(lab: Lab, folder: Path, role: str) -> Credential:
    """Write a role's own certificate, as its owner would fetch it."""
    secret = lab.secret(f"{CLUSTER}-client-{role.replace('_', '-')}")
    return write_credential(folder, role, secret["tls.crt"], secret["tls.key"])


@pytest.mark.parametrize(("role", "database"), ALLOWED)
def test_a_role_reaches_its_database(lab: Lab, door: Door, tmp_path: Path, role: str, database: str) -> None:
    with door.connect(database, role, credential(lab, tmp_path, role)) as connection:
        row = connection.execute(
            "select current_user, current_database(), ssl, client_dn"
            " from pg_stat_ssl where pid = pg_backend_pid()"
        ).fetchone()
    assert row == (role, database, True, f"/CN={role}.ic1.local")


@pytest.mark.parametrize(("role", "database"), REFUSED)
def test_a_role_reaches_no_other_database(
    lab: Lab, door: Door, tmp_path: Path, role: str, database: str
) -> None:
    reason = door.refusal(database, role, credential(lab, tmp_path, role))
    assert "pg_hba.conf rejects connection" in reason


@pytest.mark.parametrize(
    "other", ["report_user", "app_readonly", "pgadmin_readonly", "postgres", "pgaas_owner"]
)
def test_a_certificate_is_no_key_to_another_role(lab: Lab, door: Door, tmp_path: Path, other: str) -> None:
    reason = door.refusal("app_db", other, credential(lab, tmp_path, "app_user"))
    assert "certificate authentication failed" in reason or "pg_hba.conf rejects connection" in reason


def test_a_password_opens_nothing(lab: Lab, door: Door) -> None:
    lab.superuser("alter role app_user password 'known-to-the-intruder'")
    try:
        reason = door.refusal("app_db", "app_user", password="known-to-the-intruder")
    finally:
        lab.superuser("alter role app_user password null")
    assert "certificate" in reason
    assert "password authentication" not in reason


@pytest.mark.parametrize("role", ["app_user", "pgadmin_readonly", "postgres", "streaming_replica"])
def test_nothing_is_reached_without_tls(lab: Lab, door: Door, tmp_path: Path, role: str) -> None:
    reason = door.refusal("app_db", role, sslmode="disable", sslrootcert=None)
    assert "pg_hba.conf rejects connection" in reason
    assert "no encryption" in reason


def test_tls_without_a_certificate_opens_nothing(door: Door) -> None:
    assert "certificate" in door.refusal("app_db", "app_user")


def test_another_clients_own_certificate_opens_nothing(
    lab: Lab, pgaas: Pgaas, door: Door, tmp_path: Path
) -> None:
    try:
        stranger = strangers_certificate(lab, pgaas, "app_user")
    finally:
        lab.kubectl("delete", "namespace", "is1-local", "--ignore-not-found", "--wait=false")
    reason = door.refusal("app_db", "app_user", write_credential(tmp_path, "stranger", *stranger))
    assert "unknown ca" in reason


def test_a_certificate_from_the_datacenters_issuer_opens_nothing(
    lab: Lab, door: Door, tmp_path: Path
) -> None:
    own = issued_by_cluster_issuer(lab, "app-user", "app_user.ic1.local")
    assert "unknown ca" in door.refusal("app_db", "app_user", write_credential(tmp_path, "own", *own))


def test_a_self_minted_streaming_replica_certificate_opens_nothing(
    lab: Lab, door: Door, tmp_path: Path
) -> None:
    from_issuer = issued_by_cluster_issuer(lab, "streaming-replica", "streaming_replica")
    home_made = issue("streaming_replica")
    for name, held in (
        ("issuer", from_issuer),
        ("home", (home_made.certificate, home_made.key)),
    ):
        file = write_credential(tmp_path, name, *held)
        for replication in ("true", "database"):
            reason = door.refusal("postgres", "streaming_replica", file, replication=replication)
            assert "unknown ca" in reason


def test_a_clients_own_certificate_is_no_streaming_replica(lab: Lab, door: Door, tmp_path: Path) -> None:
    held = credential(lab, tmp_path, "app_user")
    for user in ("streaming_replica", "app_user"):
        reason = door.refusal("postgres", user, held, replication="true")
        assert "certificate authentication failed" in reason or "no pg_hba.conf entry" in reason


def test_an_expired_certificate_opens_nothing(lab: Lab, door: Door, tmp_path: Path) -> None:
    authority = lab.secret(f"{CLUSTER}-client-ca")
    minted = Issued(authority["tls.crt"], authority["tls.key"])
    # The same authority, the same name, still valid: this one is let in, so the next refusal is the date's.
    valid = issue("app_user.ic1.local", authority=minted)
    door.connect(
        "app_db", "app_user", write_credential(tmp_path, "valid", valid.certificate, valid.key)
    ).close()
    expired = issue("app_user.ic1.local", authority=minted, days_left=-1)
    file = write_credential(tmp_path, "expired", expired.certificate, expired.key)
    assert "certificate expired" in door.refusal("app_db", "app_user", file)


def test_the_pods_of_postgresql_cannot_read_the_client_authoritys_key(lab: Lab) -> None:
    account = f"system:serviceaccount:{NAMESPACE}:{CLUSTER}"
    asked = lab.kubectl(
        "-n", NAMESPACE, "auth", "can-i", "get", f"secret/{CLUSTER}-client-ca", "--as", account, check=False
    )
    assert asked.stdout.strip() == "no"


def test_readers_cannot_write(lab: Lab, door: Door, tmp_path: Path) -> None:
    with door.connect("app_db", "app_user", credential(lab, tmp_path, "app_user")) as connection:
        connection.execute("create table if not exists lines (line int)")
    for role in ("app_readonly", "pgadmin_readonly"):
        with door.connect("app_db", role, credential(lab, tmp_path, role)) as connection:
            connection.execute("select count(*) from lines")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute("insert into lines values (1)")


def strangers_certificate(lab: Lab, pgaas: Pgaas, role: str) -> tuple[bytes, bytes]:
    """Return the certificate that is1's chart gives its role; only issuers and certificates are applied."""
    rendered = pgaas("template", "--ins", "is1", "--env", "local", "--dc", "local1")
    assert rendered.returncode == 0, rendered.stderr
    wanted = [
        document
        for document in yaml.safe_load_all(rendered.stdout)
        if document and document["kind"] in ("Issuer", "Certificate")
    ]
    lab.kubectl(
        "apply",
        "-f",
        "-",
        stdin=yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": {"name": "is1-local"},
            }
        ),
    )
    lab.kubectl("-n", "is1-local", "apply", "-f", "-", stdin=yaml.safe_dump_all(wanted))
    return secret_when_issued(lab, f"local-is1-local1-client-{role.replace('_', '-')}", "is1-local")


def issued_by_cluster_issuer(lab: Lab, name: str, common_name: str) -> tuple[bytes, bytes]:
    """Ask the datacenter's ClusterIssuer for a client certificate, from a namespace of the intruder's own."""
    certificate: dict[str, Any] = {
        "apiVersion": "cert-manager.io/v1",
        "kind": "Certificate",
        "metadata": {"name": f"intruder-{name}", "namespace": "default"},
        "spec": {
            "secretName": f"intruder-{name}",
            "commonName": common_name,
            "usages": ["client auth"],
            "issuerRef": {"group": "cert-manager.io", "kind": "ClusterIssuer", "name": "pgaas-ca-issuer"},
        },
    }
    lab.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(certificate))
    return secret_when_issued(lab, f"intruder-{name}", "default")


def secret_when_issued(lab: Lab, name: str, namespace: str) -> tuple[bytes, bytes]:
    """Wait until cert-manager has filled a Secret, and return its certificate and key."""
    found = wait_until(
        f"Secret {name}",
        lambda: lab.kubectl("-n", namespace, "get", "secret", name, check=False).returncode == 0,
    )
    assert found
    secret = lab.secret(name, namespace)
    return secret["tls.crt"], secret["tls.key"]
