"""The kinds of object that pgaas reads and writes, as plain dictionaries."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """Name a kind of Kubernetes object and where the API serves it; `group` is empty for the core API."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """Return what an object's apiVersion says."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def resource(self) -> str:
        """Return the kind as error messages and kubectl name it."""
        return f"{self.plural}.{self.group}" if self.group else self.plural


CNPG_GROUP = "postgresql.cnpg.io"
BARMAN_GROUP = "barmancloud.cnpg.io"
CERT_MANAGER_GROUP = "cert-manager.io"
EXTERNAL_DNS_GROUP = "externaldns.k8s.io"

CLUSTER = Kind(CNPG_GROUP, "v1", "Cluster", "clusters")
DATABASE = Kind(CNPG_GROUP, "v1", "Database", "databases")
BACKUP = Kind(CNPG_GROUP, "v1", "Backup", "backups")
SCHEDULED_BACKUP = Kind(CNPG_GROUP, "v1", "ScheduledBackup", "scheduledbackups")
IMAGE_CATALOG = Kind(CNPG_GROUP, "v1", "ImageCatalog", "imagecatalogs")
OBJECT_STORE = Kind(BARMAN_GROUP, "v1", "ObjectStore", "objectstores")
CERTIFICATE = Kind(CERT_MANAGER_GROUP, "v1", "Certificate", "certificates")
ISSUER = Kind(CERT_MANAGER_GROUP, "v1", "Issuer", "issuers")
CLUSTER_ISSUER = Kind(CERT_MANAGER_GROUP, "v1", "ClusterIssuer", "clusterissuers", namespaced=False)
CERTIFICATE_REQUEST = Kind(CERT_MANAGER_GROUP, "v1", "CertificateRequest", "certificaterequests")
DNS_ENDPOINT = Kind(EXTERNAL_DNS_GROUP, "v1alpha1", "DNSEndpoint", "dnsendpoints")

NAMESPACE = Kind("", "v1", "Namespace", "namespaces", namespaced=False)
NODE = Kind("", "v1", "Node", "nodes", namespaced=False)
VOLUME = Kind("", "v1", "PersistentVolume", "persistentvolumes", namespaced=False)
POD = Kind("", "v1", "Pod", "pods")
SECRET = Kind("", "v1", "Secret", "secrets")
CONFIG_MAP = Kind("", "v1", "ConfigMap", "configmaps")
SERVICE = Kind("", "v1", "Service", "services")
SERVICE_ACCOUNT = Kind("", "v1", "ServiceAccount", "serviceaccounts")
VOLUME_CLAIM = Kind("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims")
EVENT = Kind("", "v1", "Event", "events")
JOB = Kind("batch", "v1", "Job", "jobs")
LEASE = Kind("coordination.k8s.io", "v1", "Lease", "leases")
DEPLOYMENT = Kind("apps", "v1", "Deployment", "deployments")
STATEFUL_SET = Kind("apps", "v1", "StatefulSet", "statefulsets")
DAEMON_SET = Kind("apps", "v1", "DaemonSet", "daemonsets")
DEFINITION = Kind(
    "apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", namespaced=False
)
STORAGE_CLASS = Kind("storage.k8s.io", "v1", "StorageClass", "storageclasses", namespaced=False)
NETWORK_POLICY = Kind("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies")
ROLE = Kind("rbac.authorization.k8s.io", "v1", "Role", "roles")
ROLE_BINDING = Kind("rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings")

# Everything that the chart may make in a client's namespace, in the order in which it is safe to remove it.
CHART_KINDS = (
    SCHEDULED_BACKUP,
    DATABASE,
    CLUSTER,
    IMAGE_CATALOG,
    OBJECT_STORE,
    CERTIFICATE,
    ISSUER,
    NETWORK_POLICY,
    ROLE_BINDING,
    ROLE,
    DEPLOYMENT,
    SERVICE,
    SERVICE_ACCOUNT,
    CONFIG_MAP,
    SECRET,
)
KNOWN_KINDS = {
    (kind.api_version, kind.kind): kind for kind in list(globals().values()) if isinstance(kind, Kind)
}


def dig(value: Any, *path: str | int, default: Any = None) -> Any:
    """Return what lies below a path of keys and indexes, or the default where the path ends or holds null."""
    for step in path:
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int) and -len(value) <= step < len(value):
            value = value[step]
        else:
            return default
    return default if value is None else value


def condition(obj: Object | None, kind: str) -> Object:
    """Return one entry of status.conditions, or an empty one."""
    entries = dig(obj, "status", "conditions", default=[])
    return next((entry for entry in entries if entry.get("type") == kind), {})


def is_true(obj: Object | None, kind: str) -> bool:
    """Return whether a condition of this type is there and True."""
    return condition(obj, kind).get("status") == "True"


def secret_value(secret: Object | None, key: str) -> bytes:
    """Return what a Secret holds at a key; nothing if it is not there, or is no base64."""
    try:
        return base64.b64decode(str(dig(secret, "data", key, default="")), validate=True)
    except ValueError:
        return b""


def outside_addresses(service: Object | None) -> list[str]:
    """Return the addresses, or names, that a Service of type LoadBalancer has outside Kubernetes."""
    entries = dig(service, "status", "loadBalancer", "ingress", default=[])
    return [found for entry in entries if (found := str(entry.get("ip") or entry.get("hostname") or ""))]


def name_of(obj: Object) -> str:
    """Return an object's name."""
    return str(dig(obj, "metadata", "name", default=""))
