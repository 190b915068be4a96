"""What Kubernetes has noted about a cluster and all that belongs to it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pgaas.config.naming import Target, object_store_name
from pgaas.errors import KubernetesError, KubernetesForbidden
from pgaas.kube.client import Api
from pgaas.kube.diagnose import when
from pgaas.kube.resources import BACKUP, EVENT, Object, dig, name_of
from pgaas.operations.subject import Subject, load_subject

LOOK_SECONDS = 2.0
WARNING = "Warning"


@dataclass(frozen=True)
class Event:
    """One thing that happened, `count` times until `last`; `uid` and `count` tell it from what it was."""

    first: str
    last: str
    count: int
    warning: bool
    kind: str
    name: str
    reason: str
    message: str
    by: str
    uid: str

    def age(self, now: datetime) -> float | None:
        """Return the seconds since it last happened, or None if nobody wrote that down."""
        try:
            return max((now - datetime.fromisoformat(self.last)).total_seconds(), 0.0)
        except ValueError:
            return None


def events(root: Path, target: Target) -> list[Event]:
    """Return the events of a cluster, oldest first; Kubernetes forgets them after an hour or so."""
    subject = load_subject(root, target)
    return look(subject, subject.api())


def follow_events(
    root: Path,
    target: Target,
    note: Callable[[str], None],
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Event]:
    """Yield the events of a cluster, and then each that comes or happens again, for ever.

    An API server that does not answer for a while is told to `note`, once.
    """
    subject = load_subject(root, target)
    api = subject.api()
    known: dict[str, tuple[int, str]] = {}
    trouble = ""
    for event in look(subject, api):
        known[event.uid] = (event.count, event.last)
        yield event
    while True:
        sleep(LOOK_SECONDS)
        try:
            found = look(subject, api)
        except KubernetesForbidden:
            raise
        except KubernetesError as error:
            if not trouble:
                note(f"{error.what}; trying again")
            trouble = error.what
            continue
        if trouble:
            note("the API server answers again")
            trouble = ""
        news = [event for event in found if known.get(event.uid) != (event.count, event.last)]
        known = {event.uid: (event.count, event.last) for event in found}
        yield from news


def look(subject: Subject, api: Api) -> list[Event]:
    """Return the events of the cluster, and of what is named after it or refers to it."""
    names = {subject.cluster, object_store_name(subject.target)}
    try:
        backups = api.find(BACKUP, subject.namespace)
    except KubernetesForbidden:
        backups = []
    # Whoever takes one by hand gives it any name.
    names |= {name_of(each) for each in backups if dig(each, "spec", "cluster", "name") == subject.cluster}
    found = [
        event_of(event)
        for event in api.find(EVENT, subject.namespace)
        if _concerns(str(dig(event, "involvedObject", "name", default="")), subject.cluster, names)
    ]
    return sorted(found, key=lambda event: (event.last, event.first, event.uid))


def event_of(event: Object) -> Event:
    """Return an event, whichever of Kubernetes' two ways it was written in."""
    last = when(event)
    count = dig(event, "series", "count") or event.get("count") or 1
    return Event(
        first=str(event.get("firstTimestamp") or event.get("eventTime") or last),
        last=last,
        count=int(count),
        warning=event.get("type") == WARNING,
        kind=str(dig(event, "involvedObject", "kind", default="")),
        name=str(dig(event, "involvedObject", "name", default="")),
        reason=str(event.get("reason") or ""),
        message=" ".join(str(event.get("message") or "").split()),
        by=str(dig(event, "source", "component") or event.get("reportingComponent") or ""),
        uid=str(dig(event, "metadata", "uid") or name_of(event)),
    )


def _concerns(name: str, cluster: str, names: set[str]) -> bool:
    return name in names or name.startswith(f"{cluster}-")


def now() -> datetime:
    """Return this moment, to which ages refer."""
    return datetime.now(UTC)
