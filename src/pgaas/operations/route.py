"""Find a way to PostgreSQL from here: by its name, by its load balancer, or through the API server."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from pgaas.errors import KubernetesError, NotHealthy
from pgaas.kube.client import Api
from pgaas.kube.forward import LOOPBACK
from pgaas.kube.resources import SERVICE, outside_addresses
from pgaas.operations.trust_sync import Background
from pgaas.render.connect import PORT
from pgaas.tools.dns_read import look_up
from pgaas.tools.postgres_probe import answers

LOOK_UP_SECONDS = 4.0


@dataclass(frozen=True)
class Door:
    """Where one cluster, or its standbys, are to be reached.

    `host` is the name that the server's certificate is checked against, `service` the LoadBalancer beside,
    `pods` those to forward a port to. `elsewhere` are addresses to which the name must not lead.
    """

    api: Api
    namespace: str
    host: str
    service: str
    pods: tuple[str, ...]
    elsewhere: tuple[str, ...] = ()


@dataclass(frozen=True)
class Route:
    """A way that PostgreSQL has answered on; `address` is empty if the host's name will do."""

    host: str
    address: str
    port: int
    how: str


def found_here(name: str) -> list[str]:
    """Return the addresses that this machine finds for a name; none if that takes too long."""
    return Background(lambda: look_up(name)).result(LOOK_UP_SECONDS) or []


@contextlib.contextmanager
def open_route(door: Door, note: Callable[[str], None]) -> Iterator[Route]:
    """Give the first way on which PostgreSQL answers, for as long as the block lasts.

    Raise NotHealthy if there is no pod to reach, KubernetesError if the API server does not let us through.
    """
    found = _by_name(door, note) or _by_balancer(door)
    if found:
        yield found
        return
    if not door.pods:
        raise NotHealthy(
            f"nobody answers at {door.host}, and no instance is ready",
            where=f"namespace {door.namespace}",
            next_step="pgaas status says what is wrong with the cluster",
        )
    pod = door.pods[0]
    with door.api.forward(pod, door.namespace, PORT) as near:
        if not answers(LOOPBACK, near):
            raise KubernetesError(
                f"PostgreSQL of {pod} does not answer through the API server, nor at {door.host}",
                where=f"namespace {door.namespace}",
                next_step="look at the pod's log: pgaas logs",
            )
        yield Route(door.host, LOOPBACK, near, f"through the API server to {pod}")


def _by_name(door: Door, note: Callable[[str], None]) -> Route | None:
    leads_to = found_here(door.host)
    if wrong := sorted(set(leads_to) & set(door.elsewhere)):
        note(f"{door.host} leads to {', '.join(wrong)}, which is not the primary: pgaas update-dns shows why")
        return None
    # All that libpq would try, in its order.
    return Route(door.host, "", PORT, "by its name") if _any_answers(leads_to) else None


def _by_balancer(door: Door) -> Route | None:
    balancer = door.api.get(SERVICE, door.service, door.namespace)
    for outside in outside_addresses(balancer):
        for address in found_here(outside):
            if answers(address, PORT):
                return Route(door.host, address, PORT, f"at {address}, its load balancer")
    return None


def _any_answers(addresses: Sequence[str]) -> bool:
    return any(answers(address, PORT) for address in addresses)
