"""What runs in each cluster before pgaas comes: DNS, storage, cert-manager, the operator, its plugin, S3."""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from pgaas_lab import images, manifests, paths, steps, tools
from pgaas_lab.api import Api
from pgaas_lab.command import run
from pgaas_lab.datacenters import ALL, Datacenter
from pgaas_lab.errors import TimedOut, ToolFailed
from pgaas_lab.manifests import Document

FIELD_MANAGER = "pgaas-lab"


@dataclass(frozen=True)
class Component:
    """A part of the stack: what it is called, and how its documents are made."""

    name: str
    documents: Callable[[Datacenter], list[Document]]
    sources: tuple[Path, ...] = ()
    first_only: bool = False


def data(name: str) -> list[Document]:
    """Return the documents of one of the lab's own manifests."""
    return manifests.parse((paths.DATA / name).read_text())


def coredns(datacenter: Datacenter) -> list[Document]:
    """Return CoreDNS's documents."""
    documents = manifests.with_images(
        data("coredns.yaml"), {"registry.k8s.io/coredns/coredns": images.coredns_image()}
    )
    return manifests.with_cluster_address(documents, "kube-dns", datacenter.dns_address)


def storage(_: Datacenter) -> list[Document]:
    """Return the StorageClass."""
    return data("storage.yaml")


def seaweedfs(_: Datacenter) -> list[Document]:
    """Return SeaweedFS's documents."""
    return manifests.with_images(
        data("seaweedfs.yaml"), {"docker.io/chrislusf/seaweedfs": images.seaweedfs_image()}
    )


def for_the_lab(documents: list[Document]) -> list[Document]:
    """Return upstream documents as a small machine without a registry can run them."""
    small = manifests.without_processor_limits(documents)
    return manifests.without_election(manifests.without_pulling(small))


def operator(_: Datacenter) -> list[Document]:
    """Return CloudNativePG's documents."""
    number = images.tag("cnpg-manager").removeprefix("v")
    folder = tools.source_folder(tools.find("cnpg-manager"))
    return for_the_lab(manifests.parse((folder / "releases" / f"cnpg-{number}.yaml").read_text()))


def plugin(_: Datacenter) -> list[Document]:
    """Return the Barman Cloud plugin's documents."""
    folder = tools.source_folder(tools.find("barman-manager"))
    documents = manifests.parse((folder / "manifest.yaml").read_text())
    # The module holds the manifest that its own tests use, with the images of a development build.
    testing = "ghcr.io/cloudnative-pg/plugin-barman-cloud-testing"
    documents = manifests.with_images(documents, {testing: images.plugin_image()})
    documents = manifests.with_secret_value(documents, "SIDECAR_IMAGE", images.sidecar_image())
    return for_the_lab(documents)


def certificate_authority(_: Datacenter) -> list[Document]:
    """Return the documents of a datacenter's own root, which the repository ships."""
    return manifests.parse(authority_file().read_text())


def authority_file() -> Path:
    """Return the repository's manifest of a datacenter's root."""
    return paths.REPOSITORY / "manifests" / "cert-manager-ca.yaml"


def cert_manager(_: Datacenter) -> list[Document]:
    """Return cert-manager's documents, rendered from the chart in its module."""
    source = tools.source_folder(tools.find("cert-manager-controller")) / "deploy"
    number = images.tag("cert-manager-controller")
    values: dict[str, Any] = {
        "replicaCount": 1,
        "startupapicheck": {"enabled": False},
        "prometheus": {"enabled": False},
        "extraArgs": ["--leader-elect=false"],
        "cainjector": {"extraArgs": ["--leader-elect=false"]},
    }
    with tempfile.TemporaryDirectory() as folder:
        chart = Path(folder) / "cert-manager"
        shutil.copytree(source / "charts" / "cert-manager", chart, copy_function=shutil.copyfile)
        chart.chmod(0o755)
        (chart / "templates").chmod(0o755)
        facts = yaml.safe_load((chart / "Chart.template.yaml").read_text())
        facts |= {"version": number, "appVersion": number, "annotations": {}}
        (chart / "Chart.yaml").write_text(yaml.safe_dump(facts))
        for definition in (source / "crds").glob("crd-*.yaml"):
            shutil.copyfile(definition, chart / "templates" / definition.name)
        (chart / "lab.yaml").write_text(yaml.safe_dump(values))
        options = ["--namespace", "cert-manager", "--values", chart / "lab.yaml"]
        text = run([tools.ensure("helm"), "template", "cert-manager", chart, *options], timeout=120).stdout
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "cert-manager"}}
    return [namespace, *for_the_lab(manifests.parse(text))]


def components() -> list[Component]:
    """Return the parts of the stack, in the order in which they are applied."""
    return [
        Component("coredns", coredns, (paths.DATA / "coredns.yaml",)),
        Component("storage", storage, (paths.DATA / "storage.yaml",)),
        Component("cert-manager", cert_manager),
        Component("operator", operator),
        Component("seaweedfs", seaweedfs, (paths.DATA / "seaweedfs.yaml",), first_only=True),
        Component("plugin", plugin),
        Component("certificate-authority", certificate_authority, (authority_file(),)),
    ]


