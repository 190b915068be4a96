"""One command at a time: on every datacenter that can be reached, whatever ends it, and within itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from tests.unit.kube.fakes import FakeServer, failure, fake_api, path_of
from tests.unit.operations.test_create_with_fakes import creating, existing
from tests.unit.operations.worlds import SPACE, TARGET, World, namespace_exists

from pgaas.config.naming import Target
from pgaas.errors import KubernetesError, KubernetesForbidden, RefusedAsUnsafe
from pgaas.kube.holder import Holder
from pgaas.kube.resources import LEASE, NAMESPACE
from pgaas.operations import subject as subject_module
from pgaas.operations.delete import delete, plan_deletion
from pgaas.operations.exclusive import exclusive
from pgaas.operations.progress import Silent
from pgaas.operations.subject import Subject, load_subject
from pgaas.operations.upgrade import upgrade

PATH = path_of(LEASE, SPACE, f"pgaas-{SPACE}")
OTHER = Holder("jane@ci-7 1 x", "jane@ci-7", "switchover", "2026-05-02 11:59:00 UTC")


class Notes(Silent):
    """Keep what belongs to no step."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture
def other(world: World, monkeypatch: pytest.MonkeyPatch) -> FakeServer:
    """Return the other datacenter's API server; both have the namespace."""
    server = FakeServer()
    here, there = fake_api(world.server), fake_api(server)
    there.server = "https://other.example:6443"
    monkeypatch.setattr(subject_module, "api_for", lambda context: there if context == "cluster2" else here)
    for each in (world.server, server):
        each.put(NAMESPACE, {"metadata": {"name": SPACE}, "status": {"phase": "Active"}})
    return server


def pair(world: World) -> list[Subject]:
    return [load_subject(world.root, Target("ic1", "local", dc)) for dc in ("local2", "local1")]


def occupy(server: FakeServer) -> None:
    spec = {
        "holderIdentity": OTHER.identity,
        "leaseDurationSeconds": 10**9,
        "renewTime": "2026-01-01T00:00:00Z",
    }
    metadata = {"name": f"pgaas-{SPACE}", "namespace": SPACE, "annotations": OTHER.annotations}
    server.put(LEASE, server.versioned({"metadata": metadata, "spec": spec}))


def is_held(server: FakeServer) -> bool:
    return "holderIdentity" in server.objects.get(PATH, {}).get("spec", {})


def lease_writes(server: FakeServer) -> list[str]:
    return [asked.method for asked in server.writes() if "/leases" in asked.path]


def test_both_datacenters_are_held_and_left(world: World, other: FakeServer) -> None:
    with exclusive(pair(world), "switchover", Silent()) as held:
        assert (is_held(world.server), is_held(other)) == (True, True)
        assert world.server.objects[PATH]["metadata"]["annotations"]["pgaas.io/verb"] == "switchover"
        assert len(held.leases) == 2
        held.check()
    assert (is_held(world.server), is_held(other)) == (False, False)


def test_what_one_datacenter_refuses_the_first_one_is_given_back(world: World, other: FakeServer) -> None:
    occupy(other)
    with (
        pytest.raises(RefusedAsUnsafe, match=r"jane@ci-7 runs `pgaas switchover` since 2026-05-02 11:59:00"),
        exclusive(pair(world), "demote", Silent()),
    ):
        pytest.fail("must not be reached")
    assert lease_writes(world.server) == ["POST", "PUT"]
    assert not is_held(world.server)


def test_they_are_taken_in_the_order_of_their_names(world: World, other: FakeServer) -> None:
    occupy(world.server)
    with pytest.raises(RefusedAsUnsafe), exclusive(pair(world), "demote", Silent()):
        pytest.fail("must not be reached")
    assert lease_writes(other) == []


def test_a_datacenter_that_cannot_be_reached_is_told_and_left_out(world: World, other: FakeServer) -> None:
    other.answers[f"GET {path_of(NAMESPACE, None, SPACE)}"] = httpx2.ConnectError("refused")
    progress = Notes()
    with exclusive(pair(world), "promote", progress) as held:
        assert len(held.leases) == 1
        assert is_held(world.server)
    [note] = progress.notes
    assert note.startswith("local2 is not locked: ")
    world.server.answers[f"GET {PATH}"] = httpx2.ConnectError("refused")
    with (
        pytest.raises(KubernetesError, match="cannot be reached"),
        exclusive(pair(world), "promote", progress),
    ):
        pytest.fail("must not be reached")


