"""Every value that can change has a mark, and the marks are right."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.render.support import built

from pgaas.config.settings import majors
from pgaas.render.effects import NO_RULE, RULES, SECRETS, effect_of, fits, rule_for
from pgaas.render.leaves import KEYS, changed_leaves
from pgaas.render.marks import Effect, Mark, worst
from pgaas.render.schema import values_models
from pgaas.render.sides import Sides

Tree = dict[str, Any]
Path = tuple[str, ...]


def shapes() -> Iterator[Path]:
    """Return the path of whatever a difference between two values trees can be about."""
    schema = values_models()["GeneratedValues"].model_json_schema()
    yield from shape_paths(schema, schema["$defs"], ())


def shape_paths(shape: Tree, defs: Tree, path: Path) -> Iterator[Path]:
    shape = defs[shape["$ref"].rpartition("/")[2]] if "$ref" in shape else shape
    if "anyOf" in shape:
        for each in shape["anyOf"]:
            yield from shape_paths(each, defs, path)
    elif "properties" in shape:
        for key, each in shape["properties"].items():
            yield from shape_paths(each, defs, (*path, key))
    elif shape.get("type") == "object":
        yield from shape_paths(shape["additionalProperties"], defs, (*path, "*"))
    elif shape.get("type") == "array":
        yield path
        entry = shape["items"]
        if "$ref" in entry:
            yield (*path, "*")
            fields = defs[entry["$ref"].rpartition("/")[2]]["properties"]
            key = next(key for key in KEYS if key in fields)
            below = shape_paths(entry, defs, (*path, "*"))
            # By this key entries are told apart: with another they are another entry.
            yield from (each for each in below if each != (*path, "*", key))
    else:
        yield path


SHAPES = sorted(set(shapes()))


@pytest.mark.parametrize("path", SHAPES, ids=".".join)
def test_every_value_that_can_change_has_a_rule(path: Path) -> None:
    assert rule_for(path) is not None, f"say in render/effects_*.py what a change of {'.'.join(path)} does"


@pytest.mark.parametrize("pattern", RULES)
def test_every_rule_is_about_a_value(pattern: str) -> None:
    parts = tuple(pattern.split("."))
    assert [path for path in SHAPES if len(path) == len(parts) and fits(parts, path)]


def test_every_secret_is_a_value() -> None:
    assert set(SHAPES) >= SECRETS


def pair(**special: Any) -> Tree:
    return built(client={"replication": {"enabled": True}}, **special).plain()


def changes(tree: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Return each scalar of a tree, and another value for it."""
    if isinstance(tree, dict | list):
        for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
            yield from changes(value, (*path, key))
    elif isinstance(tree, bool):
        yield path, not tree
    else:
        yield path, tree + 100 if isinstance(tree, int) else f"{tree}x"


def put(tree: Tree, path: tuple[str | int, ...], value: Any) -> Tree:
    """Return a copy of a tree with another value at a path."""
    result = copy.deepcopy(tree)
    place: Any = result
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return result


def effects(before: Tree, after: Tree) -> dict[str, Effect]:
    sides = Sides(before, after)
    return {".".join(leaf.path): effect_of(leaf, sides) for leaf in changed_leaves(before, after)}


def test_every_change_of_real_values_is_judged() -> None:
    before = pair()
    count = 0
    for path, value in changes(before):
        count += 1
        found = effects(before, put(before, path, value))
        assert found, path
        assert NO_RULE not in found.values(), path
    assert count > 200


def only(before: Tree, path: str, value: Any) -> Effect:
    """Change one value, and return what that does."""
    place = [int(part) if part.isdecimal() else part for part in path.split("/")]
    [effect] = effects(before, put(before, tuple(place), value)).values()
    return effect


N, L, R, D, U, F = Mark.nothing, Mark.reload, Mark.restart, Mark.disruptive, Mark.unknown, Mark.forbidden
PARAMETER = "cluster/parameters/"
ROLE = "cluster/roles/0/"
OWN, OTHER = "objectStores/0/", "objectStores/1/"


