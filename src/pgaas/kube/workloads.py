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
    Object,
    dig,
    is_true,
    name_of,
)
from pgaas.kube.wait import Item

WORKLOADS = {kind.kind: kind for kind in (DEPLOYMENT, STATEFUL_SET, DAEMON_SET)}


def workloads_of(objects: Iterable[Object]) -> list[Object]:
    """Return the Deployments, StatefulSets and DaemonSets among rendered objects."""
    return [obj for obj in objects if obj.get("kind") in WORKLOADS]


def namespace_of(obj: Object, namespace: str) -> str:
    """Return the namespace that an object names, or else its release's."""
    return str(dig(obj, "metadata", "namespace", default=namespace))


def look_at_all(api: Api, objects: Iterable[Object], namespace: str) -> list[Item]:
    """Return how the workloads among rendered objects run; `namespace` is that of those that name none."""
    return [
        look_at(api, obj["kind"], name_of(obj), namespace_of(obj, namespace)) for obj in workloads_of(objects)
    ]


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
