"""What applying rendered objects would change: the API server answers a dry run of what Helm would apply."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import yaml

from pgaas.errors import KubernetesConflict, KubernetesError, KubernetesForbidden, KubernetesUnavailable
from pgaas.kube.client import Api
from pgaas.kube.resources import Object, dig, name_of

HELM_MANAGER = "helm"
WORKERS = 8
# What a demoted cluster hands over to the next primary.
TOKEN = ("spec", "replica", "promotionToken")
UNSTABLE = ("managedFields", "resourceVersion", "generation", "uid", "creationTimestamp")


@dataclass(frozen=True)
class Change:
    """One object that would be created, changed or removed: how, the lines of its diff, and both states.

    The states are as they are shown: without what the server keeps for itself, and without secrets.
    """

    kind: str
    name: str
    action: str
    lines: tuple[str, ...]
    conflict: str = ""
    before: Object | None = field(default=None, repr=False)
    after: Object | None = field(default=None, repr=False)


def parse_manifest(text: str) -> list[Object]:
    """Return the objects of a rendered manifest."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return [document for document in yaml.load_all(text, Loader=loader) if document]


def as_helm_applies(objects: Iterable[Object], release: str, namespace: str) -> list[Object]:
    """Return the objects with the label and annotations that Helm adds to each before it applies it."""
    result = []
    for obj in objects:
        metadata = dict(obj.get("metadata") or {})
        metadata.setdefault("namespace", namespace)
        metadata["labels"] = {**(metadata.get("labels") or {}), "app.kubernetes.io/managed-by": "Helm"}
        metadata["annotations"] = {
            **(metadata.get("annotations") or {}),
            "meta.helm.sh/release-name": release,
            "meta.helm.sh/release-namespace": namespace,
        }
        result.append({**obj, "metadata": metadata})
    return result


def differences(
    api: Api, rendered: list[Object], applied_before: list[Object], *, fresh: bool, refusals: bool = False
) -> list[Change]:
    """Return what would change, in the order rendered; `fresh` says that nothing exists: nobody is asked.

    `applied_before` is the last release's manifest: what is no longer rendered would be removed. With
    `refusals`, an object that the API server would not take is a change; otherwise that is raised.
    """
    if fresh:
        changes = [_created(obj) for obj in rendered]
    else:
        with ThreadPoolExecutor(WORKERS) as pool:
            changes = [
                change for change in pool.map(lambda obj: _difference(api, obj, refusals), rendered) if change
            ]
    kept = {_identity(obj) for obj in rendered}
    gone = [obj for obj in applied_before if _identity(obj) not in kept]
    return changes + [_change(obj, "removed", obj, None) for obj in gone]


def _difference(api: Api, obj: Object, refusals: bool) -> Change | None:
    try:
        return _applied(api, obj)
    except (KubernetesUnavailable, KubernetesForbidden):
        raise
    except KubernetesError as error:
        if not refusals:
            raise
        return Change(str(obj.get("kind", "")), name_of(obj), "refused", (), error.what)


def _applied(api: Api, obj: Object) -> Change | None:
    live = api.get(api.kind_of(obj), name_of(obj), dig(obj, "metadata", "namespace"))
    if live is None:
        return _created(obj)
    try:
        merged = api.apply(obj, manager=HELM_MANAGER, dry_run=True)
    except KubernetesConflict as error:
        merged = api.apply(obj, manager=HELM_MANAGER, dry_run=True, force=True)
        return _change(obj, "conflict", live, merged, conflict=error.what)
    change = _change(obj, "changed", live, merged)
    return change if change.lines else None


def _created(obj: Object) -> Change:
    return _change(obj, "new", None, obj)


def _change(
    obj: Object, action: str, before: Object | None, after: Object | None, conflict: str = ""
) -> Change:
    kind, name = str(obj.get("kind", "")), name_of(obj)
    old, new = _shown(before, after, "before"), _shown(after, before, "after")
    marks = {"new": ("nothing", "new"), "removed": ("live", "nothing")}.get(action, ("live", "rendered"))
    diff = difflib.unified_diff(
        _lines(old), _lines(new), f"{marks[0]}/{kind}/{name}", f"{marks[1]}/{kind}/{name}", lineterm=""
    )
    return Change(kind, name, action, tuple(diff), conflict, old, new)


def _identity(obj: Object) -> tuple[str, str, str]:
    return str(obj.get("apiVersion", "")).rpartition("/")[0], str(obj.get("kind", "")), name_of(obj)


def _shown(obj: Object | None, other: Object | None, when: str) -> Object | None:
    """Return an object without what the server keeps for itself, and without secrets."""
    if obj is None:
        return None
    shown = {key: value for key, value in obj.items() if key != "status"}
    metadata = dict(shown.get("metadata") or {})
    for key in UNSTABLE:
        metadata.pop(key, None)
    shown["metadata"] = metadata
    if shown.get("kind") == "Secret":
        for part in ("data", "stringData"):
            if shown.get(part):
                shown[part] = {key: _masked((part, key), obj, other, when) for key in shown[part]}
    if dig(shown, *TOKEN):
        replica = shown["spec"]["replica"] | {TOKEN[-1]: _masked(TOKEN, obj, other, when)}
        shown["spec"] = shown["spec"] | {"replica": replica}
    return shown


def _masked(path: tuple[str, ...], obj: Object, other: Object | None, when: str) -> str:
    same = other is None or dig(other, *path) == dig(obj, *path)
    return "***" if same else f"*** ({when})"


def _lines(shown: Object | None) -> list[str]:
    """Return an object as lines of YAML."""
    if shown is None:
        return []
    return yaml.dump(shown, Dumper=_Dumper, sort_keys=True, width=10_000).splitlines()


class _Dumper(yaml.SafeDumper):
    """Quote with double quotes, as kubectl does, so that both diffs read alike."""


def _text(dumper: yaml.SafeDumper, value: str) -> Any:
    node = dumper.represent_scalar("tag:yaml.org,2002:str", value)
    if dumper.resolve(yaml.ScalarNode, value, (True, False)) != "tag:yaml.org,2002:str":  # type: ignore[no-untyped-call]
        node.style = '"'
    elif "\n" in value:
        node.style = "|"
    return node


_Dumper.add_representer(str, _text)