@pytest.mark.parametrize(
    ("path", "value", "mark"),
    [
        (PARAMETER + "work_mem", "8MB", L),
        (PARAMETER + "archive_timeout", "1min", L),
        (PARAMETER + "log_connections", "on", L),
        (PARAMETER + "shared_buffers", "1GB", R),
        (PARAMETER + "max_connections", "300", R),
        (PARAMETER + "max_connections", "100", R),
        (PARAMETER + "pg_stat_statements.track", "all", R),
        (PARAMETER + "wal_level", "minimal", F),
        (PARAMETER + "wal_level", "replica", R),
        (PARAMETER + "server_version", "17", F),
        (PARAMETER + "work_memory", "8MB", U),
        (PARAMETER + "some_extension.size", "8MB", U),
        ("monitoring/collectorAccount", "otel-collector", N),
        ("cluster/instances", 3, N),
        ("cluster/instances", 1, D),
        ("cluster/storage/size", "6Gi", N),
        ("cluster/storage/size", "5120Mi", N),
        ("cluster/storage/size", "4Gi", F),
        ("cluster/storage/size", "much", U),
        ("cluster/storage/storageClass", "other", F),
        ("cluster/resources/requests/memory", "1Gi", R),
        ("cluster/resources/limits/cpu", "1", R),
        ("cluster/maxStopDelay", 10, R),
        ("cluster/maxStartDelay", 10, R),
        ("cluster/smartShutdownTimeout", 10, N),
        ("cluster/primaryUpdateMethod", "restart", N),
        ("cluster/bootstrap/method", "recovery", N),
        (ROLE + "connectionLimit", 10, D),
        (ROLE + "login", False, D),
        (ROLE + "ensure", "absent", D),
        (ROLE + "createdb", True, N),
        (ROLE + "inRoles", ["pg_monitor"], N),
        ("cluster/services/0/type", "NodePort", D),
        ("cluster/services/0/annotations/x.example", "z", D),
        ("cluster/plugins/0/parameters/serverName", "prod-ic1-dc1-g2", F),
        ("cluster/plugins/0/isWALArchiver", False, F),
        ("imageCatalog/major", 16, F),
        ("imageCatalog/images/1/image", "postgresql:17.8", R),
        ("imageCatalog/images/0/image", "postgresql:16.12", N),
        ("replication/primary", "prod-ic1-dc2", F),
        ("databases/0/owner", "other", D),
        (OWN + "destinationPath", "s3://other/", F),
        (OWN + "endpointURL", "https://s3.example.com", D),
        (OWN + "retentionPolicy", "30d", N),
        (OWN + "retentionPolicy", "2w", N),
        (OWN + "retentionPolicy", "7d", D),
        (OWN + "retentionPolicy", "1m", N),
        (OWN + "walMaxParallel", 8, N),
        (OWN + "sidecarResources/limits/memory", "1Gi", R),
        (OTHER + "sidecarResources/limits/memory", "1Gi", N),
        (OTHER + "destinationPath", "s3://other/", N),
        ("scheduledBackup/schedule", "0 0 2 * * *", N),
        ("s3/secretName", "other", L),
        ("certificates/duration", "100h", L),
        ("certificates/clusterIssuer", "other", D),
        ("certificates/clients/0/commonName", "other.ic1.prod", D),
        ("monitoring/tls", False, R),
        ("monitoring/customQueries", False, L),
        ("dns/endpoint", False, D),
        ("dns/ttl", 5, N),
        ("networkPolicy/enabled", False, D),
        ("networkPolicy/monitoringNamespaces", [], D),
        ("rbac/clientGroup", "pgaas-ic1", N),
        ("pgadmin4/image", "pgadmin4:10", D),
        ("pgadmin4/enabled", False, D),
        ("target/ins", "other", F),
    ],
)
def test_what_a_change_does(path: str, value: Any, mark: Mark) -> None:
    effect = only(pair(), path, value)
    assert effect.mark is mark
    assert effect.why


