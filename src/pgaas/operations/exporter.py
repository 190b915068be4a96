"""Look at all clients of an environment for Prometheus: some at the same time, and none for ever."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from pgaas.config.naming import Target
from pgaas.config.targets import find_targets
from pgaas.errors import ConfigError, PgaasError
from pgaas.operations.exporter_samples import samples_of
from pgaas.operations.status_pair_parts import gather
from pgaas.operations.subject import load_subject
from pgaas.operations.trust_sync import Background
from pgaas.tools.exposition import Sample

# Each asks some API servers and reads some archives: more at once would only make all of them slower.
AT_ONCE = 8
# Longer than one look at a pair waits for what does not answer.
DEADLINE = 45.0


class Client(NamedTuple):
    """One client in one environment."""

    ins: str
    env: str


Tell = Callable[[str], None]


@dataclass
class Looks:
    """The looks of one exporter: at most one at a time at a client, also after one that hangs."""

    look: Callable[[Path, list[Target]], list[Sample]]
    deadline: float = DEADLINE
    running: dict[Client, Background[list[Sample]]] = field(default_factory=dict)

    def at(self, root: Path, client: Client, targets: list[Target], tell: Tell) -> list[Sample]:
        """Return what a client's look gives, or that it gave nothing."""
        begun = time.monotonic()
        earlier = self.running.get(client)
        work = self.running[client] = earlier or Background(lambda: self.look(root, targets))
        found: list[Sample] | None = None
        ended, why = True, ""
        try:
            found = work.result(0.0 if earlier else self.deadline)
            ended = found is not None
        except PgaasError as error:
            why = _told(error)
        except Exception as error:
            why = f"{type(error).__name__}: {error}"
        if ended:
            del self.running[client]
        if earlier:
            # What it found in the end is old by now.
            found, why = None, why or "the look before this one took too long"
        elif not ended:
            why = f"no answer within {self.deadline:g} s"
        if why:
            tell(f"{client.ins} in {client.env} could not be looked at: {why}")
        down = [Sample("pgaas_up", (client.ins, client.env, target.dc), 0.0) for target in targets]
        return [
            *(down if found is None else found),
            Sample("pgaas_look_seconds", client, time.monotonic() - begun),
            Sample("pgaas_last_look_timestamp_seconds", client, time.time()),
        ]


def look_at_client(root: Path, targets: list[Target]) -> list[Sample]:
    """Look at one client once, at all its datacenters together if they replicate with one another."""
    subjects = {target.dc: load_subject(root, target) for target in targets}
    if any(subject.values.replication.enabled for subject in subjects.values()):
        return samples_of(gather(subjects))
    return [sample for dc, subject in subjects.items() for sample in samples_of(gather({dc: subject}))]


def collect(root: Path, env: str | None, looks: Looks, tell: Tell = lambda _: None) -> list[Sample]:
    """Look at every client of an environment, or of all of them, once; a look that fails gives pgaas_up 0.

    `tell` hears why. Raise UsageError or ConfigError if the clients cannot be told.
    """
    todo = deque(clients_of(root, env, tell).items())
    found: dict[Client, list[Sample]] = {}

    def work() -> None:
        while todo:
            try:
                client, targets = todo.popleft()
            except IndexError:
                return
            found[client] = looks.at(root, client, targets, tell)

    waves = len(todo) // AT_ONCE + 1
    for worker in [Background(work) for _ in range(min(AT_ONCE, len(todo)))]:
        worker.result(waves * (looks.deadline + 1))
    return [sample for client in sorted(found) for sample in found[client]]


def clients_of(root: Path, env: str | None, tell: Tell = lambda _: None) -> Mapping[Client, list[Target]]:
    """Return the clients and their datacenters; `tell` hears what is wrong with those that have none.

    Raise UsageError if nobody is in the environment, ConfigError if that cannot be told.
    """
    targets, issues = find_targets(root, env)
    if issues and not targets:
        raise ConfigError(issues)
    for issue in issues:
        tell(str(issue))
    found: dict[Client, list[Target]] = {}
    for target in targets:
        found.setdefault(Client(target.ins, target.env), []).append(target)
    return found


def _told(error: PgaasError) -> str:
    issues = [str(issue) for issue in error.issues] if isinstance(error, ConfigError) else []
    return "; ".join([error.what, *issues])
