"""Where a cluster was born, whom it follows, and in which archives."""

from __future__ import annotations

from pgaas.config.naming import (
    INSIDE,
    Target,
    archive_server_name,
    backup_path,
    cluster_name,
    object_store_name,
    replica_path,
    side_fqdn,
)
from pgaas.config.resolved import ResolvedClient
from pgaas.render.shapes import Resources
from pgaas.render.values import (
    Bootstrap,
    EnvironmentVariable,
    ExternalCluster,
    ObjectStore,
    Plugin,
    Replication,
)

# Not a client's database: the operator would make one called `app` otherwise. Clients' are Database objects.
BOOTSTRAP_DATABASE = "pgaas"
BOOTSTRAP_OWNER = "pgaas_owner"
BARMAN_PLUGIN = "barman-cloud.cloudnative-pg.io"
# Newer AWS libraries send checksums that S3-compatible servers of some age refuse.
CHECKSUM_VARIABLES = ("AWS_REQUEST_CHECKSUM_CALCULATION", "AWS_RESPONSE_CHECKSUM_VALIDATION")


def datacenter_targets(resolved: ResolvedClient) -> list[Target]:
    """Return the targets of all datacenters that replicate with one another; otherwise this one alone."""
    target, client = resolved.target, resolved.client
    if not client.replication.enabled:
        return [target]
    return [Target(target.ins, target.env, dc) for dc in client.datacenters]


def side_names(resolved: ResolvedClient) -> dict[str, str]:
    """Return the names that pgaas gives to sides whose Services have none beyond their own cluster.

    They stand in CoreDNS, beside the primary's: other providers keep no more than that one record.
    """
    settings, replicated = resolved.datacenters, resolved.client.replication.enabled
    if settings.dns.provider != "coredns" or not replicated:
        return {}
    return {
        target.dc: side_fqdn(target, settings.dns.zone)
        for target in datacenter_targets(resolved)
        if settings.datacenters[target.dc].dns_suffix == INSIDE
    }


def bootstrap(resolved: ResolvedClient) -> Bootstrap:
    """Return how this cluster was born: `initdb` in the client's origin, `recovery` everywhere else.

    A cluster that was rebuilt was recovered from the datacenter that clients.yaml names for it, another from
    the origin. Where the primary is today changes nothing about it: a cluster is born once.
    """
    target = resolved.target
    source = birthplace(resolved)
    if source is None:
        return Bootstrap(
            method="initdb", database=BOOTSTRAP_DATABASE, owner=BOOTSTRAP_OWNER, data_checksums=True
        )
    return Bootstrap(
        method="recovery",
        database=BOOTSTRAP_DATABASE,
        owner=BOOTSTRAP_OWNER,
        source=cluster_name(Target(target.ins, target.env, source)),
    )


def birthplace(resolved: ResolvedClient) -> str | None:
    """Return the datacenter from whose archive this cluster was recovered, or None if it began empty."""
    client, target = resolved.client, resolved.target
    if not client.replication.enabled:
        return None
    default = None if target.dc == client.origin else client.origin
    return client.recovered_from.get(cluster_name(target), default)


def server_name(resolved: ResolvedClient, target: Target) -> str:
    """Return the folder that a datacenter's cluster archives to in its present life."""
    return archive_server_name(target, resolved.client.generation(cluster_name(target)))


def replication(resolved: ResolvedClient) -> Replication:
    """Return the topology, the same in every datacenter but for `self` and `source`.

    A replica follows the primary; the primary names the datacenter it would follow if it were demoted.
    """
    targets = datacenter_targets(resolved)
    if len(targets) == 1:
        return Replication(enabled=False, self_name="", primary="", source="", external_clusters=[])
    own = cluster_name(resolved.target)
    primary = cluster_name(Target(resolved.target.ins, resolved.target.env, resolved.client.primary))
    others = [name for name in map(cluster_name, targets) if name != own]
    return Replication(
        enabled=True,
        self_name=own,
        primary=primary,
        source=others[0] if primary == own else primary,
        external_clusters=[
            ExternalCluster(
                name=cluster_name(target),
                barman_object_name=object_store_name(target),
                server_name=server_name(resolved, target),
            )
            for target in targets
        ],
    )


def plugins(resolved: ResolvedClient) -> list[Plugin]:
    """Return the Cluster's plugins: the archiver, named by the client or not, and what else it chose."""
    archiver = Plugin(
        name=BARMAN_PLUGIN,
        is_wal_archiver=True,
        parameters={
            "barmanObjectName": object_store_name(resolved.target),
            "serverName": server_name(resolved, resolved.target),
        },
    )
    chosen = [plugin.name for plugin in resolved.merged.plugins if plugin.name != BARMAN_PLUGIN]
    return [archiver, *(Plugin(name=name, parameters={}) for name in chosen)]


def object_stores(resolved: ResolvedClient, sidecar: Resources) -> list[ObjectStore]:
    """Return the archives that this cluster writes or reads, all through its own datacenter's S3 endpoint."""
    backup, s3 = resolved.merged.backup, resolved.datacenters.datacenters[resolved.target.dc].s3
    bucket = resolved.client.s3_bucket
    read_path = backup_path if resolved.client.replication.replica_source == "archive" else replica_path
    variables = [
        EnvironmentVariable(name="AWS_DEFAULT_REGION", value=s3.region),
        *(EnvironmentVariable(name=name, value="when_required") for name in CHECKSUM_VARIABLES),
    ]
    return [
        ObjectStore(
            name=object_store_name(target),
            destination_path=(backup_path if target == resolved.target else read_path)(bucket, target),
            endpoint_url=s3.endpoint,
            region=s3.region,
            retention_policy=backup.retention_policy if target == resolved.target else "",
            wal_compression=backup.wal_compression,
            wal_max_parallel=backup.wal_max_parallel,
            data_compression=backup.data_compression,
            sidecar_resources=sidecar,
            sidecar_env=variables if target == resolved.target else [],
        )
        for target in sorted(datacenter_targets(resolved), key=lambda each: each != resolved.target)
    ]