@pytest.mark.parametrize("phase", [None, "Terminating"])
def test_where_there_is_no_namespace_there_is_nothing_to_hold(
    world: World, other: FakeServer, phase: str | None
) -> None:
    other.objects.clear()
    if phase:
        other.put(NAMESPACE, {"metadata": {"name": SPACE}, "status": {"phase": phase}})
    with exclusive(pair(world), "promote", Silent()) as held:
        assert len(held.leases) == 1
    assert other.writes() == []


def test_the_right_that_is_missing_is_named(world: World, other: FakeServer) -> None:
    other.answers[f"GET {PATH}"] = failure(403, "Forbidden", 'leases "x" is forbidden')
    with pytest.raises(KubernetesForbidden) as caught, exclusive(pair(world), "demote", Silent()):
        pytest.fail("must not be reached")
    assert "get, create, update and delete of leases.coordination.k8s.io" in caught.value.next_step
    assert SPACE in caught.value.next_step
    assert not is_held(world.server)


def test_within_itself_it_is_held_already(world: World, other: FakeServer) -> None:
    one, two = pair(world)
    with exclusive([two], "rebuild", Silent()) as outer:
        with exclusive([one, two], "create", Silent()) as inner:
            assert inner.leases[0] is outer.leases[0]
            assert is_held(other)
            inner.leave_nothing()
        assert PATH not in other.objects
        assert is_held(world.server)
        assert world.server.objects[PATH]["metadata"]["annotations"]["pgaas.io/verb"] == "rebuild"
    assert not is_held(world.server)
    with exclusive([two], "again", Silent()):
        assert is_held(world.server)


@pytest.mark.parametrize("end", [KeyboardInterrupt, ValueError, RefusedAsUnsafe])
def test_it_is_left_in_every_ending(world: World, other: FakeServer, end: Any) -> None:
    with pytest.raises(end), exclusive(pair(world), "demote", Silent()):
        raise end("x")
    assert (is_held(world.server), is_held(other)) == (False, False)


def test_a_loss_is_noticed_before_the_next_dangerous_step(world: World, other: FakeServer) -> None:
    with exclusive(pair(world), "demote", Silent()) as held:
        occupy(other)
        assert held.leases[1].renew() is False
        with pytest.raises(RefusedAsUnsafe, match="lost"):
            held.check()
    assert is_held(other)


def test_creating_waits_for_nobody_and_changes_nothing_while_another_command_is_at_work(
    world: World,
) -> None:
    existing(world, "old")
    occupy(world.server)
    with pytest.raises(RefusedAsUnsafe, match="jane@ci-7"):
        creating(world)
    assert world.commands == []
    assert world.server.writes() == []
    assert creating(world, dry_run=True).changes


def test_upgrading_and_deleting_neither(world: World) -> None:
    existing(world)
    occupy(world.server)
    for verb in ("upgrade", "delete"):
        with pytest.raises(RefusedAsUnsafe, match="jane@ci-7"):
            VERBS[verb](world)
    assert world.commands == []
    assert world.has_cluster()
    assert world.server.writes() == []


def test_a_first_creation_has_no_namespace_to_hold_a_lease_in(world: World) -> None:
    creating(world)
    assert lease_writes(world.server) == []
    assert namespace_exists(world)
    creating(world)
    assert lease_writes(world.server) == ["POST", "PUT"]
    assert not is_held(world.server)


VERBS: dict[str, Callable[[World], Any]] = {
    "create": creating,
    "upgrade": lambda world: upgrade(world.root, TARGET, force=True, timeout=5.0, progress=Silent()),
    "delete": lambda world: delete(
        plan_deletion(world.root, TARGET), skip_final_backup=True, timeout=3.0, progress=Silent()
    ),
}


@pytest.mark.parametrize("verb", VERBS)
def test_nothing_is_deployed_or_removed_once_the_lease_is_lost(
    world: World, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    existing(world, "old")
    world.edit("admin/local/postgresql.yaml", world.subject.image, "ghcr.io/cloudnative-pg/postgresql:17-new")

    def lose(*_: Any) -> None:
        raise RefusedAsUnsafe("the Lease is lost")

    monkeypatch.setattr("pgaas.operations.exclusive.Exclusive.check", lose)
    with pytest.raises(RefusedAsUnsafe, match="the Lease is lost"):
        VERBS[verb](world)
    assert not {"sync", "uninstall"} & set(world.ran())
    assert world.has_cluster()
