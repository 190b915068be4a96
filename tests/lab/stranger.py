"""A second client beside ic1, to be the stranger at its door."""

from __future__ import annotations

from pathlib import Path

INS, NAMESPACE, CLUSTER, BUCKET = "is1", "is1-local", "local-is1-local1", "is1-backups"
TARGET = ("--ins", INS, "--env", "local", "--dc", "local1")
CLIENTS = "confs/admin/local/clients.yaml"
# The last of the file, so that what pgaas writes about it is below it too.
ENTRY = """
  is1:
    datacenters: [local1]
    s3Bucket: is1-backups
    storageProfile: S
    s3Credentials:
      accessKey: is1
      secretKey: is1-local-secret
    ldapCredentials:
      bindDn: cn=pgadmin-is1,ou=services,dc=pgaas,dc=local
      bindPassword: pgadmin-is1
"""


def add_stranger(root: Path) -> None:
    """Register it in a root, with the databases that ic1 has."""
    clients = root / CLIENTS
    clients.write_text(clients.read_text().rstrip("\n") + ENTRY)
    databases = (root / "confs/users/ic1/local/databases.yaml").read_text()
    own = root / "confs/users/is1/local/databases.yaml"
    own.parent.mkdir(parents=True, exist_ok=True)
    own.write_text(databases.replace(".ic1.", ".is1."))


def remove_stranger(root: Path) -> None:
    """Take it out of a root again."""
    clients = root / CLIENTS
    clients.write_text(clients.read_text().partition("\n  is1:")[0] + "\n")
    (root / "confs/users/is1/local/databases.yaml").unlink()
