"""Where a changed value was written: from a path of the values back to the lines that people wrote."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pgaas.config.resolved import Origin, ResolvedClient
from pgaas.render.effects import fits
from pgaas.render.leaves import Leaf

AT_MOST = 3
NAMED = ("roles", "databases")
_SIZE = ("client.storageProfile",)
_WHO = ("roles", "databases", "pgadminUser")
_PLACE = "datacenters.{dc}."
_NAMES = ("dns", _PLACE + "dns", _PLACE + "dnsSuffix")
_TOPOLOGY = (
    "client.primaryDatacenter",
    "client.replication",
    "client.datacenters",
    "client.originDatacenter",
    "client.recoveredFrom",
    "client.archiveGenerations",
)
_LDAP = ("ldap", "client.ldapCredentials", "client.replication")
# By the beginning of a path of the values: what it is made of. {2} is the path's third part, {profile}
# and {dc} are the client's own.
SOURCES: Mapping[str, tuple[str, ...]] = {
    "cluster.instances": ("postgresql.instances",),
    "cluster.enablePDB": ("postgresql.instances",),
    "cluster.storage.size": (*_SIZE, "storageProfiles.{profile}.storage"),
    "cluster.storage.storageClass": ("postgresql.storage.storageClass",),
    "cluster.resources.*.*": (*_SIZE, "storageProfiles.{profile}.resources.{2}.{3}"),
    "cluster.parameters.*": ("postgresql.parameters.{2}",),
    "cluster.pgHba": _WHO,
    "cluster.pgIdent": _WHO,
    "cluster.roles.*.*": ("roles.[{2}].{3}", "pgadminUser"),
    "cluster.roles.*": ("roles.[{2}]", "pgadminUser"),
    "cluster.plugins": ("plugins", "client.archiveGenerations"),
    "cluster.services": (_PLACE + "services", _PLACE + "dnsSuffix"),
    "cluster.bootstrap": _TOPOLOGY,
    "cluster.primaryUpdateStrategy": ("postgresql.primaryUpdateStrategy",),
    "cluster.primaryUpdateMethod": ("postgresql.primaryUpdateMethod",),
    "cluster.maxStartDelay": ("postgresql.maxStartDelay",),
    "cluster.maxStopDelay": ("postgresql.maxStopDelay",),
    "imageCatalog.name": ("imageCatalog.name",),
    "imageCatalog.images.*": ("imageCatalog.images.[{2}]",),
    "imageCatalog.major": ("postgresql.majorVersion",),
    "replication": _TOPOLOGY,
    "databases.*.*": ("databases.[{1}].{2}",),
    "databases.*": ("databases.[{1}]",),
    "objectStores.*.destinationPath": ("client.s3Bucket", "client.replication.replicaSource"),
    "objectStores.*.endpointURL": (_PLACE + "s3.endpoint",),
    "objectStores.*.region": (_PLACE + "s3.region",),
    "objectStores.*.sidecarEnv": (_PLACE + "s3.region",),
    "objectStores.*.sidecarResources.*.*": (
        *_SIZE,
        "storageProfiles.{profile}.sidecar.resources.{3}.{4}",
    ),
    "objectStores.*.*": ("backup.{2}",),
    "objectStores": _TOPOLOGY,
    "scheduledBackup.*": ("backup.{1}",),
    "s3.bucket": ("client.s3Bucket",),
    "s3.endpoint": (_PLACE + "s3.endpoint",),
    "s3.region": (_PLACE + "s3.region",),
    "s3": ("client.s3Credentials",),
    "certificates.clients": _WHO,
    "certificates.clusterIssuer": (_PLACE + "clusterIssuer",),
    "certificates.server.dnsNames": _NAMES,
    "certificates.clientCASecret": ("client.replication",),
    "certificates.*": ("certificates.{1}",),
    "monitoring.*": ("monitoring.{1}", "monitoring.enabled"),
    "dns.zone": ("dns.zone",),
    "dns.endpoint": ("dns.endpoint",),
    "dns.ttl": ("dns.ttl",),
    "dns": _NAMES,
    "networkPolicy": (
        "client.networkPolicy",
        _PLACE + "operatorNamespace",
        _PLACE + "monitoringNamespaces",
        _PLACE + "podCIDRs",
    ),
    "pgadmin4.enabled": ("pgadmin", "client.ldapCredentials"),
    "pgadmin4.image": ("pgadmin.image",),
    "pgadmin4.resources.*.*": ("pgadmin.resources.{2}.{3}",),
    "pgadmin4.ldap": _LDAP,
    "pgadmin4.database": ("client.replication", "client.datacenters", *_NAMES, "pgadminUser"),
    "pgadmin4.certificate.clusterIssuer": (_PLACE + "clusterIssuer",),
    "pgadmin4.certificate.dnsNames": _NAMES,
    "pgadmin4.certificate": ("certificates",),
    "pgadmin4.service": (_PLACE + "services", _PLACE + "dnsSuffix"),
    "pgadmin4.networkPolicy": ("client.networkPolicy", _PLACE + "podCIDRs", *_LDAP),
}


@dataclass(frozen=True)
class Place:
    """A file below the root, a line of it, and the path that is written there, or `gone` was before."""

    file: str
    line: int
    path: str
    gone: bool = False


class Written:
    """Everything that people wrote about one target, entries of lists under their names.

    So the same entry has the same path on both sides of a change, wherever it stands in its list.
    """

    def __init__(self, resolved: ResolvedClient) -> None:
        merged = resolved.merged
        self.resolved = resolved
        self.names = {
            "roles": [role.name for role in merged.roles],
            "databases": [database.name for database in merged.databases],
            "imageCatalog.images": [str(image.major) for image in merged.image_catalog.images],
        }
        self.owners = {database.name: database.owner for database in merged.databases}
        self.origins = {_keyed(path, self.names): origin for path, origin in resolved.origins.items()}

    def about(self, leaf: Leaf) -> dict[str, Origin]:
        """Return what a value is made of."""
        wanted = [_filled(template, leaf, self.resolved) for template in _templates(leaf)]
        entry = self._entries(leaf)
        return {
            path: origin
            for path, origin in self.origins.items()
            for prefix in wanted
            if (path == prefix or path.startswith(f"{prefix}."))
            and (prefix not in NAMED or path.startswith(entry))
        }

    def _entries(self, leaf: Leaf) -> tuple[str, ...]:
        """Return the role and the databases that a rule of pg_hba, or a certificate, is about."""
        value: Any = leaf.after if leaf.after is not None else leaf.before
        if isinstance(value, dict):
            value = value.get("role")
        words = set(re.split("[ .]", value)) if isinstance(value, str) else set()
        databases = words & self.owners.keys() or {
            name for name, owner in self.owners.items() if owner in words
        }
        roles = words & set(self.names["roles"])
        return (*(f"roles.[{name}]" for name in roles), *(f"databases.[{name}]" for name in databases))


def places_of(leaf: Leaf, after: Written | None, before: Written | None) -> tuple[Place, ...]:
    """Return where a change was written: on the later side, or on the earlier for what is gone from there.

    With both sides at hand it is only what differs between them; with one, what the value is made of.
    """
    if after is None or (before is None and leaf.removed):
        return ()
    found, gone = after.about(leaf), False
    if before is not None:
        old = before.about(leaf)
        differing = {path: new for path, new in found.items() if not _same(old.get(path), new)}
        gone = not differing
        found = differing or {path: origin for path, origin in old.items() if path not in found}
    by_line: dict[tuple[str, int], Place] = {}
    wanted = [_filled(template, leaf, after.resolved) for template in _templates(leaf)]
    for path, origin in sorted(found.items(), key=lambda each: _order(each[0], wanted)):
        by_line.setdefault((origin.file, origin.line), Place(origin.file, origin.line, path, gone))
    return tuple(by_line.values())[:AT_MOST]


def _order(path: str, wanted: list[str]) -> int:
    """Return which of what a value is made of a path belongs to: what names it most directly comes first."""
    return next((number for number, prefix in enumerate(wanted) if path.startswith(prefix)), len(wanted))


def _same(old: Origin | None, new: Origin) -> bool:
    return old is not None and old.value == new.value


def _templates(leaf: Leaf) -> tuple[str, ...]:
    for pattern, templates in SOURCES.items():
        parts = pattern.split(".")
        if len(parts) <= len(leaf.path) and fits(parts, leaf.path[: len(parts)]):
            return templates
    return ()


def _filled(template: str, leaf: Leaf, resolved: ResolvedClient) -> str:
    text = template.replace("{profile}", resolved.client.storage_profile).replace("{dc}", resolved.target.dc)
    for number, part in enumerate(leaf.path):
        text = text.replace(f"{{{number}}}", part)
    return text


def _keyed(path: str, names: Mapping[str, list[str]]) -> str:
    for where, known in names.items():
        if path.startswith(f"{where}."):
            number, dot, rest = path.removeprefix(f"{where}.").partition(".")
            if number.isdecimal() and int(number) < len(known):
                return f"{where}.[{known[int(number)]}]{dot}{rest}"
    return path
