"""Follow containers' logs over restarts of pods and lost connections: no line twice, none left out."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime

from pgaas.errors import KubernetesError, KubernetesForbidden
from pgaas.kube.client import Api
from pgaas.kube.logs import NANOSECONDS, WAITING_LINES, Line, Source, Wanted, read_log

LOOK_SECONDS = 2.0
AGAIN_SECONDS = 1.0
# So long a line waits for earlier ones of other instances.
HOLD_SECONDS = 0.3


class Seen:
    """What is known of one log: the time of the newest line, and how many lines had just that."""

    def __init__(self, at: int = 0, count: int = 0) -> None:
        self.at, self.count = at, count

    def note(self, line: Line) -> None:
        """Remember a line."""
        if line.at > self.at:
            self.at, self.count = line.at, 0
        if line.at == self.at:
            self.count += 1

    def fresh(self) -> Callable[[Line], bool]:
        """Return what says, of one more reading from the newest line's second on, which lines are new."""
        at, again = self.at, self.count

        def is_new(line: Line) -> bool:
            nonlocal again
            if line.at == at and again:
                again -= 1
                return False
            return line.at >= at

        return is_new


def follow(
    api: Api,
    namespace: str,
    find: Callable[[], list[Source]],
    known: dict[Source, Seen],
    start: datetime,
    note: Callable[[str], None],
) -> Iterator[Line]:
    """Yield lines as they are written, for ever; `find` says which containers there are now.

    `known` is what was read of each already; of the others all since `start` is yielded. Raise
    KubernetesForbidden if the right to read them is missing.
    """
    waiting: queue.Queue[Line | Exception] = queue.Queue(WAITING_LINES)
    alive: set[Source] = set()
    trouble = ""
    looked = -LOOK_SECONDS
    held: list[Line] = []
    held_since = 0.0
    while True:
        if time.monotonic() - looked >= LOOK_SECONDS:
            try:
                there = set(find())
                trouble = _told(trouble, "", note)
            except KubernetesForbidden:
                raise
            except KubernetesError as error:
                there, trouble = set(alive), _told(trouble, error.what, note)
            for source in there - alive:
                _start(api, namespace, source, known.setdefault(source, Seen()), start, waiting, alive, note)
            # The others' threads see it, and end.
            alive &= there
            looked = time.monotonic()
        try:
            line = waiting.get(timeout=HOLD_SECONDS / 3)
            if isinstance(line, Exception):
                raise line
            held_since = held_since if held else time.monotonic()
            held.append(line)
        except queue.Empty:
            pass
        if held and time.monotonic() - held_since >= HOLD_SECONDS:
            yield from sorted(held, key=lambda each: each.at)
            held.clear()


def _told(before: str, now: str, note: Callable[[str], None]) -> str:
    if now and not before:
        note(f"{now}; trying again")
    if before and not now:
        note("the API server answers again")
    return now


def _start(
    api: Api,
    namespace: str,
    source: Source,
    seen: Seen,
    start: datetime,
    waiting: queue.Queue[Line | Exception],
    alive: set[Source],
    note: Callable[[str], None],
) -> None:
    """Read one log in a thread until its pod is gone for good."""
    alive.add(source)

    def read() -> None:
        complained = False
        while source in alive:
            since = datetime.fromtimestamp(seen.at // NANOSECONDS, UTC) if seen.at else start
            is_new = seen.fresh()

            def take(line: Line, is_new: Callable[[Line], bool] = is_new) -> None:
                line = line if line.at else replace(line, at=seen.at)
                if is_new(line):
                    seen.note(line)
                    waiting.put(line)

            try:
                read_log(api, namespace, source, Wanted(since=since), take, follow=True)
                complained = False
            except KubernetesForbidden as error:
                # To wait would be to wait for ever.
                waiting.put(error)
                return
            except KubernetesError as error:
                # A container that has not started yet says so too: it will.
                if not complained and not _is_starting(error):
                    note(f"{source.pod}, {source.container}: {error.what}; trying again")
                    complained = True
            except Exception as error:
                waiting.put(error)
                return
            time.sleep(AGAIN_SECONDS)

    threading.Thread(target=read, daemon=True).start()


def _is_starting(error: KubernetesError) -> bool:
    return "waiting to start" in error.what or "ContainerCreating" in error.what
