"""From a resolved client to the values of its pgAdmin: who logs in, and where it connects."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pgaas.config.naming import (
    INSIDE,
    Target,
    client_certificate_name,
    cluster_name,
    namespace,
    pgadmin_name,
    server_ca_bundle_name,
    server_certificate_name,
    service_fqdn,
)
from pgaas.render import topology
from pgaas.render.pgadmin_values import (
    NoPgadmin,
    Pgadmin,
    PgadminCertificate,
    PgadminConnection,
    PgadminDatabase,
    PgadminLdap,
    PgadminNetworkPolicy,
    PgadminPassword,
    PgadminService,
)

if TYPE_CHECKING:
    from pgaas.config.resolved import Directory, ResolvedClient
    from pgaas.render.shapes import Resources, TargetValues
    from pgaas.render.values import Dns, NetworkPolicy, Service

PRIMARY = "primary"
MAINTENANCE_DB = "postgres"
POSTGRESQL_PORT = 5432
LDAP_PORTS = {"ldap": 389, "ldaps": 636}
# Everybody knows it: it stands in local only, where all passwords do.
LOCAL_PASSWORD = "changeme"


def pgadmin(
    resolved: ResolvedClient,
    *,
    whose: TargetValues,
    resources: Resources,
    dns: Dns,
    policy: NetworkPolicy,
    beside: Service,
) -> Pgadmin | NoPgadmin:
    """Return the values of a client's pgAdmin; `beside` is the Service that PostgreSQL is reached by."""
    settings, directory, target = resolved.merged.pgadmin, resolved.directory, resolved.target
    if settings is None or directory is None:
        return NoPgadmin(enabled=False)
    return Pgadmin(
        enabled=True,
        target=whose,
        name=pgadmin_name(target),
        namespace=namespace(target),
        image=settings.image,
        resources=resources,
        # A name that nobody can have mail at.
        email=f"pgadmin@{namespace(target)}.local",
        default_password=_default_password(resolved),
        ldap=_ldap(resolved, directory),
        database=_database(resolved, dns),
        certificate=_certificate(resolved),
        service=_service(resolved, beside),
        network_policy=_network_policy(resolved, directory, policy),
    )


def _is_local(resolved: ResolvedClient) -> bool:
    return resolved.team_env == "local"


def _default_password(resolved: ResolvedClient) -> PgadminPassword:
    local = _is_local(resolved)
    return PgadminPassword(
        secret_name=f"{pgadmin_name(resolved.target)}-password",
        create=local,
        value=LOCAL_PASSWORD if local else "",
    )


def _ldap(resolved: ResolvedClient, directory: Directory) -> PgadminLdap:
    credentials = resolved.client.ldap_credentials
    assert credentials is not None  # else there would be no directory
    return PgadminLdap(
        server_uri=directory.server_uri,
        base_dn=directory.base_dn,
        search_filter=directory.search_filter,
        bind_dn=credentials.bind_dn,
        bind_password=PgadminPassword(
            secret_name=credentials.bind_password_secret or f"{pgadmin_name(resolved.target)}-ldap",
            create=credentials.bind_password_secret is None,
            value=credentials.bind_password or "",
        ),
        ca_config_map=directory.ca_config_map,
    )


def _database(resolved: ResolvedClient, dns: Dns) -> PgadminDatabase:
    target, role = resolved.target, resolved.merged.pgadmin_user.name
    replicated = resolved.client.replication.enabled
    return PgadminDatabase(
        role=role,
        group=f"{target.ins} {target.env}",
        maintenance_db=MAINTENANCE_DB,
        client_secret=client_certificate_name(target, role),
        root_config_map=server_ca_bundle_name(target) if replicated else "",
        root_secret="" if replicated else server_certificate_name(target),
        connections=_connections(resolved, dns),
    )


def _connections(resolved: ResolvedClient, dns: Dns) -> list[PgadminConnection]:
    """Return where the primary is, by the name that moves with it, and each side by a name of its own."""
    target, client = resolved.target, resolved.client
    if not client.replication.enabled:
        return [_connection(PRIMARY, f"{target.ins} {target.env}", _own_host(target))]
    hosts = {dc: _side_host(resolved, dc) for dc in client.datacenters}
    return [
        _connection(PRIMARY, f"{target.ins} {target.env}: primary", dns.primary_fqdn),
        *(_connection(dc, f"{target.ins} {target.env}: {dc}", host) for dc, host in hosts.items() if host),
    ]


def _connection(service: str, title: str, host: str) -> PgadminConnection:
    return PgadminConnection(service=service, title=title, host=host, port=POSTGRESQL_PORT)


def _own_host(target: Target) -> str:
    return f"{cluster_name(target)}-rw.{namespace(target)}.svc"


def _side_host(resolved: ResolvedClient, dc: str) -> str:
    """Return the name of a side that serves here, or nothing if only its own cluster knows one."""
    target = resolved.target
    if dc == target.dc:
        return _own_host(target)
    if _suffix(resolved, dc) == INSIDE:
        return topology.side_names(resolved).get(dc, "")
    return service_fqdn(Target(target.ins, target.env, dc), "rw", _suffix(resolved, dc))


def _suffix(resolved: ResolvedClient, dc: str) -> str:
    return resolved.datacenters.datacenters[dc].dns_suffix


def _certificate(resolved: ResolvedClient) -> PgadminCertificate:
    settings, target = resolved.merged.certificates, resolved.target
    name, space = pgadmin_name(target), namespace(target)
    inside = [name, f"{name}.{space}", f"{name}.{space}.svc", f"{name}.{space}.{INSIDE}"]
    outside = service_fqdn(target, "pgadmin", _suffix(resolved, target.dc))
    # Who forwards a port to it, in local, calls it localhost.
    near = ["localhost"] if _is_local(resolved) else []
    return PgadminCertificate(
        name=f"{name}-tls",
        cluster_issuer=resolved.datacenters.datacenters[target.dc].cluster_issuer,
        duration=settings.duration,
        renew_before=settings.renew_before,
        dns_names=list(dict.fromkeys([*inside, outside, *near])),
    )


def _service(resolved: ResolvedClient, beside: Service) -> PgadminService:
    rw = service_fqdn(resolved.target, "rw", _suffix(resolved, resolved.target.dc))
    own = service_fqdn(resolved.target, "pgadmin", _suffix(resolved, resolved.target.dc))
    return PgadminService(
        type=beside.type,
        external_traffic_policy=beside.external_traffic_policy,
        annotations={key: own if value == rw else value for key, value in beside.annotations.items()},
    )


def _network_policy(
    resolved: ResolvedClient, directory: Directory, policy: NetworkPolicy
) -> PgadminNetworkPolicy:
    url = urlsplit(directory.server_uri)
    return PgadminNetworkPolicy(
        enabled=policy.enabled,
        cluster=cluster_name(resolved.target),
        ldap_port=url.port or LDAP_PORTS[url.scheme],
        ldap_namespace=directory.namespace,
        other_side=resolved.client.replication.enabled,
        allowed_namespaces=policy.allowed_namespaces,
        allowed_cidrs=policy.allowed_cidrs,
    )
