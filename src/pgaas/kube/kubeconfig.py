"""Read kubeconfig files as kubectl does: several files merged, paths relative to the file that names them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from pgaas.errors import KubernetesError

DEFAULT_PATH = "~/.kube/config"
SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
PATH_FIELDS = {
    "cluster": ("certificate-authority",),
    "user": ("client-certificate", "client-key", "tokenFile"),
    "context": (),
}
SECTIONS = {"clusters": "cluster", "users": "user", "contexts": "context"}


def kubeconfig_paths(environ: Mapping[str, str]) -> list[Path]:
    """Return the files that KUBECONFIG names, or the default one."""
    named = [part for part in environ.get("KUBECONFIG", "").split(os.pathsep) if part]
    return [Path(part).expanduser() for part in named or [DEFAULT_PATH]]


def load_kubeconfig(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return all kubeconfig files as one; of two entries of one name the first counts.

    Raise KubernetesError if no file exists, or one cannot be read or understood.
    """
    paths = kubeconfig_paths(environ)
    existing = [path for path in paths if path.is_file()]
    if not existing:
        raise KubernetesError(
            "there is no kubeconfig",
            where=", ".join(str(path) for path in paths),
            next_step="set KUBECONFIG to a kubeconfig file, or put one in the first of these places",
        )
    merged: dict[str, Any] = {"current-context": None, "clusters": {}, "users": {}, "contexts": {}}
    for path in existing:
        _merge(merged, _read(path), path)
    return merged


def select_context(config: Mapping[str, Any], name: str | None, where: str) -> dict[str, Any]:
    """Return one context's name, cluster, user and namespace.

    Raise KubernetesError if there is no such context, with a list of those known, or it points at nothing.
    """
    known = ", ".join(sorted(config["contexts"])) or "none"
    wanted = name or config.get("current-context")
    if not wanted:
        raise KubernetesError(
            "the kubeconfig has no current context",
            where=where,
            next_step=f"set kubeContext in datacenters.yaml, or kubectl config use-context; known: {known}",
        )
    context = config["contexts"].get(wanted)
    if context is None:
        raise KubernetesError(
            f'the kubeconfig has no context "{wanted}"',
            where=where,
            next_step=f"known contexts: {known}; set KUBECONFIG, or kubeContext in datacenters.yaml",
        )
    cluster = config["clusters"].get(context.get("cluster"))
    user = config["users"].get(context.get("user"), {} if not context.get("user") else None)
    if cluster is None or user is None:
        missing = (
            f'cluster "{context.get("cluster")}"' if cluster is None else f'user "{context.get("user")}"'
        )
        raise KubernetesError(
            f'context "{wanted}" names the {missing}, which the kubeconfig does not have',
            where=where,
            next_step="repair the kubeconfig, or fetch it again from your platform",
        )
    return {"name": wanted, "cluster": cluster, "user": user, "namespace": context.get("namespace")}


def _read(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise _broken(path, reason) from error
    if not isinstance(content, dict):
        raise _broken(path, "it holds no mapping")
    return content


def _merge(merged: dict[str, Any], content: dict[str, Any], path: Path) -> None:
    merged["current-context"] = merged["current-context"] or content.get("current-context")
    for section, inner in SECTIONS.items():
        entries = content.get(section) or []
        if not isinstance(entries, list):
            raise _broken(path, f"{section} is no list")
        for entry in entries:
            if (
                not isinstance(entry, dict)
                or not isinstance(entry.get(inner, {}), dict | None)
                or "name" not in entry
            ):
                raise _broken(path, f"an entry of {section} has no name, or no mapping `{inner}`")
            value = dict(entry.get(inner) or {})
            for field in PATH_FIELDS[inner]:
                if value.get(field):
                    value[field] = str(path.parent / str(value[field]))
            merged[section].setdefault(str(entry["name"]), value)


def _broken(path: Path, reason: str) -> KubernetesError:
    return KubernetesError(
        f"the kubeconfig cannot be read: {reason}",
        where=str(path),
        next_step="repair the file, or point KUBECONFIG at another one",
    )
