"""Say where each value of a target came from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pgaas.config.environments import known, nearest
from pgaas.config.identifiers import SAFE_PARENT_ROLES
from pgaas.config.resolved import Origin, ResolvedClient
from pgaas.config.validate import SECRET_KEYS
from pgaas.errors import UsageError

HIDDEN = "(hidden)"
# What stands behind a default that is none of the model's own.
NOTES = {
    "client.primaryDatacenter": "the first of datacenters",
    "client.originDatacenter": "the first of datacenters",
    "ldap.serverUri": "openldap.yaml",
    "ldap.baseDn": "openldap.yaml",
    "ldap.searchFilter": "nobody but the client's own user",
}
RIGHTS = ("superuser", "replication", "bypassrls", "createrole")


@dataclass(frozen=True)
class Explained:
    """One leaf: value, file and line (empty and 0 for a default), what lost to it, what allowed it."""

    path: str
    value: Any
    file: str
    line: int
    overrode: tuple[Origin, ...] = ()
    note: str = ""


def explain(resolved: ResolvedClient, key: str | None = None) -> list[Explained]:
    """Return the leaves at or below a dotted path, or all of them.

    They are the merged tree's, the client's as `client.…`, the datacenter's as `dns.…` and
    `datacenters.DC.…`. Raise UsageError if there is no such path.
    """
    leaves = list(_leaves(resolved))
    if key is None:
        return leaves
    wanted = key.strip(".")
    found = [leaf for leaf in leaves if leaf.path == wanted or leaf.path.startswith(f"{wanted}.")]
    if found:
        return found
    paths = sorted({prefix for leaf in leaves for prefix in _prefixes(leaf.path)})
    tops = sorted({path.partition(".")[0] for path in paths})
    raise UsageError(
        f"there is no key {key!r}{nearest(wanted, paths)}", next_step=f"at the top, {known(tops)}"
    )


def _prefixes(path: str) -> Iterator[str]:
    parts = path.split(".")
    return (".".join(parts[:end]) for end in range(1, len(parts) + 1))


def _leaves(resolved: ResolvedClient) -> Iterator[Explained]:
    dc = resolved.target.dc
    datacenters = resolved.datacenters
    trees: tuple[tuple[str, Any], ...] = (
        ("", _plain(resolved.merged)),
        ("client", _unwritten(resolved) | _plain(resolved.client)),
        ("dns", _plain(datacenters.dns)),
        (f"datacenters.{dc}", _plain(datacenters.datacenters[dc])),
        ("ldap", _directory(resolved)),
    )
    for prefix, tree in trees:
        for path, value in _walk(tree, prefix) if tree else ():
            yield _explained(resolved, path, value)


def _unwritten(resolved: ResolvedClient) -> dict[str, Any]:
    """Return what a client's keys stand for while nobody has written them."""
    client = resolved.client
    return {"primaryDatacenter": client.primary, "originDatacenter": client.origin}


def _directory(resolved: ResolvedClient) -> dict[str, Any]:
    """Return who may log in to pgAdmin, as this client's filter has it; nothing if it has no pgAdmin."""
    found = resolved.directory
    if found is None:
        return {}
    filled = {
        "serverUri": found.server_uri,
        "baseDn": found.base_dn,
        "searchFilter": found.search_filter,
        "caConfigMap": found.ca_config_map,
    }
    return {key: value for key, value in filled.items() if value}


def _plain(model: Any) -> Any:
    return model.model_dump(by_alias=True, exclude_none=True)


def _walk(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if not isinstance(value, dict | list) or not value:
        yield path, value
        return
    for key, child in value.items() if isinstance(value, dict) else enumerate(value):
        yield from _walk(child, f"{path}.{key}" if path else str(key))


def _explained(resolved: ResolvedClient, path: str, value: Any) -> Explained:
    origin = resolved.origins.get(path)
    secret = path.rpartition(".")[2] in SECRET_KEYS
    return Explained(
        path=path,
        value=HIDDEN if secret else value,
        file=origin.file if origin else "",
        line=origin.line if origin else 0,
        overrode=origin.overrode if origin else (),
        note=_widened(resolved, path, value) or ("" if origin else NOTES.get(path, "")),
    )


def _widened(resolved: ResolvedClient, path: str, value: Any) -> str:
    """Say which line of clients.yaml let a client's role have what clients may not have."""
    parts = path.split(".")
    if parts[0] != "roles":
        return ""
    allow = ""
    if len(parts) == 3 and parts[2] in RIGHTS and value is True:
        allow = f"client.allow.{parts[2]}"
    elif len(parts) == 4 and parts[2] == "inRoles" and value in resolved.client.allow.in_roles:
        own = {role.name for role in resolved.merged.roles}
        if value not in own and value not in SAFE_PARENT_ROLES:
            allow = f"client.allow.inRoles.{resolved.client.allow.in_roles.index(value)}"
    origin = resolved.origins.get(allow)
    if origin is None:
        return ""
    place = f"clients.{resolved.target.ins}.{allow.removeprefix('client.')}"
    return f"allowed by {origin.file}:{origin.line} ({place})"
