"""Whom the alias may be pointed to, and what is reported."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
from tests.unit.kube.fakes import FakeServer
from tests.unit.operations.worlds import NAME, SPACE, TARGET, World

from pgaas.errors import RefusedAsUnsafe, UsageError
from pgaas.kube.resources import CLUSTER, CONFIG_MAP, SERVICE
from pgaas.operations import dns
from pgaas.operations.progress import Silent
from pgaas.operations.update_dns import (
    LiveSide,
    live_sides,
    refuse_other_than_primary,
    update_dns,
)
from pgaas.tools.dns_read import Answer

COREFILE = ".:53 {\n    kubernetes cluster.local\n    reload\n}\n"
PRIMARY, REPLICA, ABSENT = LiveSide("primary"), LiveSide("replica"), LiveSide("absent")
AWAY = LiveSide("unreachable", error="the API server cannot be reached")


def test_the_one_primary_may_be_pointed_to() -> None:
    for other in (REPLICA, ABSENT, AWAY):
        refuse_other_than_primary("dc1", {"dc1": PRIMARY, "dc2": other}, "c")


@pytest.mark.parametrize(
    ("live", "what", "next_step"),
    [
        ((REPLICA, PRIMARY), r"dc1 is not the primary \(replica\): the primary is in dc2", "c --to dc2"),
        ((ABSENT, PRIMARY), r"dc1 is not the primary \(absent\)", "c --to dc2"),
        ((AWAY, PRIMARY), r"dc1 is not the primary \(the API server cannot be reached\)", "c --to dc2"),
        ((REPLICA, REPLICA), "no primary can be seen", "make it the primary first, or --force"),
        ((AWAY, AWAY), "no primary can be seen", "make it the primary first, or --force"),
        ((PRIMARY, PRIMARY), "there is more than one primary: dc1, dc2", "fence the one"),
    ],
)
def test_nobody_else_may(live: tuple[LiveSide, LiveSide], what: str, next_step: str) -> None:
    with pytest.raises(RefusedAsUnsafe, match=what) as caught:
        refuse_other_than_primary("dc1", dict(zip(("dc1", "dc2"), live, strict=True)), "c")
    assert caught.value.exit_code == 8
    assert caught.value.next_step.startswith(next_step)


def test_a_side_is_what_its_live_spec_says(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def role(**spec: Any) -> LiveSide:
        world.put(CLUSTER, NAME, spec=spec)
        return live_sides({"local1": world.subject})["local1"]

    assert live_sides({"local1": world.subject})["local1"].role == "absent"
    assert role().role == "primary"
    assert role(replica={"self": NAME, "primary": NAME}).role == "primary"
    assert role(replica={"self": NAME, "primary": "local-ic1-local2"}).role == "replica"
    world.server.answers[f"GET /apis/postgresql.cnpg.io/v1/namespaces/{SPACE}/clusters/{NAME}"] = (
        httpx2.ConnectError("refused")
    )
    side = role()
    assert (side.role, side.api) == ("unreachable", None)
    assert "cannot be reached" in side.error


@pytest.fixture
def alone(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """Give a client in one datacenter, whose CoreDNS answers what its EndpointSlice says."""
    clients = world.root / "confs/admin/local/clients.yaml"
    text = clients.read_text().replace("enabled: true", "enabled: false")
    clients.write_text(text)
    server = world.server
    kinds = [{"name": "endpointslices", "kind": "EndpointSlice", "namespaced": True}]
    server.raw["/apis/discovery.k8s.io/v1"] = {"resources": kinds}
    config = {"name": "coredns", "namespace": "kube-system", "resourceVersion": "7"}
    server.put(CONFIG_MAP, {"metadata": config, "data": {"Corefile": COREFILE}})
    balancer = {"name": f"{NAME}-rw-lb", "namespace": SPACE}
    server.put(
        SERVICE, {"metadata": balancer, "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}}
    )
    monkeypatch.setattr(dns, "ask_all", lambda servers, *_, **__: [answer(server, each) for each in servers])
    return world


def answer(server: FakeServer, asked: str) -> Answer:
    found = [obj for path, obj in server.objects.items() if "/endpointslices/" in path]
    values = tuple(found[0]["endpoints"][0]["addresses"]) if found else ()
    return Answer(asked, values, 5 if values else None, True)


def test_a_move_is_reported_and_right_when_it_leads_to_the_primary(alone: World) -> None:
    alone.put(CLUSTER, NAME, spec={})
    ins, env = TARGET.ins, TARGET.env
    before = update_dns(alone.root, ins, env, progress=Silent())
    assert (before.points_to, before.correct, before.changed, before.writable) == ("", False, False, None)
    moved = update_dns(alone.root, ins, env, to="local1", check=True, progress=Silent())
    assert (moved.points_to, moved.correct, moved.changed, moved.writable) == ("local1", True, True, True)
    assert (moved.values, moved.roles, moved.provider) == (["192.0.2.1"], {"local1": "primary"}, "coredns")
    alone.put(CLUSTER, NAME, spec={"replica": {"primary": "local-ic1-local2", "self": NAME}})
    later = update_dns(alone.root, ins, env, progress=Silent())
    assert (later.points_to, later.correct) == ("local1", False)
    with pytest.raises(RefusedAsUnsafe):
        update_dns(alone.root, ins, env, to="local1", progress=Silent())
    forced = update_dns(alone.root, ins, env, to="local1", force=True, progress=Silent())
    assert (forced.points_to, forced.correct) == ("local1", False)


def test_a_datacenter_that_the_client_does_not_have_is_no_goal(alone: World) -> None:
    with pytest.raises(UsageError, match="has no datacenter 'dc9'") as caught:
        update_dns(alone.root, TARGET.ins, TARGET.env, to="dc9", progress=Silent())
    assert caught.value.next_step == "name one of: local1"