def test_a_collector_that_runs_as_another_loses_sight() -> None:
    before = put(pair(), ("monitoring", "collectorAccount"), "otel-collector")
    assert only(before, "monitoring/collectorAccount", "other").mark is D


def test_a_limit_that_goes_is_no_limit() -> None:
    limited = put(pair(), ("cluster", "roles", 0, "connectionLimit"), 5)
    assert only(limited, ROLE + "connectionLimit", -1).mark is N
    assert only(limited, ROLE + "connectionLimit", 4).mark is D


def changed(before: Tree, change: Callable[[Tree], object]) -> dict[str, Effect]:
    after = copy.deepcopy(before)
    change(after)
    return effects(before, after)


def marks(found: dict[str, Effect]) -> dict[str, Mark]:
    return {path: effect.mark for path, effect in found.items()}


ABSENT_ROLE = {**pair()["cluster"]["roles"][0], "name": "new", "ensure": "absent"}
ROLES, HBA = ("cluster", "roles"), ("cluster", "pgHba")


@pytest.mark.parametrize(
    ("place", "entry", "path", "comes", "goes"),
    [
        (("databases",), 0, "databases.app_db", N, D),
        (ROLES, 0, "cluster.roles.app_user", N, D),
        (ROLES, ABSENT_ROLE, "cluster.roles.new", D, N),
        (ROLES, {**ABSENT_ROLE, "ensure": "present"}, "cluster.roles.new", N, D),
        (ROLES, {**ABSENT_ROLE, "ensure": "present", "login": False}, "cluster.roles.new", N, N),
        (HBA, -1, "cluster.pgHba", F, F),
        (HBA, 0, "cluster.pgHba", L, D),
        (("cluster", "plugins"), 0, "cluster.plugins.barman-cloud.cloudnative-pg.io", F, F),
        (("objectStores",), 0, "objectStores.ic1-prod-dc1", N, F),
        (("objectStores",), 1, "objectStores.ic1-prod-dc2", N, N),
        (("imageCatalog", "images"), 1, "imageCatalog.images.17", R, F),
    ],
)
def test_what_comes_and_goes(place: Path, entry: Any, path: str, comes: Mark, goes: Mark) -> None:
    """Take the entry of a place out of its list, or put one in, and turn that round."""
    whole = pair()
    entries: Any = whole
    for key in place:
        entries = entries[key]
    without = list(entries)
    if isinstance(entry, int):
        without.pop(entry)
    else:
        entries.append(entry)
    bare = put(whole, place, without)
    assert marks(effects(bare, whole)) == {path: comes}
    assert marks(effects(whole, bare)) == {path: goes}


@pytest.mark.parametrize(("enabled", "tls"), [(True, True), (False, False), (True, False), (False, True)])
def test_metrics_switched_on_or_off_hide_no_restart(enabled: bool, tls: bool) -> None:
    before = put(put(pair(), ("monitoring", "enabled"), not enabled), ("monitoring", "tls"), not tls)
    after = put(put(before, ("monitoring", "enabled"), enabled), ("monitoring", "tls"), tls)
    assert marks(effects(before, after)) == {"monitoring.enabled": L, "monitoring.tls": R}


def test_a_database_that_takes_anothers_object() -> None:
    before = pair()
    renamed = {**before["databases"][0], "name": "app-db"}
    found = changed(before, lambda tree: tree.update(databases=[renamed]))
    assert marks(found) == {"databases.app-db": F, "databases.app_db": D}


