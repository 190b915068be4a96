"""Give LoadBalancer Services an address: one of the node's own, as metallb would in its simplest mode."""

from collections.abc import Iterable
from typing import Any

from pgaas_lab import network
from pgaas_lab.api import Api
from pgaas_lab.datacenters import Datacenter

Service = dict[str, Any]


def is_balanced(service: Service) -> bool:
    """Tell whether a Service wants an address from the lab."""
    spec = service["spec"]
    return spec.get("type") == "LoadBalancer" and not spec.get("loadBalancerClass")


def address_of(service: Service) -> str:
    """Return the address that a Service's status shows, or an empty text."""
    ingress = (service.get("status") or {}).get("loadBalancer", {}).get("ingress") or [{}]
    return str(ingress[0].get("ip", ""))


def name_of(service: Service) -> str:
    """Return a Service's namespace and name."""
    return f"{service['metadata']['namespace']}/{service['metadata']['name']}"


def assign(services: Iterable[Service], pool: Iterable[str]) -> dict[str, str]:
    """Return an address per LoadBalancer Service: the one it has, else asks for, else the first free one.

    When the pool is used up, the youngest Services get none.
    """
    pool = list(pool)
    waiting = sorted(
        (service for service in services if is_balanced(service)),
        key=lambda service: (service["metadata"].get("creationTimestamp", ""), name_of(service)),
    )
    given: dict[str, str] = {}
    for wish in (address_of, lambda service: service["spec"].get("loadBalancerIP", "")):
        for service in waiting:
            address = wish(service)
            if name_of(service) not in given and address in pool and address not in given.values():
                given[name_of(service)] = address
    free = [address for address in pool if address not in given.values()]
    for service in waiting:
        if name_of(service) not in given and free:
            given[name_of(service)] = free.pop(0)
    return given


def changes(given: Iterable[str], present: Iterable[str], pool: Iterable[str]) -> tuple[set[str], set[str]]:
    """Return the addresses to add to a node and those to take; what is outside the pool is not ours."""
    wanted, there = set(given), set(present) & set(pool)
    return wanted - there, there - wanted


def status_path(service: Service) -> str:
    """Return the path of a Service's status in the API."""
    metadata = service["metadata"]
    return f"/api/v1/namespaces/{metadata['namespace']}/services/{metadata['name']}/status"


def reconcile(datacenter: Datacenter, api: Api) -> None:
    """Bring the node's addresses and each status in line with the Services. Raise httpx.HTTPError."""
    services = api.items("/api/v1/services")
    given = assign(services, datacenter.balancer_addresses)
    add, take = changes(given.values(), network.addresses(datacenter), datacenter.balancer_addresses)
    for address in sorted(add):
        network.add_address(datacenter, address)
    for service in services:
        address = given.get(name_of(service), "")
        if is_balanced(service) and address and address != address_of(service):
            api.patch(status_path(service), {"status": {"loadBalancer": {"ingress": [{"ip": address}]}}})
            print(f"{datacenter.name} {name_of(service)}: {address}", flush=True)
        elif not is_balanced(service) and address_of(service) in datacenter.balancer_addresses:
            api.patch(status_path(service), {"status": {"loadBalancer": {"ingress": None}}})
    for address in sorted(take):
        network.delete_address(datacenter, address)
        print(f"{datacenter.name} {address} is free", flush=True)
