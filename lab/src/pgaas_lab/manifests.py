"""Change upstream manifests as little as a small machine without a registry needs. Pure functions."""

import base64
import copy
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

Document = dict[str, Any]


def parse(text: str) -> list[Document]:
    """Return the documents of a manifest, the empty ones left out."""
    return [document for document in yaml.load_all(text, Loader=yaml.CSafeLoader) if document]


def pod_specs(document: Document) -> Iterator[Document]:
    """Yield the pod template's spec of a workload."""
    if document.get("kind") in ("Deployment", "DaemonSet", "StatefulSet", "Job"):
        yield document["spec"]["template"]["spec"]


def containers(document: Document) -> Iterator[Document]:
    """Yield the containers of a workload, the init containers first."""
    for spec in pod_specs(document):
        yield from spec.get("initContainers") or []
        yield from spec["containers"]


def repository(image: str) -> str:
    """Return an image's name without its tag or digest."""
    name = image.partition("@")[0]
    head, colon, tail = name.rpartition(":")
    return head if colon and "/" not in tail else name


def without_pulling(documents: list[Document]) -> list[Document]:
    """Return the documents with images that are taken from the node, as there is no registry."""
    changed = copy.deepcopy(documents)
    for document in changed:
        for container in containers(document):
            container["imagePullPolicy"] = "IfNotPresent"
    return changed


def with_images(documents: list[Document], images: Mapping[str, str]) -> list[Document]:
    """Return the documents with other images, given by the repository that they replace."""
    changed = copy.deepcopy(documents)
    for document in changed:
        for container in containers(document):
            container["image"] = images.get(repository(container["image"]), container["image"])
    return changed


def without_processor_limits(documents: list[Document]) -> list[Document]:
    """Return the documents without CPU limits: on two cores they only make a start slower."""
    changed = copy.deepcopy(documents)
    for document in changed:
        for container in containers(document):
            limits = (container.get("resources") or {}).get("limits") or {}
            limits.pop("cpu", None)
    return changed


def without_election(documents: list[Document]) -> list[Document]:
    """Return the documents with Deployments of one replica, which need no leader to be elected."""
    changed = copy.deepcopy(documents)
    for document in changed:
        electing = False
        for container in containers(document):
            given = container.get("args") or []
            left = [argument for argument in given if argument != "--leader-elect"]
            if left != given:
                container["args"] = left
                electing = True
        if electing:
            document["spec"]["replicas"] = 1
            # Without a leader, the old one must be gone before the new one starts.
            document["spec"]["strategy"] = {"type": "Recreate"}
    return changed


def with_secret_value(documents: list[Document], key: str, value: str) -> list[Document]:
    """Return the documents with a value put into every Secret that has its key."""
    changed = copy.deepcopy(documents)
    for document in changed:
        if document.get("kind") == "Secret" and key in (document.get("data") or {}):
            document["data"][key] = base64.b64encode(value.encode()).decode()
    return changed


def with_cluster_address(documents: list[Document], service: str, address: str) -> list[Document]:
    """Return the documents with a Service's cluster address set."""
    changed = copy.deepcopy(documents)
    for document in changed:
        if document["kind"] == "Service" and document["metadata"]["name"] == service:
            document["spec"]["clusterIP"] = address
    return changed