def key(component: Component) -> str:
    """Return a short hash of everything that decides a component's documents."""
    pinned = sorted(
        file.parent.name.encode() + file.read_bytes() for file in paths.GO_MODULES.glob("*/go.mod")
    )
    code = [Path(__file__).read_bytes(), Path(manifests.__file__).read_bytes()]
    digest = hashlib.sha256(images.weed_version().encode())
    for part in [*pinned, *code, *(file.read_bytes() for file in component.sources)]:
        digest.update(part)
    return digest.hexdigest()[:12]


def rendered(component: Component, datacenter: Datacenter) -> Path:
    """Return the file of a component's documents, made first if it is missing."""
    target = paths.cache() / "manifests" / f"{component.name}-{datacenter.name}-{key(component)}.json"
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        content = {"apiVersion": "v1", "kind": "List", "items": component.documents(datacenter)}
        unfinished = target.with_suffix(".new")
        unfinished.write_text(json.dumps(content))
        unfinished.replace(target)
    return target


def parts(datacenter: Datacenter) -> list[Component]:
    """Return the parts of the stack that a datacenter has."""
    return [part for part in components() if not part.first_only or datacenter is ALL[0]]


def deployments(component: Component, datacenter: Datacenter) -> list[tuple[str, str]]:
    """Return the namespace and name of a component's Deployments."""
    return manifests.deployments(json.loads(rendered(component, datacenter).read_text())["items"])


def is_applied(component: Component, datacenter: Datacenter, api: Api) -> bool:
    """Tell whether a component was applied as it is now, and its Deployments are still there."""
    mark = datacenter.folder / "applied" / component.name
    if not mark.exists() or mark.read_text() != rendered(component, datacenter).name:
        return False
    return all(api.find(deployment_path(*each)) for each in deployments(component, datacenter))


def apply(component: Component, datacenter: Datacenter, timeout: float = 120) -> None:
    """Apply a component, again and again while a webhook that it needs is still starting."""
    file = rendered(component, datacenter)
    kubeconfig = ["--kubeconfig", paths.kubeconfig(), "--context", datacenter.name]
    options = ["--server-side", "--force-conflicts", f"--field-manager={FIELD_MANAGER}", "-f", file]
    last = ToolFailed("not tried")

    def attempt() -> str:
        nonlocal last
        try:
            run([tools.ensure("kubectl"), *kubeconfig, "apply", *options], timeout=120)
        except ToolFailed as error:
            last = error
            return "waiting for a webhook"
        return ""

    steps.wait_until(attempt, timeout=timeout, every=1, on_timeout=lambda _: last)
    mark = datacenter.folder / "applied" / component.name
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.write_text(file.name)


def deployment_path(namespace: str, name: str) -> str:
    """Return the path of a Deployment in the API."""
    return f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}"


def image_of(deployment: Document) -> str:
    """Return the last part of the name of a Deployment's first image."""
    container = next(manifests.containers(deployment | {"kind": "Deployment"}))
    return str(container["image"]).rpartition("/")[2]


def deployment_trouble(deployment: Document | None) -> str:
    """Return why a Deployment is not available, or an empty text."""
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
    """Return why too few of a Deployment's pods are ready, or an empty text."""
    wanted = deployment["spec"].get("replicas", 1)
    ready = [
        pod
        for pod in pods
        for condition in (pod.get("status") or {}).get("conditions") or []
        if condition["type"] == "Ready" and condition["status"] == "True"
    ]
    return "" if len(ready) >= wanted else f"{len(ready)} of {wanted} ready"


def look_at(api: Api, namespace: str, name: str) -> tuple[Document | None, str]:
    """Return a Deployment, and why it is not available, or an empty text. Raise httpx.HTTPError.

    Its pods are looked at too: after a restart the Deployment's own status is that of the time before.
    """
    found = api.find(deployment_path(namespace, name))
    reason = deployment_trouble(found)
    if found is None or reason:
        return found, reason
    labels = ",".join(f"{key}={value}" for key, value in found["spec"]["selector"]["matchLabels"].items())
    return found, pods_trouble(
        found, api.items(f"/api/v1/namespaces/{namespace}/pods?labelSelector={labels}")
    )


def trouble(datacenter: Datacenter, api: Api, names: list[tuple[str, str]]) -> str:
    """Return which of a cluster's Deployments is not available, or an empty text."""
    for namespace, name in names:
        try:
            _, reason = look_at(api, namespace, name)
        except httpx.HTTPError as error:
            reason = str(error)
        if reason:
            return f"{datacenter.name} {namespace}/{name}: {reason}"
    return ""


def wait_available(
    datacenter: Datacenter, api: Api, names: list[str], step: steps.Step, timeout: float = 240
) -> None:
    """Wait until some components' Deployments are available. Raise TimedOut with what their pods say."""
    wanted = [
        each for part in parts(datacenter) if part.name in names for each in deployments(part, datacenter)
    ]
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
