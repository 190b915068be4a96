"""Look at all clients of an environment for Prometheus: some at the same time, and none for ever."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import NamedTuple

from pgaas.config.naming import Target
from pgaas.config.targets import find_targets
from pgaas.errors import ConfigError, PgaasError
from pgaas.operations.exporter_samples import merged, samples_of
from pgaas.operations.status_pair_parts import gather
from pgaas.operations.subject import Subject, load_subject
from pgaas.operations.trust_sync import Background
from pgaas.tools.exposition import Sample

# Each asks some API servers and reads some archives: more at once would only make all of them slower.
AT_ONCE = 8
# Longer than one look at a pair waits for what does not answer.
DEADLINE = 45.0
# So old may the last look's numbers become while the next look takes longer than that: a look that takes two
# deadlines each time leaves no gap, and a datacenter that hangs is told before PgaasLookOld.
KEPT = 3 * DEADLINE


class Client(NamedTuple):
    """One client in one environment."""

    ins: str
    env: str


class Found(NamedTuple):
    """What one look found, when it ended, and how long it took."""

    samples: list[Sample]
    ended: float
    seconds: float


class Running(NamedTuple):
    """A look that was begun, and when."""

    work: Background[Found]
    begun: float


Tell = Callable[[str], None]


@dataclass
class Looks:
    """The looks of one exporter: at most one at a time at a client, also after one that hangs."""

    look: Callable[[Path, list[Target]], list[Sample]]
    deadline: float = DEADLINE
    kept: float = KEPT
    running: dict[Client, Running] = field(default_factory=dict)
    last: dict[Client, Found] = field(default_factory=dict)

    def at(self, root: Path, client: Client, targets: list[Target], tell: Tell) -> list[Sample]:
        """Return what a client's look gives, or that it gave nothing.

        One that takes longer than the deadline gives what it found to a later call, with the time it ended.
        """
        earlier = self.running.get(client)
        running = self.running[client] = earlier or self._begin(root, targets)
        found: Found | None = None
        ended, valid, why = True, True, ""
        try:
            found = running.work.result(0.0 if earlier else self.deadline)
            ended = found is not None
        except ConfigError as error:
            valid, why = False, _told(error)
        except PgaasError as error:
            why = error.what
        except Exception as error:
            why = f"{type(error).__name__}: {error}"
        if ended:
            del self.running[client]
            self.last.pop(client, None)
        else:
            why = f"no answer within {self.deadline:g} s"
            before = self.last.get(client)
            found = before if before and time.time() - before.ended < self.kept else None
        if found:
            self.last[client] = found
        if why:
            tell(f"{client.ins} in {client.env} could not be looked at: {why}")
        down = [Sample("pgaas_up", (*client, target.dc), 0.0) for target in targets if valid]
        now = time.time()
        return [
            *(found.samples if found else down),
            Sample("pgaas_config_valid", client, float(valid)),
            Sample("pgaas_look_seconds", client, found.seconds if found else now - running.begun),
            Sample("pgaas_last_look_timestamp_seconds", client, found.ended if found else now),
        ]

    def _begin(self, root: Path, targets: list[Target]) -> Running:
        begun = time.time()

        def work() -> Found:
            samples = self.look(root, targets)
            ended = time.time()
            return Found(samples, ended, ended - begun)

        return Running(Background(work), begun)


def look_at_client(root: Path, targets: list[Target]) -> list[Sample]:
    """Look at one client once, at all its datacenters together if they replicate with one another."""
    subjects = {target.dc: load_subject(root, target) for target in targets}
    some = targets[0]
    replicated = any(subject.values.replication.enabled for subject in subjects.values())
    alone = [subjects] if replicated else [{dc: subject} for dc, subject in subjects.items()]
    looks = [Background(partial(_look_at, each)) for each in alone]
    found = [look.result(threading.TIMEOUT_MAX) or [] for look in looks]
    return [Sample("pgaas_replicated", (some.ins, some.env), float(replicated)), *merged(found)]


def _look_at(subjects: Mapping[str, Subject]) -> list[Sample]:
    return samples_of(gather(subjects))


def collect(root: Path, env: str | None, looks: Looks, tell: Tell = lambda _: None) -> list[Sample]:
    """Look at every client of an environment, or of all of them, once; a look that fails gives pgaas_up 0.

    Files of one client that are wrong give it pgaas_config_valid 0 instead. `tell` hears why.
    Raise UsageError or ConfigError if the clients cannot be told.
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


def _told(error: ConfigError) -> str:
    return "; ".join([error.what, *map(str, error.issues)])
