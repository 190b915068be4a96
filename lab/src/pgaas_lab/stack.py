"""What runs in each cluster: CoreDNS, as in bare Kubernetes, and what `pgaas infra install` brings."""

import hashlib
import json
from pathlib import Path

import httpx

from pgaas_lab import images, manifests, paths, steps, tools
from pgaas_lab.api import Api
from pgaas_lab.command import run
from pgaas_lab.datacenters import Datacenter
from pgaas_lab.errors import TimedOut, ToolFailed
from pgaas_lab.manifests import Document

FIELD_MANAGER = "pgaas-lab"
COREDNS = ("deployments", "kube-system", "coredns")
COREDNS_FILE = paths.DATA / "coredns.yaml"
NAMESPACES = ("cert-manager", "cnpg-system", "local-infra")
KINDS = ("deployments", "statefulsets")
# A workload: its kind as the API's paths have it, its namespace and its name.
Workload = tuple[str, str, str]


def coredns(datacenter: Datacenter) -> list[Document]:
    """Return CoreDNS's documents."""
    documents = manifests.parse(COREDNS_FILE.read_text())
    documents = manifests.with_images(documents, {"registry.k8s.io/coredns/coredns": images.coredns_image()})
    return manifests.with_cluster_address(documents, "kube-dns", datacenter.dns_address)


def rendered(datacenter: Datacenter) -> Path:
    """Return the file of CoreDNS's documents, made first if it is missing."""
    content = json.dumps({"apiVersion": "v1", "kind": "List", "items": coredns(datacenter)})
    key = hashlib.sha256(content.encode()).hexdigest()[:12]
    target = paths.cache() / "manifests" / f"coredns-{datacenter.name}-{key}.json"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished = target.with_suffix(".new")
        unfinished.write_text(content)
        unfinished.replace(target)
    return target


def is_applied(datacenter: Datacenter, api: Api) -> bool:
    """Tell whether CoreDNS was applied as it is now, and is still there."""
    mark = datacenter.folder / "applied" / "coredns"
    if not mark.exists() or mark.read_text() != rendered(datacenter).name:
        return False
    return api.find(workload_path(COREDNS)) is not None


def apply(datacenter: Datacenter, timeout: float = 60) -> None:
    """Apply CoreDNS, again and again while the API server is still making its own namespaces."""
    file = rendered(datacenter)
    kubeconfig = ["--kubeconfig", paths.kubeconfig(), "--context", datacenter.name]
    options = ["--server-side", "--force-conflicts", f"--field-manager={FIELD_MANAGER}", "-f", file]
    last = ToolFailed("not tried")

    def attempt() -> str:
        nonlocal last
        try:
            run([tools.ensure("kubectl"), *kubeconfig, "apply", *options], timeout=120)
        except ToolFailed as error:
            last = error
            return "waiting for the namespace"
        return ""

    steps.wait_until(attempt, timeout=timeout, every=1, on_timeout=lambda _: last)
    mark = datacenter.folder / "applied" / "coredns"
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.write_text(file.name)


def workloads(api: Api) -> list[Workload]:
    """Return the workloads of what was installed. Raise httpx.HTTPError."""
    return [
        (kind, namespace, str(found["metadata"]["name"]))
        for namespace in NAMESPACES
        for kind in KINDS
        for found in api.items(f"/apis/apps/v1/namespaces/{namespace}/{kind}")
    ]


def workload_path(workload: Workload) -> str:
    """Return the path of a workload in the API."""
    kind, namespace, name = workload
    return f"/apis/apps/v1/namespaces/{namespace}/{kind}/{name}"


def image_of(workload: Document) -> str:
    """Return the last part of the name of a workload's first image."""
    container = next(manifests.containers(workload | {"kind": "Deployment"}))
    return str(container["image"]).rpartition("/")[2]


def deployment_trouble(deployment: Document | None) -> str:
    """Return why a Deployment or StatefulSet is not available, or an empty text."""
    if deployment is None:
        return "missing"
    wanted = deployment["spec"].get("replicas", 1)
    status = deployment.get("status") or {}
    if status.get("observedGeneration", 0) < deployment["metadata"]["generation"]:
        return "not seen yet"
    for field in ("updatedReplicas", "availableReplicas"):
        if status.get(field, 0) < wanted:
            return f"{status.get(field, 0)} of {wanted} {field.removesuffix('Replicas')}"
    return "an old pod is still there" if status.get("replicas", 0) > wanted else ""


def pods_trouble(deployment: Document, pods: list[Document]) -> str:
    """Return why too few of a workload's pods are ready, or an empty text."""
    wanted = deployment["spec"].get("replicas", 1)
    ready = [
        pod
        for pod in pods
        for condition in (pod.get("status") or {}).get("conditions") or []
        if condition["type"] == "Ready" and condition["status"] == "True"
    ]
    return "" if len(ready) >= wanted else f"{len(ready)} of {wanted} ready"


def look_at(api: Api, workload: Workload) -> tuple[Document | None, str]:
    """Return a workload, and why it is not available, or an empty text. Raise httpx.HTTPError.

    Its pods are looked at too: after a restart the workload's own status is that of the time before.
    """
    found = api.find(workload_path(workload))
    reason = deployment_trouble(found)
    if found is None or reason:
        return found, reason
    labels = ",".join(f"{key}={value}" for key, value in found["spec"]["selector"]["matchLabels"].items())
    return found, pods_trouble(
        found, api.items(f"/api/v1/namespaces/{workload[1]}/pods?labelSelector={labels}")
    )


def trouble(datacenter: Datacenter, api: Api, wanted: list[Workload]) -> str:
    """Return which of a cluster's workloads is not available, or an empty text."""
    for workload in wanted:
        try:
            _, reason = look_at(api, workload)
        except httpx.HTTPError as error:
            reason = str(error)
        if reason:
            return f"{datacenter.name} {workload[1]}/{workload[2]}: {reason}"
    return ""


def wait_available(
    datacenter: Datacenter, api: Api, wanted: list[Workload], step: steps.Step, timeout: float = 240
) -> None:
    """Wait until some workloads are available. Raise TimedOut with what their pods say."""
    steps.wait_until(
        lambda: trouble(datacenter, api, wanted),
        timeout=timeout,
        step=step,
        on_timeout=lambda missing: TimedOut(
            f"not available within {timeout:.0f} s: {missing}\n{pods_say(datacenter, missing)}"
        ),
    )


def pods_say(datacenter: Datacenter, missing: str) -> str:
    """Return the pods and last events of the namespace that a message names."""
    namespace = missing.split()[1].partition("/")[0]
    kubectl = [tools.ensure("kubectl"), "--kubeconfig", paths.kubeconfig(), "--context", datacenter.name]
    pods = run([*kubectl, "-n", namespace, "get", "pods"], check=False).stdout
    events = run([*kubectl, "-n", namespace, "get", "events", "--sort-by=.lastTimestamp"], check=False).stdout
    return pods + "\n".join(events.splitlines()[-6:])
