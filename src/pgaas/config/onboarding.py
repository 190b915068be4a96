"""What clients.yaml says of a client that is new, and how such a client comes into the file and out of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pgaas.config.blocks import add_block, remove_block
from pgaas.config.checks_stores import bind_dn
from pgaas.config.edit import CannotEdit, inline
from pgaas.config.environments import LOCAL, SHARED_ENVIRONMENT
from pgaas.config.load import Document, parse_document
from pgaas.config.naming import bind_password_name, bucket_name, s3_credentials_name
from pgaas.errors import ConfigError

if TYPE_CHECKING:
    from pgaas.config.admin import AdminEnvironment

CLIENTS = "clients"


@dataclass(frozen=True)
class Wish:
    """What is asked for a new client; None, or nothing, is what every client gets.

    `datacenters` begins with the one that gets the primary. `new_env` says that a sub-environment of hp which
    nobody has is meant.
    """

    profile: str | None = None
    datacenters: tuple[str, ...] = ()
    bucket: str | None = None
    cidrs: tuple[str, ...] = ()
    replicated: bool = True
    pgadmin: bool = True
    major: int | None = None
    new_env: bool = False


def client_block(admin: AdminEnvironment, ins: str, wish: Wish, dcs: tuple[str, ...]) -> dict[str, Any]:
    """Return a client as clients.yaml is to have it; in local with the keys that the local stores get."""
    team_env = admin.team_env
    block: dict[str, Any] = {"datacenters": list(dcs)}
    replicated = wish.replicated and len(dcs) > 1 and team_env != SHARED_ENVIRONMENT
    if replicated:
        block["primaryDatacenter"] = dcs[0]
    block["s3Bucket"] = wish.bucket or bucket_name(ins, team_env)
    block["storageProfile"] = wish.profile
    base_dn = _services_base(admin)
    if team_env == LOCAL:
        block["s3Credentials"] = {"accessKey": ins, "secretKey": f"{ins}-local-secret"}
        password = {"bindPassword": f"pgadmin-{ins}"}
    else:
        block["s3Credentials"] = {"secretName": s3_credentials_name(ins)}
        password = {"bindPasswordSecret": bind_password_name(ins)}
    if wish.pgadmin:
        block["ldapCredentials"] = {"bindDn": bind_dn(ins, base_dn), **password}
    if replicated:
        block["replication"] = {"enabled": True}
    if wish.cidrs:
        block["networkPolicy"] = {"allowedCIDRs": list(wish.cidrs)}
    return block


def _services_base(admin: AdminEnvironment) -> str:
    """Return below what the directory has the accounts of services: its base, outside local its domain."""
    if admin.team_env == LOCAL:
        return str(admin.part("openldap", "openldap", "baseDn"))
    people = str(admin.part("ldap", "ldap", "baseDn"))
    domain = [part.strip() for part in people.split(",") if part.strip().lower().startswith("dc=")]
    return ",".join(domain) or people


def with_client(old: Document, content: bytes, ins: str, block: dict[str, Any]) -> bytes:
    """Return clients.yaml with one more client.

    Raise ConfigError, with what to write, if only a person can do it.
    """
    wanted = {**(old.data or {}), CLIENTS: {**(old.data or {})[CLIENTS], ins: block}}
    by_hand = f"write below clients: in {old.file}: {inline(ins)}: {inline(shown_block(block))}"
    try:
        written = add_block(content.decode(), (CLIENTS,), ins, block).encode()
    except CannotEdit as error:
        raise _only_by_hand(old, (CLIENTS,), str(error), by_hand) from error
    return _checked(old, written, wanted, by_hand)


def without_client(old: Document, content: bytes, ins: str) -> bytes:
    """Return clients.yaml without a client and its comments. Raise ConfigError if only a person can do it."""
    clients = {name: client for name, client in (old.data or {})[CLIENTS].items() if name != ins}
    by_hand = f"remove {ins} below clients: in {old.file}"
    try:
        written = remove_block(content.decode(), (CLIENTS,), ins).encode()
    except CannotEdit as error:
        raise _only_by_hand(old, (CLIENTS, ins), str(error), by_hand) from error
    return _checked(old, written, {**(old.data or {}), CLIENTS: clients}, by_hand)


def shown_block(block: dict[str, Any]) -> dict[str, Any]:
    """Return a block without the values that nobody is to see."""
    from pgaas.config.blocks import MASK
    from pgaas.config.validate import SECRET_KEYS

    return {
        key: shown_block(value) if isinstance(value, dict) else MASK if key in SECRET_KEYS else value
        for key, value in block.items()
    }


def _checked(old: Document, written: bytes, wanted: dict[str, Any], by_hand: str) -> bytes:
    new = parse_document(old.file, written)
    # As text, so that order and types count too.
    if new.issues or json.dumps(new.data) != json.dumps(wanted):
        raise _only_by_hand(old, (CLIENTS,), "others refer to what would change", by_hand)
    return written


def _only_by_hand(old: Document, path: tuple[str, ...], reason: str, by_hand: str) -> ConfigError:
    issue = old.issue(path, f"can't be changed by a program ({reason}): change it by hand")
    return ConfigError([issue], next_step=by_hand)