def test_the_first_and_the_last_parameter_of_a_library_restart_and_others_do_not() -> None:
    bare = pair()
    with_one = put(bare, ("cluster", "parameters", "pg_stat_statements.track"), "all")
    assert marks(effects(bare, with_one)) == {"cluster.parameters.pg_stat_statements.track": R}
    assert marks(effects(with_one, bare)) == {"cluster.parameters.pg_stat_statements.track": R}
    assert only(with_one, PARAMETER + "pg_stat_statements.track", "top").mark is L
    assert only(with_one, PARAMETER + "pg_stat_statements.max", "100").mark is R


@pytest.mark.parametrize("major", majors())
def test_the_major_version_decides(major: int) -> None:
    before = put(pair(), ("imageCatalog", "major"), major)
    expected = L if major >= 18 else R
    assert only(before, PARAMETER + "autovacuum_max_workers", "4").mark is expected


def test_lowering_what_standbys_need_begins_at_the_primary() -> None:
    before = pair()
    lowered = only(before, PARAMETER + "max_connections", "100").why
    assert "the primary restarts first, in place" in lowered
    assert "datacenter of the primary first" in lowered
    raised = only(before, PARAMETER + "max_connections", "300").why
    assert "datacenter of the replica first" in raised
    alone = built().plain()
    assert "datacenter" not in only(alone, PARAMETER + "max_connections", "300").why


def test_taking_a_parameter_away_lowers_it_to_its_default() -> None:
    before = pair()
    found = changed(before, lambda tree: tree["cluster"]["parameters"].pop("max_connections"))
    assert "datacenter of the primary first" in found["cluster.parameters.max_connections"].why


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("instances", 1, "no PostgreSQL meanwhile"),
        ("primaryUpdateStrategy", "supervised", "waits for a person"),
        ("primaryUpdateMethod", "restart", "in place"),
        ("primaryUpdateMethod", "switchover", "then a switchover"),
    ],
)
def test_how_instances_restart(key: str, value: Any, said: str) -> None:
    before = put(pair(), ("cluster", key), value)
    assert said in only(before, PARAMETER + "shared_buffers", "1GB").why


def test_what_a_replica_reads_matters_to_it() -> None:
    replica = pair(dc="dc2")
    assert only(replica, "objectStores/1/destinationPath", "s3://other/").mark is D
    assert only(replica, "replication/externalClusters/0/serverName", "prod-ic1-dc1-g2").mark is D
    assert only(replica, "replication/externalClusters/1/serverName", "prod-ic1-dc2-g2").mark is N
    assert marks(changed(replica, lambda tree: tree["objectStores"].pop(1))) == {
        "objectStores.ic1-prod-dc1": F
    }


@pytest.mark.parametrize(("dc", "mark"), [("dc1", N), ("dc2", F)])
def test_replication_that_is_switched_on_or_off(dc: str, mark: Mark) -> None:
    alone, paired = built(dc=dc).plain(), pair(dc=dc)
    assert effects(alone, paired)["replication.enabled"].mark is mark
    assert effects(paired, alone)["replication.enabled"].mark is mark


def test_ranks() -> None:
    assert [mark.rank for mark in (N, L, R, D, F)] == sorted(mark.rank for mark in (N, L, R, D, F))
    assert U.rank == D.rank
    assert worst([]) is N
    assert worst([N, U, L]) is U
    assert worst([U, D]) is D
    assert worst([D, F, U]) is F


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@settings(max_examples=300)
@given(st.sampled_from(SHAPES), JSON, JSON)
def test_whatever_a_file_holds_it_is_judged(path: Path, first: Any, second: Any) -> None:
    trees = [pair_once(), pair_once()]
    for tree, value in zip(trees, (first, second), strict=True):
        place: Any = tree
        for key in path[:-1]:
            below = place.get(key) if isinstance(place, dict) else None
            if not isinstance(below, dict):
                place[key] = {}
            place = place[key]
        place[path[-1]] = value
    assert all(isinstance(effect, Effect) for effect in effects(*trees).values())


PAIR = pair()


def pair_once() -> Tree:
    return copy.deepcopy(PAIR)
