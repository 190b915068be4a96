"""Read containers' logs through the API server, several at once, in the order of time."""

from __future__ import annotations

import heapq
import queue
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pgaas.errors import KubernetesError
from pgaas.kube.client import Api

if TYPE_CHECKING:
    import httpx2

# So many lines of one container wait for those of the others.
WAITING_LINES = 1000
# A connection that brings nothing for so long may be dead: another one is made.
QUIET_SECONDS = 30.0
CONNECT_SECONDS = 5.0
NANOSECONDS = 10**9
STAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)")


@dataclass(frozen=True)
class Source:
    """One container of one pod; a pod made anew under its old name has another `uid`."""

    pod: str
    container: str
    uid: str = ""


@dataclass(frozen=True)
class Line:
    """One line of a log; `at` is in nanoseconds since 1970, as the kubelet has it."""

    at: int
    source: Source
    text: str


@dataclass(frozen=True)
class Wanted:
    """Which part of a log: from a time on, or that of the container before its last restart."""

    since: datetime | None = None
    previous: bool = False

    def parameters(self, source: Source) -> dict[str, str]:
        """Return what the API server calls it."""
        found = {"container": source.container, "timestamps": "true"}
        found |= {"sinceTime": f"{self.since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"} if self.since else {}
        found |= {"previous": "true"} if self.previous else {}
        return found


def parse_line(text: str, source: Source) -> Line:
    """Return a line of a log with timestamps; one without has the time 0."""
    stamp, _, rest = text.partition(" ")
    match = STAMP.fullmatch(stamp)
    if match is None:
        return Line(0, source, text)
    whole = datetime.fromisoformat(match[1] + match[3].replace("Z", "+00:00"))
    return Line(int(whole.timestamp()) * NANOSECONDS + int((match[2] or "").ljust(9, "0")), source, rest)


def read_log(
    api: Api,
    namespace: str,
    source: Source,
    wanted: Wanted,
    take: Callable[[Line], None],
    *,
    follow: bool = False,
) -> bool:
    """Hand over a log line by line; return whether there is such a pod.

    With `follow`, it ends when the container does, or when nothing came for a while. Raise KubernetesError
    for what the API server refuses, such as a container that has not started.
    """
    import httpx2

    path = f"/api/v1/namespaces/{namespace}/pods/{source.pod}/log"
    parameters = wanted.parameters(source) | ({"follow": "true"} if follow else {})
    timeout = httpx2.Timeout(QUIET_SECONDS, connect=CONNECT_SECONDS)

    def ask(client: httpx2.Client) -> bool:
        with client.stream("GET", path, params=parameters, timeout=timeout) as response:
            if response.is_error:
                response.read()
            response.raise_for_status()
            try:
                for text in _lines(response.iter_bytes()):
                    take(parse_line(text, source))
            except httpx2.ReadTimeout:
                if not follow:
                    raise
        return True

    return api.plain(f"log {namespace}/{source.pod} {source.container}", ask, missing=False)


def _lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """Yield lines as they end; httpx2's own breaks wherever Unicode ends a line."""
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        yield from (line.decode(errors="replace").rstrip("\r") for line in whole)
    if rest:
        yield rest.decode(errors="replace")


def merged(
    api: Api,
    namespace: str,
    sources: Iterable[Source],
    wanted: Wanted,
    skipped: Callable[[Source, KubernetesError], None],
) -> Iterator[Line]:
    """Yield the lines of several logs by time; a log that cannot be read is told to `skipped`."""
    streams = [_stream(api, namespace, source, wanted, skipped) for source in sources]
    return heapq.merge(*streams, key=lambda line: line.at)


def _stream(
    api: Api,
    namespace: str,
    source: Source,
    wanted: Wanted,
    skipped: Callable[[Source, KubernetesError], None],
) -> Iterator[Line]:
    """Start to read a log in a thread, and return its lines as they are wanted."""
    waiting: queue.Queue[Line | KubernetesError | Exception | None] = queue.Queue(WAITING_LINES)

    def read() -> None:
        try:
            read_log(api, namespace, source, wanted, waiting.put)
        except Exception as error:
            waiting.put(error)
        waiting.put(None)

    threading.Thread(target=read, daemon=True).start()

    def lines() -> Iterator[Line]:
        newest = 0
        while (found := waiting.get()) is not None:
            if isinstance(found, KubernetesError):
                skipped(source, found)
            elif isinstance(found, Exception):
                raise found
            else:
                # What has no time of its own belongs to the line before.
                newest = max(newest, found.at)
                yield found if found.at else Line(newest, source, found.text)

    return lines()
