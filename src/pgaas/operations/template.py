"""Render a cluster's objects without asking any cluster."""

from __future__ import annotations

from pathlib import Path

from pgaas.config.naming import Target, cluster_name, namespace
from pgaas.operations.generate import generate
from pgaas.operations.progress import Progress, step
from pgaas.tools import command, helmfile


def template(root: Path, ins: str, env: str, dc: str | None, progress: Progress) -> str:
    """Write a target's values file and return the chart's objects as YAML.

    Raise ConfigError for the files, ToolMissing and ToolFailed for helmfile and helm.
    """
    (target,) = generate(root, ins, env, dc).files
    with step(progress, f"rendering {cluster_name(target)}"):
        command.find_program("helm", environment(target))
        return command.run(
            helmfile.template_argv("cluster"), env=environment(target), cwd=root, echo=progress.command
        ).stdout


def environment(target: Target) -> dict[str, str]:
    """Return the environment in which helmfile.yaml means this target."""
    return helmfile.cluster_environment(
        ins=target.ins,
        env=target.env,
        dc=target.dc,
        namespace=namespace(target),
        cluster_name=cluster_name(target),
    )
