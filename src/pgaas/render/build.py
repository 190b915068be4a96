"""From a resolved client to the values that the chart prints: every name and every choice is made here."""

from __future__ import annotations

from functools import cache
from typing import Literal, cast

from pgaas.config.environments import LOCAL
from pgaas.config.models.postgresql import ResourceAmounts
from pgaas.config.models.postgresql import Resources as ConfiguredResources
from pgaas.config.naming import (
    INSIDE,
    alias_fqdn,
    client_ca_bundle_name,
    client_ca_name,
    client_group,
    cluster_name,
    database_resource_name,
    load_balancer_name,
    monitoring_queries_name,
    namespace,
    replication_certificate_name,
    s3_secret_name,
    self_signed_issuer_name,
    server_certificate_name,
    service_fqdn,
    service_names,
)
from pgaas.config.resolved import ResolvedClient
from pgaas.render import access, topology
from pgaas.render.pgadmin import pgadmin
from pgaas.render.pgadmin_values import NoPgadmin, Pgadmin
from pgaas.render.shapes import AllowedNetwork, Resources, TargetValues, TeamEnvironment
from pgaas.render.values import (
    S3,
    CatalogImage,
    Certificates,
    Cluster,
    Database,
    Dns,
    GeneratedValues,
    ImageCatalog,
    Monitoring,
    NetworkPolicy,
    Rbac,
    Restore,
    ScheduledBackup,
    ServerCertificate,
    Service,
    Storage,
)

# While PostgreSQL waits for its clients to leave, it lets no new one in. Connection pools never leave: the
# operator's default of 180 s would be three minutes without writes at every restart.
SMART_SHUTDOWN_SECONDS = 5
SELF_SERVICE = ("hp", "perf")
ADMIN_GROUP = "pgaas-admins"
# External-dns 0.22 reads this prefix by default.
HOSTNAME_ANNOTATION = "external-dns.kubernetes.io/hostname"


def build_values(resolved: ResolvedClient) -> GeneratedValues:
    """Return everything that one cluster's chart prints."""
    merged, target = resolved.merged, resolved.target
    profile = merged.storage_profiles[resolved.client.storage_profile]
    logins = access.logins(merged, target)
    return GeneratedValues(
        target=_target(resolved),
        cluster=_cluster(resolved, logins),
        image_catalog=ImageCatalog(
            name=merged.image_catalog.name,
            images=[CatalogImage(major=each.major, image=each.image) for each in merged.image_catalog.images],
            major=merged.postgresql.major_version,
        ),
        replication=topology.replication(resolved),
        restore=Restore(),
        databases=[
            Database(resource=database_resource_name(target, each.name), name=each.name, owner=each.owner)
            for each in merged.databases
        ],
        object_stores=topology.object_stores(resolved, _resources(profile.sidecar.resources)),
        scheduled_backup=ScheduledBackup(
            schedule=merged.backup.schedule, target=merged.backup.target, immediate=True
        ),
        s3=_s3(resolved),
        certificates=_certificates(resolved, logins),
        monitoring=_monitoring(resolved),
        dns=_dns(resolved),
        network_policy=_network_policy(resolved),
        rbac=_rbac(resolved),
        pgadmin4=_pgadmin(resolved),
    )


def _target(resolved: ResolvedClient) -> TargetValues:
    target = resolved.target
    team_env = cast("TeamEnvironment", resolved.team_env)
    return TargetValues(ins=target.ins, env=target.env, dc=target.dc, team_env=team_env)


def _cluster(resolved: ResolvedClient, logins: list[access.Login]) -> Cluster:
    merged, target = resolved.merged, resolved.target
    postgresql = merged.postgresql
    profile = merged.storage_profiles[resolved.client.storage_profile]
    return Cluster(
        name=cluster_name(target),
        namespace=namespace(target),
        instances=postgresql.instances,
        # With one instance it would forbid every drain of its node, for good.
        enable_pdb=postgresql.instances > 1,
        storage=Storage(size=profile.storage.size, storage_class=postgresql.storage.storage_class),
        resources=_resources(profile.resources),
        parameters=dict(sorted(postgresql.parameters.items())),
        pg_hba=access.hba_rules(logins),
        pg_ident=access.ident_rules(logins),
        roles=access.roles(merged),
        plugins=topology.plugins(resolved),
        services=_services(resolved),
        bootstrap=topology.bootstrap(resolved),
        primary_update_strategy=postgresql.primary_update_strategy,
        primary_update_method=postgresql.primary_update_method,
        max_start_delay=postgresql.max_start_delay,
        max_stop_delay=postgresql.max_stop_delay,
        smart_shutdown_timeout=SMART_SHUTDOWN_SECONDS,
        users_revision=resolved.users_revision,
    )


def _resources(configured: ConfiguredResources) -> Resources:
    def amounts(each: ResourceAmounts) -> dict[str, str]:
        pairs = (("cpu", each.cpu), ("memory", each.memory))
        return {name: amount for name, amount in pairs if amount is not None}

    return Resources(requests=amounts(configured.requests), limits=amounts(configured.limits))


def _services(resolved: ResolvedClient) -> list[Service]:
    target = resolved.target
    datacenter = resolved.datacenters.datacenters[target.dc]
    local = resolved.team_env == LOCAL

    def service(kind: Literal["rw", "ro"]) -> Service:
        settings = datacenter.services.rw if kind == "rw" else datacenter.services.ro
        fqdn = service_fqdn(target, kind, datacenter.dns_suffix)
        return Service(
            name=load_balancer_name(target, kind),
            selector_type=kind,
            type=settings.type,
            external_traffic_policy="" if local or settings.type == "ClusterIP" else "Local",
            annotations=settings.annotations | ({} if local else {HOSTNAME_ANNOTATION: fqdn}),
        )

    return [service("rw"), service("ro")]


