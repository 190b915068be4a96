"""A client leaves the files only when nothing of it lives, and takes nothing of others along."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.unit.kube.fakes import FakeServer, fake_api, use_kubeconfig
from tests.unit.operations.fleet_worlds import FleetWorld, make_fleet

from pgaas.config.naming import Target
from pgaas.config.onboarding import Wish
from pgaas.config.resolve import resolve_client
from pgaas.errors import ConfigError, RefusedAsUnsafe, UsageError
from pgaas.kube.resources import CLUSTER, VOLUME_CLAIM
from pgaas.operations import client_remove as module
from pgaas.operations.client_add import add_client
from pgaas.operations.client_remove import Plan, check_confirmation, plan_removal, remove
from pgaas.operations.progress import Silent

FILE = "confs/admin/local/clients.yaml"
USER = "confs/users/ic2/local/databases.yaml"
PROGRESS = Silent()


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FleetWorld:
    made = make_fleet(tmp_path, ["ic1", "ic2"], monkeypatch)
    monkeypatch.setattr(module, "api_for", made.api)
    for server in made.servers.values():
        for path in [path for path in server.objects if "ic2" in path]:
            del server.objects[path]
    return made


def plan(world: FleetWorld, ins: str = "ic2", *accepted: str) -> Plan:
    return plan_removal(world.root, ins, "local", PROGRESS, accepted=accepted)


def text_of(world: FleetWorld) -> str:
    return (world.root / FILE).read_text()


def test_a_client_that_is_nowhere_goes_with_its_block_and_its_file(world: FleetWorld) -> None:
    before = text_of(world)
    planned = plan(world)
    assert text_of(world) == before
    assert planned.files == [FILE, USER]
    assert "ic2-local-secret" not in "".join(planned.diff)
    remove(planned)
    assert "ic2" not in text_of(world)
    assert before.startswith(text_of(world))
    assert not (world.root / "confs/users/ic2").exists()
    resolve_client(world.root, Target("ic1", "local", "local1"))


def test_what_was_added_is_removed_without_a_trace(world: FleetWorld) -> None:
    before = text_of(world)
    add_client(world.root, "ic7", "local", Wish(profile="S", datacenters=("local1",)))
    remove(plan(world, "ic7"))
    assert text_of(world) == before
    assert not (world.root / "confs/users/ic7").exists()


def test_what_stays_is_named(world: FleetWorld) -> None:
    left = plan(world).left
    assert any(
        "archives of local-ic2-local1, local-ic2-local2 in the bucket ic2-backups" in line for line in left
    )
    assert any("--next-generation" in line for line in left)
    assert any("the DNS name primary.ic2-local.pgaas.local" in line for line in left)


def test_while_a_cluster_lives_anywhere_it_is_refused(world: FleetWorld) -> None:
    world.deploy(world.subject("ic2", "local2"))
    with pytest.raises(RefusedAsUnsafe) as refused:
        plan(world, "ic2", "local2")
    assert (
        "local2 (context cluster2): Cluster local-ic2-local2, Helm release local-ic2-local2"
        in refused.value.what
    )
    assert "pgaas delete --ins ic2 --env local --dc local2" in refused.value.next_step
    assert "--dc local1" not in refused.value.next_step


def test_a_datacenter_that_the_client_has_left_is_looked_at_too(world: FleetWorld) -> None:
    subject = world.subject("ic2", "local2")
    text = text_of(world).replace("    datacenters: [local1, local2]", "    datacenters: [local1]")
    (world.root / FILE).write_text(text.replace("    replication: {enabled: true}\n", ""))
    world.servers["cluster2"].put(
        CLUSTER, {"metadata": {"name": subject.cluster, "namespace": subject.namespace}, "spec": {}}
    )
    with pytest.raises(RefusedAsUnsafe, match="Cluster local-ic2-local2"):
        plan(world)


@pytest.mark.parametrize("what", ["volume", "Helm release"])
def test_what_a_broken_off_deletion_left_counts_as_alive(world: FleetWorld, what: str) -> None:
    server = world.servers["cluster1"]
    if what == "volume":
        metadata: dict[str, Any] = {"name": "local-ic2-local1-1", "namespace": "ic2-local"}
        server.put(VOLUME_CLAIM, {"metadata": metadata | {"labels": {"cnpg.io/cluster": "local-ic2-local1"}}})
    else:
        world.deploy(world.subject("ic2"))
        del server.objects["/apis/postgresql.cnpg.io/v1/namespaces/ic2-local/clusters/local-ic2-local1"]
    with pytest.raises(RefusedAsUnsafe, match=what):
        plan(world)


def test_a_datacenter_that_cannot_be_asked_is_a_refusal_unless_the_user_answers_for_it(
    world: FleetWorld,
) -> None:
    world.down.add("cluster2")
    with pytest.raises(RefusedAsUnsafe, match="nobody can tell") as refused:
        plan(world)
    assert refused.value.next_step.endswith("--accept-unseen local2")
    with pytest.raises(RefusedAsUnsafe):
        plan(world, "ic2", "local1")
    assert plan(world, "ic2", "local2").unseen == ["local2"]
    with pytest.raises(UsageError, match="no datacenter 'local3'"):
        plan(world, "ic2", "local3")


def test_two_datacenters_without_a_context_cannot_both_be_looked_at(world: FleetWorld) -> None:
    for context in ("cluster1", "cluster2"):
        world.edit("admin/local/datacenters.yaml", f"    kubeContext: {context}\n", "")
    with pytest.raises(RefusedAsUnsafe, match="local1 and local2 name no kubeContext"):
        plan(world)


def test_the_name_must_be_retyped(world: FleetWorld) -> None:
    planned = plan(world)
    check_confirmation(planned, "ic2-local")
    for typed in (None, "ic2", "ic1-local"):
        with pytest.raises(UsageError) as refused:
            check_confirmation(planned, typed)
        assert "ic2-local" in refused.value.next_step


def test_files_that_changed_since_they_were_shown_are_not_touched(world: FleetWorld) -> None:
    planned = plan(world)
    (world.root / USER).write_text("# new\n" + (world.root / USER).read_text())
    before = text_of(world)
    with pytest.raises(UsageError, match="changed while you were asked"):
        remove(planned)
    assert text_of(world) == before
    assert (world.root / USER).exists()


@pytest.mark.parametrize(
    ("ins", "says"), [("ic9", "unknown client"), ("../x", "is not a code"), ("", "is not a code")]
)
def test_nobody_who_is_no_client(world: FleetWorld, ins: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        plan(world, ins)


def test_a_removal_that_was_killed_between_the_files_is_ended_by_a_second(world: FleetWorld) -> None:
    text = text_of(world)
    (world.root / FILE).write_text(text[: text.index("  ic2:")])
    planned = plan(world)
    assert planned.files == [USER]
    remove(planned)
    assert not (world.root / USER).exists()


def test_a_client_whose_block_is_wrong_can_go(world: FleetWorld) -> None:
    text = text_of(world)
    at = text.index("  ic2:")
    (world.root / FILE).write_text(text[:at] + text[at:].replace("storageProfile: S", "storageProfile: Z"))
    remove(plan(world))
    resolve_client(world.root, Target("ic1", "local", "local1"))


@pytest.mark.parametrize("content", [b"", b"# nothing\n", b"a: [", b"\xff\xfe", b"a: &x [*x]\n"])
def test_a_client_whose_own_file_is_anything_can_go(world: FleetWorld, content: bytes) -> None:
    (world.root / USER).write_bytes(content)
    remove(plan(world))
    assert not (world.root / USER).exists()


def test_a_reference_to_what_would_go_leaves_it_to_a_person(world: FleetWorld) -> None:
    text = text_of(world).replace("[local1, local2]", "&all [local1, local2]", 1)
    at = text.index("  ic2:")
    (world.root / FILE).write_text(text[:at] + text[at:].replace("[local1, local2]", "*all", 1))
    with pytest.raises(ConfigError) as refused:
        plan(world, "ic1")
    assert "by hand" in str(refused.value.issues[0])


@pytest.fixture
def shared(tmp_path: Path, world: FleetWorld, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, FakeServer]:
    """Return hp with is1 in two sub-environments, and the current context's server."""
    import shutil

    from tests.unit.operations.worlds import REPOSITORY

    root = tmp_path / "hp"
    shutil.copytree(REPOSITORY / "confs", root / "confs", ignore=shutil.ignore_patterns("_generated"))
    server = FakeServer()
    use_kubeconfig(tmp_path, monkeypatch)
    monkeypatch.setattr(module, "api_for", lambda _: fake_api(server))
    return root, server


def test_in_hp_the_block_stays_until_the_last_sub_environment_goes(shared: tuple[Path, FakeServer]) -> None:
    root, server = shared
    file = root / "confs/admin/hp/clients.yaml"
    before = file.read_text()
    remove(plan_removal(root, "is1", "pic", PROGRESS))
    assert file.read_text() == before
    assert not (root / "confs/users/is1/hp/pic").exists()
    labels = {"pgaas.io/ins": "is1", "pgaas.io/env": "pic"}
    server.put(
        CLUSTER, {"metadata": {"name": "pic-is1-dc1", "namespace": "is1-pic", "labels": labels}, "spec": {}}
    )
    with pytest.raises(RefusedAsUnsafe, match="Cluster is1-pic/pic-is1-dc1"):
        plan_removal(root, "is1", "staging", PROGRESS)
    server.objects.clear()
    planned = plan_removal(root, "is1", "staging", PROGRESS)
    remove(planned)
    assert "is1" not in file.read_text()
    assert "ic1" in file.read_text()
    assert any("is1-staging/is1-s3-credentials" in line for line in planned.left)
