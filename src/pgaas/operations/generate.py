"""Write the values files that the charts are deployed with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pgaas.config.naming import Target
from pgaas.config.resolve import ConfigCache, resolve_client
from pgaas.config.targets import find_targets
from pgaas.errors import ConfigError, ConfigIssue, UsageError
from pgaas.operations.progress import Progress, step
from pgaas.operations.target import find_target
from pgaas.render.build import build_values
from pgaas.render.write import write_values

LOCAL = "local"


@dataclass(frozen=True)
class Generated:
    """What was written: each target's files, and what was wrong with the targets that have none."""

    files: dict[Target, list[Path]] = field(default_factory=dict)
    infra_files: list[Path] = field(default_factory=list)
    issues: list[ConfigIssue] = field(default_factory=list)

    @property
    def paths(self) -> Iterator[Path]:
        """Return every file written, in order."""
        for files in self.files.values():
            yield from files
        yield from self.infra_files


def generate(root: Path, ins: str, env: str, dc: str | None) -> Generated:
    """Write one target's values file, and in `local` those of the local infrastructure.

    Raise ConfigError with every issue of every file.
    """
    cache = ConfigCache()
    target = find_target(root, ins, env, dc, cache)
    files = {target: [_write(root, target, cache)]}
    return Generated(files, _write_infra(root, cache) if env == LOCAL else [])


def generate_all(root: Path, env: str | None, progress: Progress) -> Generated:
    """Write the values files of every client, environment and datacenter, or of one environment's.

    One target's issues do not stop the others: they are collected, each once.
    """
    cache = ConfigCache()
    targets, unusable = find_targets(root, env, cache)
    if not targets and not unusable:
        raise UsageError(
            f"no client has a databases.yaml{f' for {env}' if env else ''}",
            where=str(root / "confs" / "users"),
            next_step="`pgaas generate --all` writes the values of those that have one",
        )
    files: dict[Target, list[Path]] = {}
    issues = dict.fromkeys(unusable)
    with step(progress, f"generating {len(targets)} values files") as outcome:
        for number, target in enumerate(targets, start=1):
            try:
                files[target] = [_write(root, target, cache)]
            except ConfigError as error:
                issues.update(dict.fromkeys(error.issues))
            progress.advanced(number, len(targets))
        if len(files) < len(targets):
            outcome.problem = f"{len(files)} written, {len(targets) - len(files)} could not be"
    infra: list[Path] = []
    if any(target.env == LOCAL for target in files):
        infra = _write_infra(root, cache)
    return Generated(files, infra, list(issues))


def _write(root: Path, target: Target, cache: ConfigCache) -> Path:
    return write_values(root, target, build_values(resolve_client(root, target, cache)))


def _write_infra(root: Path, cache: ConfigCache) -> list[Path]:
    from pgaas.render.infra import write_infra

    return write_infra(root, cache)
