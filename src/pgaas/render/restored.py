"""The values of a cluster that is restored beside its source: the same chart, other names, and less of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from pgaas.config.naming import (
    RestoredNames,
    Target,
    backup_path,
    cluster_name,
    namespace,
    replica_path,
    restored_names,
)
from pgaas.config.resolved import ResolvedClient
from pgaas.config.restored import label_value
from pgaas.render.build import build_values
from pgaas.render.pgadmin_values import NoPgadmin
from pgaas.render.shapes import Values
from pgaas.render.topology import BOOTSTRAP_DATABASE, BOOTSTRAP_OWNER
from pgaas.render.values import (
    Bootstrap,
    CatalogImage,
    Certificates,
    Cluster,
    GeneratedValues,
    ObjectStore,
    Restore,
    Storage,
)

Part = TypeVar("Part", bound=Values)
# It is looked at, and copied from; who wants more of it makes it a cluster of its own.
INSTANCES = 1


@dataclass(frozen=True)
class Restoring:
    """What is restored, and as what.

    `source` is the target whose archive is read, from its folder `server_name`. `request` says what was asked
    for; of `target_time` and `immediate` one at most is set. `storage_size` is empty for the client's own.
    `own_clients` gives it client certificates of its own, where those of the source are gone.
    """

    name: str
    source: Target
    server_name: str
    request: str
    backup_id: str
    image: str
    major: int
    storage_size: str = ""
    target_time: str = ""
    immediate: bool = False
    timeline: int = 0
    own_clients: bool = False


def archive_path(resolved: ResolvedClient, source: Target) -> str:
    """Return the URL below which this datacenter reads the archives of another one, or of itself."""
    copied = resolved.client.replication.replica_source == "mirror" and source.dc != resolved.target.dc
    return (replica_path if copied else backup_path)(resolved.client.s3_bucket, source)


def restored_values(resolved: ResolvedClient, wanted: Restoring) -> GeneratedValues:
    """Return everything that the chart prints for a restored cluster.

    It trusts its own client CA for the one certificate that the instances need, and beside it whomever the
    bundle lets in, so that it depends on nothing of its source's and survives it.
    """
    base, names = build_values(resolved), restored_names(wanted.name)
    source = cluster_name(wanted.source)
    return _with(
        base,
        cluster=_cluster(base.cluster, wanted, source),
        image_catalog=_with(
            base.image_catalog,
            name=wanted.name,
            images=[CatalogImage(major=wanted.major, image=wanted.image)],
            major=wanted.major,
        ),
        replication=_with(
            base.replication, enabled=False, self_name="", primary="", source="", external_clusters=[]
        ),
        restore=Restore(
            enabled=True,
            restored_from=source,
            target=label_value(wanted.request),
            request=f"{wanted.request} of {wanted.server_name}",
            server_name=wanted.server_name,
            backup_id=wanted.backup_id,
            target_time=wanted.target_time,
            target_immediate=wanted.immediate,
            target_tli=str(wanted.timeline or ""),
        ),
        databases=[],
        object_stores=[_store(base.object_stores[0], wanted, archive_path(resolved, wanted.source))],
        scheduled_backup=_with(base.scheduled_backup, enabled=False, immediate=False),
        s3=_with(base.s3, secret_name=names.s3_secret) if base.s3.create_secret else base.s3,
        certificates=_certificates(base, resolved, names, own_clients=wanted.own_clients),
        monitoring=_with(
            base.monitoring,
            enabled=False,
            custom_queries=False,
            disable_default_queries=True,
            config_map=names.monitoring_queries,
            # Its source's Role shows the namespace's pods already: a second one would be of the same name.
            collector_namespace="",
            collector_account="",
        ),
        dns=_with(base.dns, endpoint=False),
        rbac=_with(base.rbac, enabled=False, client_group=""),
        pgadmin4=NoPgadmin(enabled=False),
    )


def _cluster(cluster: Cluster, wanted: Restoring, source: str) -> Cluster:
    return _with(
        cluster,
        name=wanted.name,
        instances=INSTANCES,
        enable_pdb=False,
        storage=Storage(
            size=wanted.storage_size or cluster.storage.size, storage_class=cluster.storage.storage_class
        ),
        # They come with the data: the operator would make up for those that are missing, and hide it.
        roles=[],
        # No archiver: nothing that is written here may ever get into the archive that it came from.
        plugins=[],
        services=[],
        bootstrap=Bootstrap(
            method="recovery", database=BOOTSTRAP_DATABASE, owner=BOOTSTRAP_OWNER, source=source
        ),
        primary_update_strategy="unsupervised",
    )


def _store(own: ObjectStore, wanted: Restoring, path: str) -> ObjectStore:
    """Return the ObjectStore that the archive is read through: nothing is pruned through it."""
    return _with(own, name=wanted.name, destination_path=path, retention_policy="")


def _certificates(
    base: GeneratedValues, resolved: ResolvedClient, names: RestoredNames, *, own_clients: bool
) -> Certificates:
    certificates, space = base.certificates, namespace(resolved.target)
    ends = ("", f".{space}", f".{space}.svc", f".{space}.svc.cluster.local")
    return _with(
        certificates,
        self_signed=names.self_signed_issuer,
        client_ca=names.client_ca,
        client_ca_secret=names.client_ca_bundle,
        replication=names.replication_certificate,
        server=_with(
            certificates.server,
            name=names.server_certificate,
            dns_names=[f"{service}{end}" for service in names.services for end in ends],
        ),
        clients=[_with(each, name=names.client_certificate(each.role)) for each in certificates.clients]
        if own_clients
        else [],
    )


def _with(part: Part, **changes: object) -> Part:
    """Return a part of the values with some fields of it changed."""
    return type(part)(**{**vars(part), **changes})
