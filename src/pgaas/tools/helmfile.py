"""The helmfile commands that pgaas runs, as argument lists, and the environment that helmfile.yaml reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pgaas.tools.command import inherited_environment

Component = Literal["cluster", "local-infra"]


def sync_argv(component: Component, *, context: str | None = None) -> list[str]:
    """Return the command that brings a component's releases to what helmfile.yaml says, without helm-diff."""
    return [*_base(component, context), "sync"]


def template_argv(component: Component, *, context: str | None = None) -> list[str]:
    """Return the command that prints a component's objects without asking any cluster."""
    return [*_base(component, context), "template"]


def destroy_argv(component: Component, *, context: str | None = None) -> list[str]:
    """Return the command that uninstalls a component's releases."""
    return [*_base(component, context), "destroy"]


def _base(component: Component, context: str | None) -> list[str]:
    # All charts are local, so nothing is to be fetched, and no repository index is read.
    argv = ["helmfile", "--file", "helmfile.yaml", "--no-color", "--skip-deps"]
    argv += ["--kube-context", context] if context else []
    return [*argv, "--selector", f"component={component}"]


def cluster_environment(*, ins: str, env: str, dc: str, namespace: str, cluster_name: str) -> dict[str, str]:
    """Return the environment for the cluster's release."""
    return environment(
        {"INS": ins, "ENV": env, "DC": dc, "NAMESPACE": namespace, "CLUSTER_NAME": cluster_name}
    )


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment for helmfile: it must not ask the network whether there is a newer helmfile."""
    return inherited_environment({"HELMFILE_UPGRADE_NOTICE_DISABLED": "1", **(extra or {})})
