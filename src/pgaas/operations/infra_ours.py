"""Tell what pgaas installed from what somebody else did: elsewhere, or as a release of the same name."""

from __future__ import annotations

from dataclasses import dataclass

from pgaas.kube.client import Api
from pgaas.kube.difference import parse_manifest
from pgaas.kube.namespace import made_by_pgaas
from pgaas.kube.release import latest_release
from pgaas.kube.resources import (
    CERTIFICATE,
    CONFIG_MAP,
    DEFINITION,
    DEPLOYMENT,
    NAMESPACE,
    Object,
    dig,
    name_of,
)
from pgaas.kube.workloads import namespace_of, runs, workloads_of
from pgaas.operations.infra import CERT_MANAGER, ISSUER_FILE, MADE, RELEASES, Release, Site

RELEASE_NAME, RELEASE_NAMESPACE = "meta.helm.sh/release-name", "meta.helm.sh/release-namespace"
RESOURCE_NAMESPACE = "--cluster-resource-namespace="
# What cert-manager does without that option.
RESOURCES_BY_DEFAULT = "kube-system"


@dataclass(frozen=True)
class Foreign:
    """Somebody else's installation of a release: where it is, and its workloads."""

    place: str
    workloads: tuple[Object, ...]


def mark_of(release: Release) -> str:
    """Return the ConfigMap by which a release is known for pgaas's in a namespace that pgaas did not make."""
    return f"pgaas-installed-{release.name}"


def is_marked(api: Api, release: Release) -> bool:
    """Return whether a release of this name, in its namespace, is pgaas's own."""
    found = api.get(NAMESPACE, release.namespace)
    if found is None:
        return False
    return made_by_pgaas(found) or api.get(CONFIG_MAP, mark_of(release), release.namespace) is not None


def mark(api: Api, release: Release) -> None:
    """Say that a release is pgaas's own, before it is there: so that it is known for it however helm ends."""
    if not is_marked(api, release):
        metadata = {"name": mark_of(release), "namespace": release.namespace, "labels": MADE}
        api.apply({"apiVersion": CONFIG_MAP.api_version, "kind": CONFIG_MAP.kind, "metadata": metadata})


def unmark(api: Api, release: Release) -> None:
    """Forget that a release was pgaas's own."""
    api.delete(CONFIG_MAP, mark_of(release), release.namespace)


def foreign(api: Api, release: Release) -> Foreign | None:
    """Return somebody else's installation of what a release brings, None if there is none."""
    ours = is_marked(api, release)
    if record := latest_release(api, release.name, release.namespace):
        if ours:
            return None
        place = f"Helm's release {release.namespace}/{release.name}"
        return Foreign(place, tuple(workloads_of(parse_manifest(record.manifest))))
    if not release.image:
        return None
    found = [
        {**obj, "kind": DEPLOYMENT.kind}
        for obj in api.find(DEPLOYMENT)
        if runs([obj], release.image)
        # Helm's record of ours may be gone: that of a helm that was killed is dropped.
        and not (ours and dig(obj, "metadata", "namespace") == release.namespace)
    ]
    place = ", ".join(f"{dig(obj, 'metadata', 'namespace')}/{name_of(obj)}" for obj in found)
    return Foreign(place, tuple(found)) if found else None


def our_kinds(api: Api) -> dict[str, Release]:
    """Return the kinds that pgaas's releases brought, and which one did.

    A release of another namespace may have the same name.
    """
    ours = {
        (release.name, release.namespace): release
        for release in RELEASES
        if release.upstream and foreign(api, release) is None
    }
    found = {}
    for definition in api.find(DEFINITION):
        notes = dig(definition, "metadata", "annotations", default={})
        if release := ours.get((notes.get(RELEASE_NAME), notes.get(RELEASE_NAMESPACE))):
            found[name_of(definition)] = release
    return found


def authority_namespace(api: Api) -> str:
    """Return the namespace in which cert-manager looks for a ClusterIssuer's Secret."""
    theirs = foreign(api, CERT_MANAGER)
    if theirs is None or not theirs.workloads:
        return CERT_MANAGER.namespace
    controller = next((obj for obj in theirs.workloads if runs([obj], CERT_MANAGER.image)), None)
    for container in dig(controller, "spec", "template", "spec", "containers", default=[]):
        for argument in container.get("args", []):
            if str(argument).startswith(RESOURCE_NAMESPACE):
                named = str(argument).removeprefix(RESOURCE_NAMESPACE)
                own = namespace_of(controller or {}, CERT_MANAGER.namespace)
                return own if named == "$(POD_NAMESPACE)" else named
    return RESOURCES_BY_DEFAULT


def authority_objects(api: Api, site: Site) -> list[Object]:
    """Return what the datacenter's certificate authority is made of, placed where cert-manager reads it."""
    namespace = authority_namespace(api)
    objects = []
    for obj in parse_manifest((site.root / ISSUER_FILE).read_text()):
        metadata, spec = {**obj["metadata"], "labels": MADE}, obj["spec"]
        if obj["kind"] == CERTIFICATE.kind:
            metadata["namespace"] = namespace
            # By these its Secret is known, which cert-manager leaves behind.
            spec = {**spec, "secretTemplate": {"labels": MADE}}
        objects.append({**obj, "metadata": metadata, "spec": spec})
    return objects
