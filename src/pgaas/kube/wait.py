"""Wait for something to become true, say what changes meanwhile, and name how it ended."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from pgaas.errors import KubernetesUnavailable


@dataclass(frozen=True)
class Item:
    """One thing that is waited for: whether it is there, and what it says meanwhile."""

    name: str
    ok: bool
    detail: str = ""


@dataclass(frozen=True)
class Seen:
    """What a probe saw: done once every item is ok; `hopeless` says why waiting longer cannot help."""

    items: tuple[Item, ...]
    hopeless: str = ""

    @property
    def done(self) -> bool:
        """Whether everything is there."""
        return all(item.ok for item in self.items)

    @property
    def missing(self) -> tuple[Item, ...]:
        """What is not there yet."""
        return tuple(item for item in self.items if not item.ok)


class Ending(Enum):
    """How a wait ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed out"


@dataclass(frozen=True)
class Waited:
    """How a wait ended, what it saw last, and how many seconds it took."""

    ending: Ending
    seen: Seen
    seconds: float


def wait_for(
    probe: Callable[[], Seen],
    *,
    timeout: float,
    interval: float = 1.0,
    on_change: Callable[[list[Item]], None],
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Waited:
    """Probe until everything is there, waiting is hopeless, or `timeout` seconds are over.

    `on_change` gets, after each look, the items that are new or have changed. An API server that does not
    answer is waited for like everything else; every other error of the probe ends the wait.
    """
    start = clock()
    known: dict[str, Item] = {}
    seen = Seen(())
    while True:
        try:
            seen = probe()
            news: tuple[Item, ...] = seen.items
            if "API server" in known and not known["API server"].ok:
                news = (Item("API server", True, "answers again"), *news)
            done = seen.done
        except KubernetesUnavailable as error:
            news = (Item("API server", False, error.what),)
            done = False
        changed = [item for item in news if known.get(item.name) != item]
        known.update((item.name, item) for item in changed)
        if changed:
            on_change(changed)
        seconds = clock() - start
        if done:
            return Waited(Ending.SUCCEEDED, seen, seconds)
        if seen.hopeless:
            return Waited(Ending.FAILED, seen, seconds)
        if seconds >= timeout:
            unanswered = tuple(item for item in news if item.name == "API server" and not item.ok)
            return Waited(Ending.TIMED_OUT, Seen((*seen.items, *unanswered)), seconds)
        sleep(min(interval, max(timeout - seconds, 0.0)))
