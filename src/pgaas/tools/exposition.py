"""Show numbers to Prometheus: as text, or over HTTP."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pgaas.errors import UsageError

HELP = {
    errno.EADDRINUSE: "name another port, or end what listens there",
    errno.EACCES: "name a port from 1024 on",
    errno.EADDRNOTAVAIL: "name an address of this machine, or 0.0.0.0 for all of them",
}


@dataclass(frozen=True)
class Family:
    """What a metric says, and which labels its samples have."""

    help: str
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Sample:
    """One number; the labels' values are in the order of the family's labels."""

    name: str
    labels: tuple[str, ...]
    value: float


Families = Mapping[str, Family]


def text_of(families: Families, samples: Iterable[Sample]) -> str:
    """Return samples in Prometheus's text format."""
    from prometheus_client import generate_latest

    held = list(samples)
    return generate_latest(_registry(families, lambda: held)).decode()


@contextmanager
def served(host: str, port: int, families: Families, read: Callable[[], Sequence[Sample]]) -> Iterator[int]:
    """Answer Prometheus with what `read` returns, and give the port; raise UsageError if it cannot be had."""
    from prometheus_client import start_http_server

    try:
        server, thread = start_http_server(port, addr=host, registry=_registry(families, read))
    except OSError as error:
        raise UsageError(
            f"cannot listen on {host}:{port}: {(error.strerror or os.strerror(error.errno or 0)).lower()}",
            next_step=HELP.get(error.errno or 0, "name an address of this machine, such as 127.0.0.1:9188"),
        ) from error
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _registry(families: Families, read: Callable[[], Sequence[Sample]]) -> Any:
    """Return a registry that holds nothing, and asks `read` each time."""
    from prometheus_client import CollectorRegistry
    from prometheus_client.core import GaugeMetricFamily
    from prometheus_client.registry import Collector

    class Current(Collector):
        def collect(self) -> Iterator[GaugeMetricFamily]:
            samples = read()
            for name, family in families.items():
                found = GaugeMetricFamily(name, family.help, labels=family.labels)
                for each in samples:
                    if each.name == name:
                        found.add_metric(each.labels, each.value)
                if found.samples:
                    yield found

    registry = CollectorRegistry()
    registry.register(Current())
    return registry
