"""One look at everything that belongs to a cluster."""

from __future__ import annotations

from dataclasses import dataclass, field

from pgaas.kube.client import Api
from pgaas.kube.resources import (
    BACKUP,
    CERTIFICATE,
    CLUSTER,
    DATABASE,
    OBJECT_STORE,
    POD,
    SCHEDULED_BACKUP,
    SERVICE,
    Object,
    dig,
    name_of,
)

CLUSTER_LABEL = "cnpg.io/cluster"
# What the chart writes: the commit of the clients' repository that the cluster was deployed from.
USERS_REVISION = "pgaas.io/users-revision"
HEALTHY = "Cluster in healthy state"
UNRECOVERABLE = "Cluster is unrecoverable and needs manual intervention"
INVALID = "Invalid cluster definition"
SETTING_UP = "Setting up primary"
BACKUP_DONE = "completed"
BACKUP_FAILED = ("failed", "walArchivingFailing", "invalid backup definition")


@dataclass(frozen=True)
class Snapshot:
    """A cluster and what belongs to it; `cluster` is None if there is none."""

    name: str
    namespace: str
    cluster: Object | None
    databases: list[Object]
    certificates: list[Object]
    backups: list[Object]
    stores: list[Object]
    pods: list[Object] = field(default_factory=list)
    services: list[Object] = field(default_factory=list)
    scheduled: Object | None = None

    @property
    def phase(self) -> str:
        """Return the phase in the operator's words."""
        return str(dig(self.cluster, "status", "phase", default=""))

    @property
    def deleting(self) -> bool:
        """Whether the cluster is being deleted."""
        return dig(self.cluster, "metadata", "deletionTimestamp") is not None

    def condition(self, kind: str) -> Object:
        """Return one of the cluster's conditions, or an empty one."""
        entries = dig(self.cluster, "status", "conditions", default=[])
        return next((entry for entry in entries if entry.get("type") == kind), {})


def users_revision(cluster: Object | None) -> str:
    """Return the commit of the clients' repository that a cluster was deployed from, or an empty text."""
    return str(dig(cluster, "metadata", "annotations", default={}).get(USERS_REVISION, ""))


def take_snapshot(api: Api, name: str, namespace: str, *, everything: bool = False) -> Snapshot:
    """Look at a cluster; `everything` adds pods, services and the schedule, which waits do not need."""
    cluster = api.get(CLUSTER, name, namespace)
    ours = {CLUSTER_LABEL: name}
    return Snapshot(
        name=name,
        namespace=namespace,
        cluster=cluster,
        databases=[
            database
            for database in api.find(DATABASE, namespace)
            if dig(database, "spec", "cluster", "name") == name
        ],
        certificates=[
            certificate
            for certificate in api.find(CERTIFICATE, namespace)
            if name_of(certificate).startswith(f"{name}-")
        ],
        backups=backups_of(api, name, namespace, since=cluster),
        stores=api.find(OBJECT_STORE, namespace),
        pods=api.find(POD, namespace, labels=ours) if everything else [],
        services=services_of(api, name, namespace) if everything else [],
        scheduled=api.get(SCHEDULED_BACKUP, name, namespace) if everything else None,
    )


def backups_of(api: Api, name: str, namespace: str, *, since: Object | None = None) -> list[Object]:
    """Return a cluster's Backups, oldest first; with `since`, those of this life of the cluster only."""
    born = str(dig(since, "metadata", "creationTimestamp", default=""))
    found = [
        backup
        for backup in api.find(BACKUP, namespace)
        if dig(backup, "spec", "cluster", "name") == name
        and dig(backup, "metadata", "creationTimestamp", default="") >= born
    ]
    return sorted(found, key=lambda backup: str(dig(backup, "metadata", "creationTimestamp")))


def services_of(api: Api, name: str, namespace: str) -> list[Object]:
    """Return a cluster's Services, those of the operator and the LoadBalancers beside them."""
    return api.find(SERVICE, namespace, labels={CLUSTER_LABEL: name})


def server_name(cluster: Object | None) -> str:
    """Return the folder of the archive that a live cluster writes to, or an empty string."""
    for plugin in dig(cluster, "spec", "plugins", default=[]):
        if plugin.get("isWALArchiver"):
            return str(dig(plugin, "parameters", "serverName", default=name_of(cluster or {})))
    return ""


def recovery_window(snapshot: Snapshot) -> Object:
    """Return what the plugin says of the live archive: its first recoverability point, its last backups."""
    wanted = server_name(snapshot.cluster)
    for store in snapshot.stores:
        window = dig(store, "status", "serverRecoveryWindow", wanted)
        if wanted and window:
            return dict(window)
    return {}


def is_following(cluster: Object | None) -> bool:
    """Return whether a live cluster is the replica of another one."""
    replica = dig(cluster, "spec", "replica", default={})
    if replica.get("enabled") is not None:
        return bool(replica["enabled"])
    primary = replica.get("primary")
    return bool(primary) and primary != (replica.get("self") or name_of(cluster or {}))


def major_of(cluster: Object | None) -> int:
    """Return the major version of a live cluster's data, or 0 if it is not known yet."""
    return int(
        dig(cluster, "status", "pgDataImageInfo", "majorVersion")
        or dig(cluster, "spec", "imageCatalogRef", "major", default=0)
    )