def _s3(resolved: ResolvedClient) -> S3:
    credentials = resolved.client.s3_credentials
    datacenter = resolved.datacenters.datacenters[resolved.target.dc]
    return S3(
        bucket=resolved.client.s3_bucket,
        endpoint=datacenter.s3.endpoint,
        region=datacenter.s3.region,
        secret_name=credentials.secret_name or s3_secret_name(resolved.target),
        create_secret=credentials.secret_name is None,
        access_key=credentials.access_key or "",
        secret_key=credentials.secret_key or "",
    )


def _certificates(resolved: ResolvedClient, logins: list[access.Login]) -> Certificates:
    settings, target = resolved.merged.certificates, resolved.target
    return Certificates(
        cluster_issuer=resolved.datacenters.datacenters[target.dc].cluster_issuer,
        duration=settings.duration,
        renew_before=settings.renew_before,
        ca_duration=settings.ca_duration,
        self_signed=self_signed_issuer_name(target),
        client_ca=client_ca_name(target),
        client_ca_secret=_client_ca_secret(resolved),
        replication=replication_certificate_name(target),
        server=ServerCertificate(name=server_certificate_name(target), dns_names=_server_names(resolved)),
        clients=access.client_certificates(logins, target),
    )


def _client_ca_secret(resolved: ResolvedClient) -> str:
    """Return the Secret whose ca.crt PostgreSQL trusts; the CA's own would bring its key along.

    The chart does not make the bundle: it holds what cert-manager makes in every datacenter.
    """
    if resolved.client.replication.enabled:
        return client_ca_bundle_name(resolved.target)
    return replication_certificate_name(resolved.target)


def _server_names(resolved: ResolvedClient) -> list[str]:
    """Return every name that PostgreSQL answers to; the primary's alias may come to any datacenter."""
    target, dns = resolved.target, _dns(resolved)
    own = topology.side_names(resolved).get(target.dc)
    suffix = resolved.datacenters.datacenters[target.dc].dns_suffix
    inside = [
        f"{service}{end}"
        for service in service_names(target)
        for end in (
            "",
            f".{namespace(target)}",
            f".{namespace(target)}.svc",
            f".{namespace(target)}.{INSIDE}",
        )
    ]
    outside = [service_fqdn(target, kind, suffix) for kind in ("rw", "ro")]
    aliases = [dns.ro_fqdn, dns.primary_fqdn, *([own] if own else [])]
    return list(dict.fromkeys([*inside, *outside, *aliases]))


def _monitoring(resolved: ResolvedClient) -> Monitoring:
    settings, collector = resolved.merged.monitoring, resolved.collector
    return Monitoring(
        enabled=settings.enabled,
        tls=settings.tls,
        custom_queries=settings.enabled and settings.custom_queries,
        disable_default_queries=not settings.enabled or settings.disable_default_queries,
        config_map=monitoring_queries_name(resolved.target),
        collector_namespace=collector.namespace if collector else "",
        collector_account=collector.account if collector else "",
    )


def _dns(resolved: ResolvedClient) -> Dns:
    target, dns = resolved.target, resolved.datacenters.dns
    datacenter = resolved.datacenters.datacenters[target.dc]
    return Dns(
        zone=dns.zone,
        primary_fqdn=alias_fqdn(dns.primary_prefix, target, dns.zone),
        ro_fqdn=alias_fqdn(datacenter.dns.ro_prefix, target, dns.zone),
        ro_target=service_fqdn(target, "ro", datacenter.dns_suffix),
        endpoint=dns.endpoint,
        ttl=dns.ttl,
    )


def _network_policy(resolved: ResolvedClient) -> NetworkPolicy:
    datacenter = resolved.datacenters.datacenters[resolved.target.dc]
    policy = resolved.client.network_policy
    monitoring = datacenter.monitoring_namespaces
    return NetworkPolicy(
        enabled=resolved.team_env != LOCAL,
        operator_namespace=datacenter.operator_namespace,
        monitoring_namespaces=monitoring,
        # Whoever scrapes metrics does not need SQL.
        allowed_namespaces=[each for each in policy.allowed_namespaces if each not in monitoring],
        allowed_cidrs=[_network(cidr, tuple(datacenter.pod_cidrs)) for cidr in policy.allowed_cidrs],
    )


@cache
def _network(cidr: str, pods: tuple[str, ...]) -> AllowedNetwork:
    """Return a network without the pods in it: a policy takes a pod's address as readily as a machine's."""
    from ipaddress import ip_network

    outer = ip_network(cidr)
    inner = [
        pod
        for pod in pods
        if ip_network(pod).version == outer.version
        and ip_network(pod) != outer
        and ip_network(pod).subnet_of(outer)  # type: ignore[arg-type]
    ]
    return AllowedNetwork(cidr=cidr, excepted=inner)


def _rbac(resolved: ResolvedClient) -> Rbac:
    own_people = client_group(resolved.target.ins) if resolved.team_env in SELF_SERVICE else ""
    return Rbac(enabled=resolved.team_env != LOCAL, admin_group=ADMIN_GROUP, client_group=own_people)


def _pgadmin(resolved: ResolvedClient) -> Pgadmin | NoPgadmin:
    settings = resolved.merged.pgadmin
    return pgadmin(
        resolved,
        whose=_target(resolved),
        resources=_resources(settings.resources if settings else ConfiguredResources()),
        dns=_dns(resolved),
        policy=_network_policy(resolved),
        beside=_services(resolved)[0],
    )
