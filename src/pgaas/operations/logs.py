"""Read the logs of a cluster's instances, merged by time, and made readable."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pgaas.config.environments import known
from pgaas.config.naming import Target
from pgaas.errors import KubernetesError, NotHealthy, UsageError
from pgaas.kube.client import Api
from pgaas.kube.log_entry import Entry, at_least, parse_entry
from pgaas.kube.log_follow import Seen, follow
from pgaas.kube.logs import NANOSECONDS, Line, Source, Wanted, merged
from pgaas.kube.resources import POD, Object, dig, name_of
from pgaas.kube.snapshot import CLUSTER_LABEL
from pgaas.operations.subject import Subject, load_subject

POSTGRES = "postgres"
PLUGIN = "plugin-barman-cloud"
EVERY = "all"


@dataclass(frozen=True)
class Choices:
    """Which lines: of one instance, of a container (`all` for each), since some seconds, what they hold.

    `level` is the least bad one; `pattern` must be found in a line as it came, or as it is shown.
    """

    since: float | None = None
    instance: str | None = None
    container: str = POSTGRES
    level: str | None = None
    pattern: re.Pattern[str] | None = None
    follow: bool = False
    previous: bool = False


@dataclass(frozen=True)
class Said:
    """One line of a log: when, by whom, what it says, and as it came."""

    at: datetime
    pod: str
    container: str
    entry: Entry
    raw: str


def logs(root: Path, target: Target, choices: Choices, note: Callable[[str], None]) -> Iterator[Said]:
    """Yield what a cluster's instances have logged, and with `follow` what they log, for ever.

    A log that cannot be read is told to `note`. Raise NotHealthy if there are no pods, UsageError for an
    instance or a container that there is not, KubernetesError if none of the logs can be read.
    """
    subject = load_subject(root, target)
    api = subject.api()
    start = datetime.now(UTC)
    sources = find_sources(api, subject, choices)
    if not sources and not choices.follow:
        raise _nobody(api, subject, choices)
    if not sources:
        note(f"{subject.cluster} has no such container yet: waiting for one")
    return _said(_lines(api, subject, sources, choices, start, note), choices)


def find_sources(api: Api, subject: Subject, choices: Choices) -> list[Source]:
    """Return the containers that are wanted, of instances and of the jobs that make them."""
    pods = api.find(POD, subject.namespace, labels={CLUSTER_LABEL: subject.cluster})
    return [
        Source(name_of(pod), container, str(dig(pod, "metadata", "uid", default="")))
        for pod in pods
        if _is_wanted(name_of(pod), subject, choices.instance)
        for container in _containers(pod, choices.container)
    ]


def _is_wanted(pod: str, subject: Subject, instance: str | None) -> bool:
    if instance is None:
        return True
    name = instance if instance.startswith(f"{subject.cluster}-") else f"{subject.cluster}-{instance}"
    # The jobs that make an instance are named after it.
    return pod == name or pod.startswith(f"{name}-")


def _containers(pod: Object, wanted: str) -> list[str]:
    main = [str(each["name"]) for each in dig(pod, "spec", "containers", default=[])]
    every = main + [str(each["name"]) for each in dig(pod, "spec", "initContainers", default=[])]
    if wanted == EVERY:
        return every
    if wanted in every:
        return [wanted]
    # A job's container has its own name, such as initdb.
    return main if wanted == POSTGRES and POSTGRES not in every else []


def _nobody(api: Api, subject: Subject, choices: Choices) -> NotHealthy | UsageError:
    """Return why there is nothing to read."""
    pods = api.find(POD, subject.namespace, labels={CLUSTER_LABEL: subject.cluster})
    if not pods:
        return NotHealthy(
            f"{subject.cluster} has no pods",
            where=f"namespace {subject.namespace}",
            next_step=subject.command("events") + " may say why; " + subject.command("status"),
        )
    names = [name_of(pod) for pod in pods]
    if not any(_is_wanted(name, subject, choices.instance) for name in names):
        return UsageError(f"{subject.cluster} has no instance {choices.instance!r}", next_step=known(names))
    containers = {container for pod in pods for container in _containers(pod, EVERY)}
    what = f"{subject.cluster} has no container {choices.container!r}"
    return UsageError(what, next_step=known(sorted(containers)))


def _lines(
    api: Api,
    subject: Subject,
    sources: list[Source],
    choices: Choices,
    start: datetime,
    note: Callable[[str], None],
) -> Iterator[Line]:
    since = start - timedelta(seconds=choices.since) if choices.since is not None else None
    seen: dict[Source, Seen] = {source: Seen() for source in sources}

    unread: list[KubernetesError] = []

    def skipped(source: Source, error: KubernetesError) -> None:
        unread.append(error)
        note(f"{source.pod}, {source.container}: {error.what}")

    wanted = Wanted(since, choices.previous)
    for line in merged(api, subject.namespace, sources, wanted, skipped):
        seen[line.source].note(line)
        yield line
    if unread and len(unread) == len(sources) and not choices.follow:
        # Silence would look as if nothing had been logged.
        raise unread[0]
    if choices.follow:
        # Before that moment all was read; of a pod that comes later, everything is news.
        yield from follow(
            api, subject.namespace, lambda: find_sources(api, subject, choices), seen, start, note
        )


def _said(lines: Iterator[Line], choices: Choices) -> Iterator[Said]:
    for line in lines:
        entry = parse_entry(line.text)
        if choices.level and not at_least(entry.level, choices.level):
            continue
        pattern = choices.pattern
        if pattern and not pattern.search(line.text) and not pattern.search(entry.text):
            continue
        at = datetime.fromtimestamp(line.at / NANOSECONDS, UTC)
        yield Said(at, line.source.pod, line.source.container, entry, line.text)
