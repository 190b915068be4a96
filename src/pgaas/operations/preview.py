"""Say in a reader's words what a cluster will be, from the values that would be written."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pgaas.config.naming import Target
from pgaas.config.resolve import ConfigCache, resolve_client
from pgaas.config.resolved import ResolvedClient
from pgaas.errors import ConfigError, ConfigIssue
from pgaas.operations.target import find_target
from pgaas.render.build import build_values
from pgaas.render.topology import bootstrap, datacenter_targets
from pgaas.render.values import GeneratedValues, Replication

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

SCHEMA = Path("charts/core/values.schema.json")
BY_CERTIFICATE = "cert"


@dataclass(frozen=True)
class Section:
    """One table: a key for programs, a title for people, its columns and rows."""

    key: str
    title: str
    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]


@dataclass(frozen=True)
class Preview:
    """What a target's cluster will be."""

    target: Target
    sections: list[Section]


def preview(root: Path, ins: str, env: str, dc: str | None) -> Preview:
    """Generate a target's values in memory, check them against the chart's schema, and summarise them.

    Raise ConfigError with every issue of every file, or with everything that the schema refuses.
    """
    cache = ConfigCache()
    target = find_target(root, ins, env, dc, cache)
    resolved = resolve_client(root, target, cache)
    values = build_values(resolved)
    check_schema(values.plain(), root)
    return Preview(target, [*summarise(values), *topology(resolved, values)])


def check_schema(plain: dict[str, Any], root: Path) -> None:
    """Raise ConfigError with all that the chart's values.schema.json refuses, or if it cannot be read."""
    from jsonschema import Draft202012Validator

    try:
        schema = json.loads((root / SCHEMA).read_bytes())
    except FileNotFoundError as error:
        raise _unusable("not found", "restore the chart from Git") from error
    except ValueError as error:
        raise _unusable(f"not JSON: {error}", "restore it from Git") from error
    issues = [_issue(error) for error in Draft202012Validator(schema).iter_errors(plain)]
    if issues:
        raise ConfigError(
            issues, next_step="bring the chart and pgaas to one version: restore charts/core from Git"
        )


def _unusable(why: str, next_step: str) -> ConfigError:
    return ConfigError([ConfigIssue(SCHEMA.as_posix(), 0, "", why)], next_step=next_step)


def _issue(error: ValidationError) -> ConfigIssue:
    return ConfigIssue(
        SCHEMA.as_posix(), 0, ".".join(str(part) for part in error.absolute_path), error.message
    )


def summarise(values: GeneratedValues) -> list[Section]:
    """Return the tables of a summary; none holds a secret."""
    return [
        _cluster(values),
        _databases(values),
        _roles(values),
        _logins(values),
        _certificates(values),
        _backups(values),
        _names(values),
        _policies(values),
        _pgadmin(values),
    ]


def _pairs(key: str, title: str, pairs: dict[str, Any]) -> Section:
    return Section(key, title, ("setting", "value"), list(pairs.items()))


def _cluster(values: GeneratedValues) -> Section:
    cluster, catalog = values.cluster, values.image_catalog
    return _pairs(
        "cluster",
        f"Cluster {cluster.name}",
        {
            "namespace": cluster.namespace,
            "postgresql": catalog.major,
            "image": next((each.image for each in catalog.images if each.major == catalog.major), ""),
            "instances": cluster.instances,
            "storage": f"{cluster.storage.size} ({cluster.storage.storage_class})",
            "memory": cluster.resources.limits.get("memory", ""),
            "cpu": cluster.resources.limits.get("cpu", ""),
            "parameters": [f"{name}={value}" for name, value in sorted(cluster.parameters.items())],
            "plugins": [plugin.name for plugin in cluster.plugins],
            "replication": _role_in(values.replication),
            "born by": f"{cluster.bootstrap.method} {cluster.bootstrap.source}".rstrip(),
        },
    )


def _role_in(replication: Replication) -> str:
    if not replication.enabled:
        return "none"
    if replication.primary == replication.self_name:
        return f"primary, followed by {replication.source}"
    return f"replica of {replication.source}"


def topology(resolved: ResolvedClient, values: GeneratedValues) -> list[Section]:
    """Return the table of all datacenters that replicate with one another, or none for a single cluster.

    The archives are where this target's cluster writes its own and reads the others'.
    """
    replication = values.replication
    if not replication.enabled:
        return []
    stores = {store.name: store.destination_path for store in values.object_stores}
    rows: list[tuple[Any, ...]] = []
    for target, external in zip(datacenter_targets(resolved), replication.external_clusters, strict=True):
        born = bootstrap(resolved._replace(target=target))
        primary = external.name == replication.primary
        lost = target.dc in resolved.client.lost_datacenters
        rows.append(
            (
                target.dc,
                external.name,
                "primary"
                if primary
                else "lost, to be rebuilt"
                if lost
                else f"replica of {replication.primary}",
                f"{born.method} {born.source}".rstrip(),
                f"{stores[external.barman_object_name]}{external.server_name}/",
            )
        )
    columns = ("datacenter", "cluster", "role", "born by", "archive")
    return [Section("topology", "Datacenters", columns, rows)]


