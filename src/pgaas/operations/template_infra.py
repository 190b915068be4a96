"""Render the objects of the local infrastructure without asking any cluster."""

from __future__ import annotations

from pathlib import Path

from pgaas.config.environments import LOCAL
from pgaas.config.targets import default_datacenter
from pgaas.operations.infra import require_local
from pgaas.operations.progress import Progress, step
from pgaas.render.infra import write_infra
from pgaas.tools import command, helmfile


def check_target(root: Path, ins: str | None, env: str | None) -> None:
    """Raise UsageError for a client or an environment that has no local infrastructure, if one is named."""
    if env is not None:
        require_local(env)
    if ins is not None:
        default_datacenter(root, ins, LOCAL)


def template_infra(root: Path, progress: Progress) -> str:
    """Write the local infrastructure's values files and return the objects of pgaas's own charts as YAML.

    Raise ConfigError for the files, ToolMissing and ToolFailed for helmfile and helm.
    """
    write_infra(root)
    env = helmfile.environment()
    with step(progress, "rendering the local infrastructure"):
        command.find_program("helm", env)
        return command.run(helmfile.own_charts_argv(), env=env, cwd=root, echo=progress.command).stdout
