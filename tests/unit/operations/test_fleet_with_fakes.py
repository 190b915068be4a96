"""The fleet: few requests, every difference, and no datacenter that is down hides the others."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from tests.unit.kube.fakes import failure
from tests.unit.operations.fleet_worlds import FleetWorld, live, make_fleet, record
from tests.unit.operations.told import Told

from pgaas.config.users import Users, place_users
from pgaas.errors import ConfigError, UsageError
from pgaas.kube.resources import CLUSTER, SECRET
from pgaas.operations import fleet as module
from pgaas.operations.fleet import Fleet, fleet
from pgaas.operations.fleet_rows import TWO_PRIMARIES, Row, differing
from pgaas.operations.progress import Patient, Silent

PROGRESS = Silent()


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FleetWorld:
    made = make_fleet(tmp_path, ["ic1", "ic2"], monkeypatch)
    monkeypatch.setattr(module, "api_for", made.api)
    return made


def look(world: FleetWorld, **options: Any) -> Fleet:
    return fleet(world.root, "local", PROGRESS, **options)


def row(seen: Fleet, cluster: str) -> Row:
    [found] = [each for each in seen.rows if each.cluster == cluster]
    return found


def kinds(seen: Fleet) -> dict[str, list[str]]:
    return {each.cluster: [finding.kind for finding in each.findings] for each in seen.rows if each.findings}


def test_what_is_as_it_should_be_differs_in_nothing(world: FleetWorld) -> None:
    seen = look(world)
    assert kinds(seen) == {}
    assert [(each.cluster, each.state, each.role) for each in seen.rows] == [
        ("local-ic1-local1", "live", "primary"),
        ("local-ic1-local2", "live", "replica"),
        ("local-ic2-local1", "live", "primary"),
        ("local-ic2-local2", "live", "replica"),
    ]
    assert [(each.context, each.datacenters) for each in seen.contexts] == [
        ("cluster1", ["local1"]), ("cluster2", ["local2"]),
    ]  # fmt: skip


def test_each_context_is_asked_once_for_each_kind_however_many_clients(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_fleet(tmp_path, [f"c{number}" for number in range(40)], monkeypatch)
    monkeypatch.setattr(module, "api_for", world.api)
    seen = look(world, everything=True)
    assert len(seen.rows) == 80
    assert kinds(seen) == {}
    for server in world.servers.values():
        assert [(each.method, each.path) for each in server.asked] == [
            ("GET", "/apis/postgresql.cnpg.io/v1/clusters"),
            ("GET", "/api/v1/secrets"),
        ]
        assert server.asked[1].query == {"labelSelector": "owner=helm,status!=superseded"}


def test_contexts_are_asked_at_the_same_time(world: FleetWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    # Each waits until the other is asked: one after the other, this would never end.
    both = threading.Barrier(2)

    def api(context: str | None) -> Any:
        both.wait(timeout=60)
        return world.api(context)

    monkeypatch.setattr(module, "api_for", api)
    assert [each.error for each in look(world).contexts] == ["", ""]


def test_a_context_that_is_down_is_told_in_its_rows_and_hides_no_other(world: FleetWorld) -> None:
    world.down.add("cluster2")
    seen = look(world)
    assert row(seen, "local-ic1-local1").state == "live"
    gone = row(seen, "local-ic1-local2")
    assert (gone.state, gone.live) == ("unreachable", None)
    assert [each.error for each in seen.contexts] == ["", "the API server of cluster2 cannot be reached"]


def test_a_look_that_did_not_see_all_does_not_say_ok(
    world: FleetWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "Patient", lambda progress: progress)
    world.down.add("cluster2")
    told = Told()
    fleet(world.root, "local", told)
    assert told.lines[-1] == "failed not seen: cluster2"


def test_a_context_that_hangs_is_not_waited_for(world: FleetWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    done = threading.Event()

    def api(context: str | None) -> Any:
        if context == "cluster2":
            done.wait(60)
        return world.api(context)

    monkeypatch.setattr(module, "api_for", api)
    monkeypatch.setattr(module, "DEADLINE", 0.5)
    told = Told()
    try:
        seen = fleet(world.root, "local", told)
    finally:
        done.set()
    assert row(seen, "local-ic1-local2").state == "unreachable"
    assert "no answer within" in seen.contexts[1].error
    assert row(seen, "local-ic1-local1").state == "live"


def test_values_that_confs_would_give_otherwise_are_named_and_never_shown(world: FleetWorld) -> None:
    world.edit("admin/local/postgresql.yaml", 'max_connections: "50"', 'max_connections: "51"')
    world.edit("admin/local/clients.yaml", "ic1-local-secret", "another-secret")
    seen = look(world)
    [finding] = row(seen, "local-ic1-local1").findings
    assert finding.kind == "values"
    assert "cluster.parameters.max_connections" in finding.text
    assert "s3.secretKey" in finding.text
    assert "another-secret" not in str(seen)
    assert kinds(seen)["local-ic2-local2"] == ["values"]


def test_the_commit_that_a_cluster_was_deployed_from_is_no_difference(world: FleetWorld) -> None:
    root = world.root
    place_users(root, Users(root / "confs/users", "confs/users", "0123456789abcdef" * 2 + "01234567"))
    world.deploy(world.subject("ic1"))
    place_users(root, None)
    assert row(look(world), "local-ic1-local1").findings == []


def test_a_primary_that_clients_yaml_does_not_know_of(world: FleetWorld) -> None:
    for dc in ("local1", "local2"):
        world.cluster("ic1", dc)["spec"]["replica"]["primary"] = "local-ic1-local2"
    seen = look(world)
    assert kinds(seen) == {"local-ic1-local1": ["primary"], "local-ic1-local2": ["primary"]}
    [finding] = row(seen, "local-ic1-local1").findings
    assert finding.text == "the live primary is local-ic1-local2, but confs say local-ic1-local1"
    assert row(seen, "local-ic1-local2").role == "primary"


def test_two_primaries_are_said_first_and_of_both(world: FleetWorld) -> None:
    world.cluster("ic1", "local2")["spec"]["replica"]["primary"] = "local-ic1-local2"
    seen = look(world)
    assert kinds(seen) == {
        "local-ic1-local1": [TWO_PRIMARIES],
        "local-ic1-local2": [TWO_PRIMARIES, "primary"],
    }
    world.cluster("ic1", "local2")["metadata"]["annotations"] = {"cnpg.io/hibernation": "on"}
    seen = look(world)
    assert TWO_PRIMARIES not in str(kinds(seen))
    assert row(seen, "local-ic1-local2").role == "fenced"


def test_an_image_that_is_not_the_one_on_offer(world: FleetWorld) -> None:
    world.edit("admin/local/postgresql.yaml", "17-standard-trixie", "17.99-standard-trixie")
    seen = look(world)
    assert kinds(seen)["local-ic1-local1"] == ["image", "values"]
    assert "pgaas upgrade --ins ic1" in row(seen, "local-ic1-local1").findings[0].text


def test_another_major_version(world: FleetWorld) -> None:
    world.edit("users/ic1/local/databases.yaml", "majorVersion: 17", "majorVersion: 18")
    assert kinds(look(world))["local-ic1-local1"] == ["major version", "values"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"phase": "Failing over"}, "cluster: Failing over"),
        ({"readyInstances": 0}, "instances: 0 ready of 1"),
        (
            {"conditions": [{"type": "Ready", "status": "True"},
                            {"type": "ContinuousArchiving", "status": "False", "message": "no bucket"}]},
            "WAL archive: no bucket",
        ),
        ({"managedRolesStatus": {}}, "role app_user: not reconciled yet"),
    ],
)  # fmt: skip
def test_what_is_not_healthy(world: FleetWorld, change: dict[str, Any], says: str) -> None:
    world.cluster("ic1")["status"] |= change
    found = row(look(world), "local-ic1-local1")
    assert found.state == "not healthy"
    assert ("health", says) in found.findings


def test_configured_and_not_live(world: FleetWorld) -> None:
    world.servers["cluster2"].objects.clear()
    seen = look(world)
    found = row(seen, "local-ic2-local2")
    assert (found.state, found.live) == ("not live", False)
    assert "pgaas create --ins ic2 --env local --dc local2" in found.findings[0].text


def test_what_lives_in_no_file_is_counted_and_shown_when_asked_for(world: FleetWorld) -> None:
    ghost = live(world.subject("ic2"))
    ghost["metadata"] = {
        "name": "local-ic9-local1",
        "namespace": "ic9-local",
        "labels": {"pgaas.io/ins": "ic9", "pgaas.io/env": "local", "pgaas.io/dc": "local1"},
    }
    world.servers["cluster1"].put(CLUSTER, ghost)
    world.servers["cluster1"].put(CLUSTER, {"metadata": {"name": "theirs", "namespace": "x"}, "spec": {}})
    seen = look(world)
    assert (len(seen.rows), seen.hidden) == (4, 1)
    seen = look(world, everything=True)
    found = row(seen, "local-ic9-local1")
    assert (found.state, found.configured, found.ins) == ("not configured", False, "ic9")
    seen = fleet(world.root, None, PROGRESS, everything=True)
    assert row(seen, "theirs").state == "not pgaas's"


def test_a_cluster_restored_beside_its_source_is_no_second_primary(world: FleetWorld) -> None:
    beside = live(world.subject("ic2"))
    beside["status"]["conditions"] = [{"type": "Ready", "status": "True"}]
    beside["metadata"] = {
        "name": "before-the-drop",
        "namespace": "ic2-local",
        "labels": {
            "pgaas.io/ins": "ic2",
            "pgaas.io/env": "local",
            "pgaas.io/restored-from": "local-ic2-local1",
            "pgaas.io/restored-in": "local1",
        },
    }
    world.servers["cluster1"].put(CLUSTER, beside)
    found = row(look(world, everything=True), "before-the-drop")
    assert (found.state, found.role, found.replicated) == ("restored", "restored", False)
    # It archives nothing, and is not the worse for it.
    assert [finding.kind for finding in found.findings] == ["restored"]
    assert "--dc local1 --as before-the-drop --remove" in found.findings[0].text


def test_a_client_without_a_file_and_one_whose_file_is_wrong(world: FleetWorld) -> None:
    (world.root / "confs/users/ic1/local/databases.yaml").unlink()
    world.edit("users/ic2/local/databases.yaml", "majorVersion: 17", "majorVersion: 9")
    seen = look(world)
    assert [(each.ins, each.env, each.state) for each in seen.rows if not each.cluster] == [
        ("ic1", "local", "no databases.yaml")
    ]
    broken = row(seen, "local-ic2-local1")
    assert (broken.state, broken.findings[0].kind) == ("live", "configuration")
    assert seen.hidden == 2


def test_helms_records_that_are_missing_broken_newer_or_not_for_us(world: FleetWorld) -> None:
    server = world.servers["cluster1"]
    subject = world.subject("ic1")
    failed = record(subject, revision=2, status="failed")
    server.put(SECRET, failed)
    assert kinds(look(world)) == {"local-ic1-local1": ["release"]}
    failed["data"] = {"release": "%%%"}
    server.put(SECRET, failed)
    # The record before is still there, and can be read.
    assert kinds(look(world)) == {}
    for path in [path for path in server.objects if "/secrets/" in path and "ic1" in path]:
        server.objects[path]["data"] = {"release": "%%%"}
    assert "cannot be read" in row(look(world), "local-ic1-local1").findings[0].text
    for path in [path for path in server.objects if "/secrets/" in path and "ic1" in path]:
        del server.objects[path]
    assert "no record" in row(look(world), "local-ic1-local1").findings[0].text
    server.answers["GET /api/v1/secrets"] = failure(403, "Forbidden", "cannot list secrets")
    seen = look(world)
    assert kinds(seen) == {}
    assert "cannot list secrets" in seen.contexts[0].releases_error


def test_whoever_may_not_list_is_told_so(world: FleetWorld) -> None:
    server = world.servers["cluster1"]
    server.answers["GET /apis/postgresql.cnpg.io/v1/clusters"] = failure(403, "Forbidden", "cannot list")
    seen = look(world)
    assert "cannot list" in seen.contexts[0].error
    assert row(seen, "local-ic1-local1").state == "unreachable"


def test_datacenters_without_a_context_cannot_both_be_the_current_one(
    world: FleetWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    for context in ("cluster1", "cluster2"):
        world.edit("admin/local/datacenters.yaml", f"    kubeContext: {context}\n", "")
    monkeypatch.setattr(module, "api_for", lambda _: world.apis["cluster1"])
    seen = look(world)
    assert row(seen, "local-ic1-local1").state == "live"
    unknown = row(seen, "local-ic1-local2")
    assert (unknown.state, unknown.live) == ("not seen", None)


def test_files_that_cannot_be_read_keep_the_list_from_being_whole(world: FleetWorld) -> None:
    with pytest.raises(UsageError, match="no client has a file"):
        fleet(world.root, "prod", PROGRESS)
    world.edit("admin/local/clients.yaml", "storageProfile: S", "storageProfile: Z")
    with pytest.raises(ConfigError):
        look(world)


def test_progress_is_shown_only_when_it_takes_a_while(
    world: FleetWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = Told()
    fleet(world.root, "local", told)
    assert told.lines == []
    monkeypatch.setattr(module, "Patient", lambda progress: progress)
    fleet(world.root, "local", told)
    assert told.lines[0] == "started looking at 4 clusters in cluster1, cluster2"
    assert told.lines[-1] == "finished "


def test_a_step_that_takes_a_while_is_shown_from_then_on() -> None:
    told = Told()
    patient = Patient(told, after=3600.0)
    patient.started("looking")
    patient.detail("here")
    patient.finished("done")
    assert told.lines == []
    patient = Patient(told, after=0.0)
    patient.started("looking")
    patient.detail("here")
    patient.advanced(1, 2)
    patient.failed("gone")
    assert told.lines == ["started looking", "detail here", "advanced 1 2", "failed gone"]


def test_paths_at_which_trees_differ() -> None:
    old = {"a": {"b": 1, "c": [1, {"d": 2}]}, "e": None, "g": [1]}
    assert list(differing(old, old)) == []
    assert list(differing(old, {"a": {"b": 2, "c": [1, {"d": 3}]}, "f": 1, "g": [1, 2]})) == [
        "a.b", "a.c.1.d", "g", "f",
    ]  # fmt: skip
    assert list(differing({"a": None}, {})) == []
