from typing import Any

import pytest

from pgaas_lab import balancer
from pgaas_lab.datacenters import ALL, BRIDGE_ADDRESS

POOL = ("192.168.49.100", "192.168.49.101", "192.168.49.102")


def service(
    name: str, *, kind: str = "LoadBalancer", has: str = "", wants: str = "", born: str = "1"
) -> dict[str, Any]:
    spec: dict[str, Any] = {"type": kind}
    if wants:
        spec["loadBalancerIP"] = wants
    ingress = [{"ip": has}] if has else None
    return {
        "metadata": {"namespace": "ic1-local", "name": name, "creationTimestamp": born},
        "spec": spec,
        "status": {"loadBalancer": {"ingress": ingress} if ingress else {}},
    }


def test_the_first_free_address_goes_to_the_oldest_service():
    given = balancer.assign([service("b", born="2"), service("a", born="3"), service("c", born="1")], POOL)
    assert given == {"ic1-local/c": POOL[0], "ic1-local/b": POOL[1], "ic1-local/a": POOL[2]}


def test_a_service_keeps_its_address():
    given = balancer.assign([service("new", born="1"), service("old", has=POOL[0], born="2")], POOL)
    assert given == {"ic1-local/old": POOL[0], "ic1-local/new": POOL[1]}


def test_a_wish_is_granted_unless_the_address_is_taken_or_foreign():
    services = [
        service("has", has=POOL[1]),
        service("wish", wants=POOL[2]),
        service("taken", wants=POOL[1]),
        service("foreign", wants="10.0.0.1"),
    ]
    given = balancer.assign(services, (*POOL, "192.168.49.103"))
    assert given["ic1-local/has"] == POOL[1]
    assert given["ic1-local/wish"] == POOL[2]
    assert sorted(given.values()) == sorted((*POOL, "192.168.49.103"))


def test_two_services_with_one_address_in_their_status_do_not_share_it():
    given = balancer.assign([service("a", has=POOL[0]), service("b", has=POOL[0])], POOL)
    assert given == {"ic1-local/a": POOL[0], "ic1-local/b": POOL[1]}


def test_an_empty_pool_leaves_the_youngest_without():
    given = balancer.assign([service(f"s{number}", born=str(number)) for number in range(5)], POOL)
    assert list(given) == ["ic1-local/s0", "ic1-local/s1", "ic1-local/s2"]


@pytest.mark.parametrize("kind", ["ClusterIP", "NodePort", "ExternalName"])
def test_other_services_get_nothing(kind):
    assert balancer.assign([service("a", kind=kind)], POOL) == {}


def test_a_service_of_another_load_balancer_gets_nothing():
    other = service("a")
    other["spec"]["loadBalancerClass"] = "example.com/other"
    assert balancer.assign([other], POOL) == {}


def test_only_addresses_of_the_pool_are_taken_from_a_node():
    add, take = balancer.changes([POOL[0]], [POOL[1], "192.168.49.2"], POOL)
    assert add == {POOL[0]}
    assert take == {POOL[1]}


def test_no_address_is_in_two_places():
    pools = [set(datacenter.balancer_addresses) for datacenter in ALL]
    nodes = {datacenter.node_address for datacenter in ALL} | {BRIDGE_ADDRESS.partition("/")[0]}
    assert not pools[0] & pools[1]
    assert not nodes & (pools[0] | pools[1])
    assert [(min(pool), max(pool)) for pool in pools] == [
        ("192.168.49.100", "192.168.49.149"),
        ("192.168.49.150", "192.168.49.199"),
    ]
