"""Write the values files that the charts are deployed with."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pgaas.config.environments import LOCAL, resolve_environment
from pgaas.config.naming import Target
from pgaas.config.resolve import ConfigCache, resolve_client
from pgaas.config.targets import find_targets
from pgaas.config.users import users_of
from pgaas.errors import ConfigError, ConfigIssue, UsageError
from pgaas.operations.progress import Progress, step
from pgaas.operations.target import find_target
from pgaas.render.build import build_values
from pgaas.render.values import GeneratedValues
from pgaas.render.write import write_values

if TYPE_CHECKING:
    from concurrent.futures import Future

THREADS = 4
QUEUE = 16


class Generated(NamedTuple):
    """What was written, and what was wrong with the targets that have no files.

    Collectors are those of real environments, one in each datacenter; local's are part of its infrastructure.
    `users_revision` is the commit of the clients' repository, empty if it was not asked.
    """

    files: dict[Target, list[Path]]
    infra_files: list[Path]
    issues: list[ConfigIssue]
    collector_files: list[Path]
    users_revision: str = ""

    @property
    def paths(self) -> Iterator[Path]:
        """Return every file written, in order."""
        for files in self.files.values():
            yield from files
        yield from self.infra_files
        yield from self.collector_files


def generate(root: Path, ins: str, env: str, dc: str | None) -> Generated:
    """Write one target's values file, and in `local` those of the local infrastructure.

    Raise ConfigError with every issue of every file.
    """
    cache = ConfigCache()
    target = find_target(root, ins, env, dc, cache)
    values = build_values(resolve_client(root, target, cache))
    files = {target: [write_values(root, target, values)]}
    infra = _write_infra(root, cache) if env == LOCAL else []
    return Generated(files, infra, [], [], users_of(root).revision)


def generate_all(root: Path, env: str | None, progress: Progress) -> Generated:
    """Write the values files of every client, environment and datacenter, or of one environment's.

    One target's issues do not stop the others: they are collected, each once.
    """
    cache = ConfigCache()
    targets, unusable = find_targets(root, env, cache)
    if not targets and not unusable:
        raise UsageError(
            f"no client has a databases.yaml{f' for {env}' if env else ''}",
            where=str(users_of(root).folder),
            next_step="`pgaas generate --all` writes the values of those that have one",
        )
    files: dict[Target, list[Path]] = {}
    issues = dict.fromkeys(unusable)
    with (
        step(progress, f"generating {len(targets)} values files") as outcome,
        _Writers(root, files) as writers,
    ):
        for number, target in enumerate(targets, start=1):
            try:
                writers.write(target, build_values(resolve_client(root, target, cache)))
            except ConfigError as error:
                issues.update(dict.fromkeys(error.issues))
            progress.advanced(number, len(targets))
        writers.wait()
        if len(files) < len(targets):
            outcome.problem = f"{len(files)} written, {len(targets) - len(files)} could not be"
    infra: list[Path] = []
    if any(target.env == LOCAL for target in files):
        infra = _write_infra(root, cache)
    collectors: list[Path] = []
    for team_env in sorted({resolve_environment(target.env).team_env for target in files} - {LOCAL}):
        # The sub-environments of hp share collectors: the clusters of all of them are asked.
        known = targets if env in (None, team_env) else find_targets(root, None, cache)[0]
        collectors += _write_collectors(root, team_env, known, cache)
    return Generated(files, infra, list(issues), collectors, users_of(root).revision)


class _Writers:
    """Write files while the next ones are made: a disk takes longer for one than the making of it.

    At most QUEUE values are held at a time.
    """

    def __init__(self, root: Path, files: dict[Target, list[Path]]) -> None:
        from concurrent.futures import ThreadPoolExecutor

        self._root = root
        self._files = files
        self._pool = ThreadPoolExecutor(THREADS)
        self._pending: deque[tuple[Target, Future[Path]]] = deque()

    def __enter__(self) -> _Writers:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def write(self, target: Target, values: GeneratedValues) -> None:
        """Hand over a target's values; raise what an earlier target's writing raised."""
        self._pending.append((target, self._pool.submit(write_values, self._root, target, values)))
        if len(self._pending) > QUEUE:
            self._take()

    def wait(self) -> None:
        """Wait until everything is written; raise what the writing raised."""
        while self._pending:
            self._take()

    def _take(self) -> None:
        target, writing = self._pending.popleft()
        self._files[target] = [writing.result()]


def _write_infra(root: Path, cache: ConfigCache) -> list[Path]:
    from pgaas.render.infra import write_infra

    return write_infra(root, cache)


def _write_collectors(root: Path, team_env: str, targets: list[Target], cache: ConfigCache) -> list[Path]:
    from pgaas.render.infra_observability import write_collectors

    own = [target for target in targets if resolve_environment(target.env).team_env == team_env]
    return write_collectors(root, cache, team_env, own)