def _databases(values: GeneratedValues) -> Section:
    rows: list[tuple[Any, ...]] = [(each.name, each.owner, each.resource) for each in values.databases]
    return Section("databases", "Databases", ("database", "owner", "object"), rows)


def _roles(values: GeneratedValues) -> Section:
    rights = ("superuser", "createdb", "createrole", "replication", "bypassrls")
    rows: list[tuple[Any, ...]] = [
        (
            role.name,
            role.ensure,
            role.login,
            [right for right in rights if getattr(role, right)],
            role.in_roles,
            role.connection_limit if role.connection_limit >= 0 else "no limit",
        )
        for role in values.cluster.roles
    ]
    columns = ("role", "ensure", "login", "rights", "member of", "connections")
    return Section("roles", "Roles", columns, rows)


def _logins(values: GeneratedValues) -> Section:
    names = {client.role: client for client in values.certificates.clients}
    rows: list[tuple[Any, ...]] = []
    for rule in values.cluster.pg_hba:
        kind, database, role, address, method, *_ = rule.split()
        certificate = names.get(role) if method == BY_CERTIFICATE else None
        rows.append(
            (
                role,
                database,
                address,
                f"certificate over TLS ({kind})" if certificate else f"{method} ({kind})",
                certificate.common_name if certificate else "",
                certificate.name if certificate else "",
            )
        )
    columns = ("role", "database", "from", "how", "common name", "secret")
    return Section("logins", "Who can log in where, the first rule that fits decides", columns, rows)


def _certificates(values: GeneratedValues) -> Section:
    certificates = values.certificates
    return _pairs(
        "certificates",
        "Certificates",
        {
            "server": f"{certificates.server.name}, issued by {certificates.cluster_issuer}",
            "server names": certificates.server.dns_names,
            "client ca": certificates.client_ca,
            "renewed": f"{certificates.renew_before} before the end of {certificates.duration}",
        },
    )


def _backups(values: GeneratedValues) -> Section:
    stores = {
        f"object store {store.name}": f"{store.destination_path} at {store.endpoint_url}, "
        + (f"kept {store.retention_policy}" if store.retention_policy else "read only")
        for store in values.object_stores
    }
    backup, s3 = values.scheduled_backup, values.s3
    secret = f"{s3.secret_name} ({'made by the chart' if s3.create_secret else 'must exist'})"
    return _pairs(
        "backups",
        "Backups",
        {"schedule": f"{backup.schedule} (on {backup.target})", "credentials": secret, **stores},
    )


def _names(values: GeneratedValues) -> Section:
    dns = values.dns
    rows: list[tuple[Any, ...]] = [
        ("primary", dns.primary_fqdn, "moves with the primary"),
        ("read only", dns.ro_fqdn, f"{dns.ro_target}{'' if dns.endpoint else ', no DNSEndpoint'}"),
    ]
    rows += [
        (f"service {each.name}", each.type, [f"{name}={value}" for name, value in each.annotations.items()])
        for each in values.cluster.services
    ]
    return Section("names", "Names and Services", ("for", "name or type", "points to"), rows)


def _policies(values: GeneratedValues) -> Section:
    policy, rbac = values.network_policy, values.rbac
    return _pairs(
        "policies",
        "Network and rights",
        {
            "network policy": policy.enabled,
            "allowed namespaces": policy.allowed_namespaces,
            "allowed networks": [each.cidr for each in policy.allowed_cidrs],
            "monitoring namespaces": policy.monitoring_namespaces,
            "rbac": rbac.enabled,
            "admin group": rbac.admin_group if rbac.enabled else "",
            "client group": rbac.client_group if rbac.enabled else "",
        },
    )


def _pgadmin(values: GeneratedValues) -> Section:
    pgadmin = values.pgadmin4
    if not pgadmin.enabled:
        return _pairs("pgadmin", "pgAdmin", {"pgadmin": "none"})
    ldap, password = pgadmin.ldap, pgadmin.ldap.bind_password
    made = "made by the chart" if password.create else "must exist"
    first = pgadmin.default_password
    return _pairs(
        "pgadmin",
        "pgAdmin, and who may log in to it",
        {
            "service": f"{pgadmin.name} ({pgadmin.service.type})",
            "image": pgadmin.image,
            "who": f"{ldap.search_filter} below {ldap.base_dn} at {ldap.server_uri}",
            "looked up by": f"{ldap.bind_dn}, password in {password.secret_name} ({made})",
            "directory's root": f"ConfigMap {ldap.ca_config_map} (must exist)" if ldap.ca_config_map else "",
            "first account": f"password in {first.secret_name} "
            f"({'made by the chart' if first.create else 'must exist'})",
            "sees": [f"{each.title} ({each.host})" for each in pgadmin.database.connections],
            "as": f"{pgadmin.database.role}, by the certificate in {pgadmin.database.client_secret}",
        },
    )
