"""Whether a release's workloads run as they are wanted, and if not, why: what their pods say."""

from __future__ import annotations

from collections.abc import Iterable

from pgaas.kube.client import Api
from pgaas.kube.diagnose import pod_lines
from pgaas.kube.resources import (
    DAEMON_SET,
    DEPLOYMENT,
    POD,
    STATEFUL_SET,
    Kind,
    Object,
    dig,
    is_true,
)
from pgaas.kube.wait import Item

WORKLOADS = {kind.kind: kind for kind in (DEPLOYMENT, STATEFUL_SET, DAEMON_SET)}


def workloads_of(objects: Iterable[Object]) -> list[Object]:
    """Return the Deployments, StatefulSets and DaemonSets among rendered objects."""
    return [obj for obj in objects if obj.get("kind") in WORKLOADS]


def look_at(api: Api, kind: str, name: str, namespace: str) -> Item:
    """Return whether a workload runs as it is wanted, and what it lacks. Raise KubernetesError."""
    found = api.get(WORKLOADS[kind], name, namespace)
    missing = _missing(found)
    if found is None:
        return Item(f"{kind} {name}", False, missing)
    pods = api.find(POD, namespace, labels=dig(found, "spec", "selector", "matchLabels", default={}))
    if not missing:
        # After a restart of the node, the workload's own status is that of the time before.
        ready = sum(is_true(pod, "Ready") for pod in pods)
        wanted = _wanted(found)
        missing = "" if ready >= wanted else f"{ready} of {wanted} ready"
    if not missing:
        return Item(f"{kind} {name}", True, image_of(found))
    reasons = dict.fromkeys(line for pod in pods if not is_true(pod, "Ready") for line in pod_lines(pod))
    return Item(f"{kind} {name}", False, "; ".join([missing, *reasons]))


def image_of(workload: Object) -> str:
    """Return the last part of the name of a workload's first image."""
    containers = dig(workload, "spec", "template", "spec", "containers", default=[])
    return str(containers[0]["image"]).rpartition("/")[2] if containers else ""


def runs(workloads: Iterable[Object], repository: str) -> bool:
    """Return whether any of the workloads has an image of this name, whatever its registry and tag."""
    return any(
        str(container.get("image", "")).partition("@")[0].rpartition("/")[2].partition(":")[0] == repository
        for workload in workloads
        for container in dig(workload, "spec", "template", "spec", "containers", default=[])
    )


def selector_of(kind: Kind, name: str, namespace: str, api: Api) -> dict[str, str]:
    """Return the labels of a workload's pods, or none if there is no such workload."""
    labels: dict[str, str] = dig(
        api.get(kind, name, namespace), "spec", "selector", "matchLabels", default={}
    )
    return labels


def _wanted(found: Object) -> int:
    if found.get("kind") == DAEMON_SET.kind:
        return int(dig(found, "status", "desiredNumberScheduled", default=0))
    # Somebody may have scaled it to none: that is not how it is wanted.
    return max(1, int(dig(found, "spec", "replicas", default=1)))


def _missing(found: Object | None) -> str:
    if found is None:
        return "not there"
    if dig(found, "status", "observedGeneration", default=0) < dig(
        found, "metadata", "generation", default=0
    ):
        return "not looked at yet"
    wanted = _wanted(found)
    daemons = found.get("kind") == DAEMON_SET.kind
    for field, said in (
        ("updatedNumberScheduled" if daemons else "updatedReplicas", "up to date"),
        ("numberAvailable" if daemons else "availableReplicas", "available"),
    ):
        count = dig(found, "status", field, default=0)
        if count < wanted:
            return f"{count} of {wanted} {said}"
    surplus = dig(found, "status", "replicas", default=0) - wanted
    return "an old pod is still there" if not daemons and surplus > 0 else ""
