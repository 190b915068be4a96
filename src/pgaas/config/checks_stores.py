"""What has to fit together for the local S3 server and directory, which are made from clients.yaml."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from pgaas.config.environments import RESERVED_CODES, code_problem
from pgaas.config.models.clients import Client, ClientsFile

# A path within a file, and what is wrong there.
Finding = tuple[tuple[str | int, ...], str]


def bind_user(ins: str) -> str:
    """Return what the user is called by whom a client's pgAdmin searches the local directory."""
    return f"pgadmin-{ins}"


def bind_dn(ins: str, base_dn: str) -> str:
    """Return that user's name in full."""
    return f"cn={bind_user(ins)},ou=services,{base_dn}"


def check_directory(openldap: BaseModel) -> Iterator[Finding]:
    """Check that the directory's suffix is that of its domain."""
    settings = openldap.model_dump()["openldap"]
    wanted = ",".join(f"dc={label}" for label in settings["domain"].split("."))
    if settings["base_dn"] != wanted:
        yield ("openldap", "baseDn"), f"must be {wanted}, as the domain is {settings['domain']}"


def check_stores(
    clients: ClientsFile, seaweedfs: BaseModel | None, openldap: BaseModel | None
) -> Iterator[Finding]:
    """Check that each client has a bucket, keys and a bind user that are nobody else's."""
    # Read by name, so that only local, which has these files, loads their models.
    admin_key = seaweedfs.model_dump()["seaweedfs"]["s3"]["access_key"] if seaweedfs else None
    base_dn = openldap.model_dump()["openldap"]["base_dn"] if openldap else None
    buckets: dict[str, str] = {}
    keys: dict[str, str] = {}
    for ins, client in clients.clients.items():
        place = ("clients", ins)
        bucket, key = client.s3_bucket, client.s3_credentials.access_key
        if bucket in buckets:
            yield (*place, "s3Bucket"), f"{bucket!r} is {buckets[bucket]}'s: each client has its own"
        buckets.setdefault(bucket, ins)
        if key is not None:
            if key == admin_key:
                yield (
                    (*place, "s3Credentials", "accessKey"),
                    "is the admin's in seaweedfs.yaml: each client has its own, for its own bucket only",
                )
            elif key in keys:
                yield (
                    (*place, "s3Credentials", "accessKey"),
                    f"is {keys[key]}'s: each client has its own, for its own bucket only",
                )
            keys.setdefault(key, ins)
        if base_dn is not None:
            for path, message in _check_bind_user(ins, client, base_dn):
                yield (*place, *path), message


def _check_bind_user(ins: str, client: Client, base_dn: Any) -> Iterator[Finding]:
    credentials = client.ldap_credentials
    if credentials is None or credentials.bind_password is None:
        return
    if code_problem(ins) or ins in RESERVED_CODES:
        # Another check says that the client can't be called so.
        return
    wanted = bind_dn(ins, base_dn)
    if credentials.bind_dn != wanted:
        yield ("ldapCredentials", "bindDn"), f"must be {wanted}: this user the local directory makes for it"
