"""A client's namespace: made unless it exists, removed only if pgaas made it and nothing else is in it."""

from __future__ import annotations

from collections.abc import Mapping

from pgaas.errors import KubernetesForbidden
from pgaas.kube.client import Api
from pgaas.kube.resources import (
    BACKUP,
    CERTIFICATE,
    CLUSTER,
    CONFIG_MAP,
    DATABASE,
    DEPLOYMENT,
    ISSUER,
    JOB,
    NAMESPACE,
    OBJECT_STORE,
    POD,
    SCHEDULED_BACKUP,
    SECRET,
    SERVICE,
    SERVICE_ACCOUNT,
    STATEFUL_SET,
    VOLUME_CLAIM,
    Object,
    dig,
    name_of,
)

MADE_BY = "pgaas.io/made-by"
# What tells a pgaas object in the namespace from somebody else's.
WATCHED = (
    POD, DEPLOYMENT, STATEFUL_SET, JOB, SERVICE, VOLUME_CLAIM, SECRET, CONFIG_MAP, SERVICE_ACCOUNT,
    CLUSTER, DATABASE, BACKUP, SCHEDULED_BACKUP, OBJECT_STORE, CERTIFICATE, ISSUER,
)  # fmt: skip
EVERYWHERE = {(SERVICE_ACCOUNT.kind, "default"), (CONFIG_MAP.kind, "kube-root-ca.crt")}


def namespace_state(api: Api, name: str) -> str:
    """Return "Active", "Terminating" or "" if there is none; "Active" too if nobody may look."""
    try:
        found = api.get(NAMESPACE, name)
    except KubernetesForbidden:
        return "Active"
    return "" if found is None else str(dig(found, "status", "phase", default="Active"))


def ensure_namespace(api: Api, name: str, labels: Mapping[str, str]) -> bool:
    """Make the namespace, or add its labels; return whether anything changed.

    One that exists is not marked as made by pgaas, and is left alone if these credentials may not look at it.
    """
    try:
        found = api.get(NAMESPACE, name)
    except KubernetesForbidden:
        return False
    existing = dig(found, "metadata", "labels", default={})
    if found is not None and all(existing.get(key) == value for key, value in labels.items()):
        return False
    metadata: Object = {"name": name, "labels": dict(labels)}
    if found is None or made_by_pgaas(found):
        metadata["annotations"] = {MADE_BY: "pgaas"}
    api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    return True


def made_by_pgaas(namespace: Object) -> bool:
    """Return whether pgaas made this namespace."""
    return bool(dig(namespace, "metadata", "annotations", MADE_BY) == "pgaas")


def left_in(api: Api, name: str) -> list[str]:
    """Return what is in the namespace besides what Kubernetes itself puts into every one, as "Kind/name"."""
    found = []
    for kind in WATCHED:
        for obj in api.find(kind, name):
            if (kind.kind, name_of(obj)) not in EVERYWHERE:
                found.append(f"{kind.kind}/{name_of(obj)}")
    return found
