"""The preflight checks of a Kubernetes cluster itself: versions, kinds, operators, issuer, storage class."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from pgaas.kube.client import Api
from pgaas.kube.resources import (
    BARMAN_GROUP,
    CERT_MANAGER_GROUP,
    CERTIFICATE,
    CLUSTER,
    CLUSTER_ISSUER,
    CNPG_GROUP,
    DATABASE,
    DEPLOYMENT,
    DNS_ENDPOINT,
    EXTERNAL_DNS_GROUP,
    IMAGE_CATALOG,
    ISSUER,
    OBJECT_STORE,
    SCHEDULED_BACKUP,
    STORAGE_CLASS,
    Kind,
    Object,
    condition,
    dig,
    is_true,
    name_of,
)
from pgaas.operations.rows import Row
from pgaas.operations.subject import Subject

OLDEST_SERVER, NEWEST_SERVER = (1, 34), (1, 36)
OLDEST_OPERATOR = (1, 30)
OLDEST_PLUGIN = (0, 14)
OPERATOR_IMAGE = "cloudnative-pg"
PLUGIN_IMAGE = "plugin-barman-cloud"
NUMBERS = re.compile(r"v?(\d+)\.(\d+)")

NEEDED: tuple[tuple[str, tuple[Kind, ...], str], ...] = (
    (CNPG_GROUP, (CLUSTER, DATABASE, SCHEDULED_BACKUP, IMAGE_CATALOG), "CloudNativePG"),
    (BARMAN_GROUP, (OBJECT_STORE,), "the Barman Cloud plugin"),
    (CERT_MANAGER_GROUP, (CERTIFICATE, ISSUER, CLUSTER_ISSUER), "cert-manager"),
)


def server_version(api: Api) -> Row:
    """Ask the API server for its version; raise KubernetesError if it does not answer."""
    answer = api.raw("/version") or {}
    text = str(answer.get("gitVersion", "unknown"))
    version = numbers(text)
    span = f"{_dotted(OLDEST_SERVER)} to {_dotted(NEWEST_SERVER)}"
    if version is not None and not OLDEST_SERVER <= version <= NEWEST_SERVER:
        return Row("kubernetes", "warning", f"{text}, tested with {span}")
    return Row("kubernetes", "ok", text)


def kinds(subject: Subject, api: Api) -> Iterator[Row]:
    """Check that every kind that the chart renders is served."""
    needed = list(NEEDED)
    if subject.values.dns.endpoint:
        needed.append((EXTERNAL_DNS_GROUP, (DNS_ENDPOINT,), "external-dns (with --source=crd)"))
    for group, wanted, owner in needed:
        served = api.served(group, wanted[0].version)
        missing = [kind.resource for kind in wanted if kind.kind not in served]
        if missing:
            yield Row(
                f"kinds of {owner}",
                "failed",
                f"the API server does not know {', '.join(missing)}",
                f"install {owner} in context {api.context}; the README's prerequisites say how",
            )
        else:
            yield Row(f"kinds of {owner}", "ok", f"{group}/{wanted[0].version}")


def operators(subject: Subject, api: Api) -> Iterator[Row]:
    """Check that the operator and the plugin run, and are new enough."""
    deployments = api.find(DEPLOYMENT, subject.operator_namespace)
    yield _operator("operator", deployments, OPERATOR_IMAGE, OLDEST_OPERATOR, subject.operator_namespace)
    yield _operator("barman plugin", deployments, PLUGIN_IMAGE, OLDEST_PLUGIN, subject.operator_namespace)


def issuer(subject: Subject, api: Api) -> Row:
    """Check that the datacenter's ClusterIssuer is there and Ready."""
    name = subject.values.certificates.cluster_issuer
    found = api.get(CLUSTER_ISSUER, name)
    if found is None:
        return Row(
            "issuer",
            "failed",
            f"there is no ClusterIssuer {name}",
            "kubectl apply -f manifests/cert-manager-ca.yaml, or correct clusterIssuer in datacenters.yaml",
        )
    if not is_true(found, "Ready"):
        message = condition(found, "Ready").get("message", "cert-manager has not looked at it yet")
        return Row(
            "issuer", "failed", f"{name} is not ready: {message}", "look at cert-manager's pods and log"
        )
    return Row("issuer", "ok", name)


def storage_class(subject: Subject, api: Api) -> Row:
    """Check that the storage class exists."""
    name = subject.values.cluster.storage.storage_class
    if api.get(STORAGE_CLASS, name) is None:
        known = ", ".join(sorted(name_of(entry) for entry in api.find(STORAGE_CLASS))) or "none"
        return Row(
            "storage class",
            "failed",
            f"there is no storage class {name}; known: {known}",
            "correct postgresql.storage.storageClass in postgresql.yaml, or create it",
        )
    return Row("storage class", "ok", name)


def numbers(text: str) -> tuple[int, int] | None:
    """Return the first two numbers of a version, or None if it has none."""
    match = NUMBERS.search(text)
    return (int(match[1]), int(match[2])) if match else None


def repository(image: str) -> str:
    """Return an image's name without tag and digest; a registry's port is no tag."""
    name = image.partition("@")[0]
    folder, slash, last = name.rpartition("/")
    return f"{folder}{slash}{last.partition(':')[0]}"


def image_version(image: str) -> tuple[int, int] | None:
    """Return the version in an image's tag, or None for a digest alone or a tag without numbers."""
    name = image.partition("@")[0]
    tag = name.rpartition("/")[2].partition(":")[2]
    return numbers(tag)


def _operator(
    name: str, deployments: Iterable[Object], image: str, oldest: tuple[int, int], namespace: str
) -> Row:
    found = [
        (deployment, container["image"])
        for deployment in deployments
        for container in dig(deployment, "spec", "template", "spec", "containers", default=[])
        if repository(container["image"]).endswith(f"/{image}")
    ]
    if not found:
        return Row(
            name,
            "failed",
            f"no Deployment in {namespace} runs {image}",
            f"install it there, or correct operatorNamespace in datacenters.yaml ({namespace})",
        )
    deployment, running = found[0]
    where = f"{namespace}/{name_of(deployment)}"
    version = image_version(running)
    if version is not None and version < oldest:
        return Row(name, "failed", f"{running} is too old", f"update it to {_dotted(oldest)} or newer")
    if not is_true(deployment, "Available"):
        message = condition(deployment, "Available").get("message", "no replica is available")
        return Row(name, "failed", f"{where} does not run: {message}", "look at its pods and log")
    if version is None:
        return Row(name, "warning", f"the version of {running} cannot be told; {_dotted(oldest)} is needed")
    return Row(name, "ok", running.rpartition("/")[2])


def _dotted(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"
