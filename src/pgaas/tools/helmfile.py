"""The helmfile commands that pgaas runs, as argument lists, and the environment that helmfile.yaml reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pgaas.tools.command import inherited_environment

Component = Literal["cluster", "local-infra"]
# Of the local infrastructure, what needs no chart from elsewhere.
OWN_CHARTS = "component=local-infra,origin=pgaas"


def sync_argv(component: Component, *, context: str | None = None) -> list[str]:
    """Return the command that brings a component's releases to what helmfile.yaml says, without helm-diff."""
    return [*_base(component, context), "sync"]


def template_argv(component: Component, *, context: str | None = None) -> list[str]:
    """Return the command that prints a component's objects without asking any cluster."""
    return [*_base(component, context), "template"]


def own_charts_argv() -> list[str]:
    """Return the command that prints the objects of the local infrastructure's own charts."""
    return [*_selected(OWN_CHARTS, None), "template"]


def repositories_argv() -> list[str]:
    """Return the command that fetches what the chart repositories have."""
    return ["helmfile", "--file", "helmfile.yaml", "--no-color", "repos"]


def sync_release_argv(release: str, *, context: str | None = None) -> list[str]:
    """Return the command that brings one release of the local infrastructure to what helmfile.yaml says."""
    return [*_selected(f"component=local-infra,name={release}", context), "sync"]


def template_release_argv(release: str, *, context: str | None = None) -> list[str]:
    """Return the command that prints one release's objects without asking any cluster."""
    return [*_selected(f"component=local-infra,name={release}", context), "template"]


def _base(component: Component, context: str | None) -> list[str]:
    return _selected(f"component={component}", context)


def _selected(selector: str, context: str | None) -> list[str]:
    # Charts are local, or their repositories were fetched before: nothing is to be fetched now.
    argv = ["helmfile", "--file", "helmfile.yaml", "--no-color", "--skip-deps"]
    argv += ["--kube-context", context] if context else []
    return [*argv, "--selector", selector]


def infra_environment(dc: str, charts: str = "") -> dict[str, str]:
    """Return the environment for the local infrastructure; `charts` is a folder that replaces upstream's."""
    return environment({"DC": dc, "PGAAS_CHARTS": charts})


def cluster_environment(
    *, ins: str, env: str, dc: str, namespace: str, cluster_name: str, restored: bool = False
) -> dict[str, str]:
    """Return the environment for the cluster's release; one that is `restored` has values of its own."""
    codes = {"INS": ins, "ENV": env, "DC": dc, "NAMESPACE": namespace, "CLUSTER_NAME": cluster_name}
    return environment({**codes, "RESTORED": cluster_name if restored else ""})


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment for helmfile: it must not ask the network whether there is a newer helmfile."""
    return inherited_environment({"HELMFILE_UPGRADE_NOTICE_DISABLED": "1", **(extra or {})})
