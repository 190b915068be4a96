from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.render.support import Tree, built

REPLICATED: Tree = {"replication": {"enabled": True}}


def test_without_replication_each_datacenter_is_born_by_itself_and_follows_nobody() -> None:
    for dc in ("dc1", "dc2"):
        values = built(dc=dc)
        assert values.cluster.bootstrap.method == "initdb"
        assert values.replication.plain() == {
            "enabled": False,
            "self": "",
            "primary": "",
            "source": "",
            "externalClusters": [],
        }
        assert [store.name for store in values.object_stores] == [f"ic1-prod-{dc}"]


def test_one_datacenter_alone_replicates_with_nobody() -> None:
    values = built(client={**REPLICATED, "datacenters": ["dc1"]})
    assert not values.replication.enabled
    assert values.cluster.bootstrap.method == "initdb"


def test_both_datacenters_have_the_same_topology_but_for_self_and_source() -> None:
    first, second = (built(dc=dc, client=REPLICATED).replication for dc in ("dc1", "dc2"))
    assert first.plain() == {
        "enabled": True,
        "self": "prod-ic1-dc1",
        "primary": "prod-ic1-dc1",
        "source": "prod-ic1-dc2",
        "externalClusters": [
            {"name": "prod-ic1-dc1", "barmanObjectName": "ic1-prod-dc1", "serverName": "prod-ic1-dc1"},
            {"name": "prod-ic1-dc2", "barmanObjectName": "ic1-prod-dc2", "serverName": "prod-ic1-dc2"},
        ],
    }
    assert second.plain() == first.plain() | {"self": "prod-ic1-dc2", "source": "prod-ic1-dc1"}


def test_birth_goes_by_the_origin_whoever_is_primary_now() -> None:
    client = {**REPLICATED, "primaryDatacenter": "dc2", "originDatacenter": "dc1"}
    first, second = (built(dc=dc, client=client) for dc in ("dc1", "dc2"))
    assert first.replication.primary == second.replication.primary == "prod-ic1-dc2"
    assert first.cluster.bootstrap.plain() == {
        "method": "initdb",
        "database": "pgaas",
        "owner": "pgaas_owner",
        "source": "",
        "dataChecksums": True,
    }
    assert second.cluster.bootstrap.plain() == {
        "method": "recovery",
        "database": "pgaas",
        "owner": "pgaas_owner",
        "source": "prod-ic1-dc1",
        "dataChecksums": False,
    }


def test_the_origin_is_the_first_of_the_datacenters_not_the_primary() -> None:
    client = {**REPLICATED, "primaryDatacenter": "dc2"}
    methods = [built(dc=dc, client=client).cluster.bootstrap.method for dc in ("dc1", "dc2")]
    assert methods == ["initdb", "recovery"]


def test_a_cluster_that_was_rebuilt_was_born_where_it_was_recovered_from() -> None:
    lives = {"recoveredFrom": {"prod-ic1-dc1": "dc2"}, "archiveGenerations": {"prod-ic1-dc1": 2}}
    first, second = (built(dc=dc, client={**REPLICATED, **lives}).cluster.bootstrap for dc in ("dc1", "dc2"))
    assert (first.method, first.source) == ("recovery", "prod-ic1-dc2")
    assert (second.method, second.source) == ("recovery", "prod-ic1-dc1")
    third = {**REPLICATED, "datacenters": ["dc1", "dc2", "dc3"], "recoveredFrom": {"prod-ic1-dc3": "dc2"}}
    births = [built(dc=dc, client=third).cluster.bootstrap for dc in ("dc1", "dc2", "dc3")]
    assert [each.source for each in births] == ["", "prod-ic1-dc1", "prod-ic1-dc2"]


def test_without_replication_nobody_is_recovered_from_anybody() -> None:
    assert built(client={"recoveredFrom": {"prod-ic1-dc1": "dc2"}}).cluster.bootstrap.method == "initdb"


@st.composite
def pairs(draw: st.DrawFn) -> Tree:
    """Return a client in two or three datacenters, somewhere in its history."""
    names = draw(st.sampled_from([["dc1", "dc2"], ["dc2", "dc1"], ["dc1", "dc2", "dc3"], ["dc3", "dc1"]]))
    clusters = {f"prod-ic1-{name}": [other for other in names if other != name] for name in names}
    reborn = draw(st.lists(st.sampled_from(sorted(clusters)), unique=True))
    client: Tree = {
        **REPLICATED,
        "datacenters": names,
        "recoveredFrom": {name: draw(st.sampled_from(clusters[name])) for name in reborn},
        "archiveGenerations": {name: draw(st.integers(1, 9)) for name in reborn},
    }
    if draw(st.booleans()):
        client["originDatacenter"] = draw(st.sampled_from(names))
    return client


def differing(first: Any, second: Any, path: str = "") -> list[str]:
    """Return the paths at which two trees differ."""
    if isinstance(first, dict) and isinstance(second, dict) and first.keys() == second.keys():
        found = [differing(first[key], second[key], f"{path}.{key}".lstrip(".")) for key in first]
        return [each for some in found for each in some]
    return [] if first == second else [path]


@settings(deadline=None)
@given(pairs(), st.data())
def test_a_promotion_changes_nothing_but_who_is_primary_and_whom_the_others_follow(
    client: Tree, data: st.DataObject
) -> None:
    names = client["datacenters"]
    dc = data.draw(st.sampled_from(names))
    before, after = (
        built(dc=dc, client={**client, "primaryDatacenter": primary})
        for primary in data.draw(st.permutations(names).map(lambda each: each[:2]))
    )
    changed = differing(before.plain(), after.plain())
    assert "replication.primary" in changed
    assert set(changed) <= {"replication.primary", "replication.source"}
    assert after.replication.source != after.replication.self_name
    born = after.cluster.bootstrap
    assert (born.method == "recovery") == bool(born.source)
    assert born.source != after.cluster.name
    following = {each.name for each in after.replication.external_clusters}
    assert {after.replication.source, born.source or after.cluster.name} <= following


@pytest.mark.parametrize(
    ("dc", "source"), [("dc1", "prod-ic1-dc2"), ("dc2", "prod-ic1-dc1"), ("dc3", "prod-ic1-dc2")]
)
def test_of_three_a_replica_follows_the_primary(dc: str, source: str) -> None:
    client = {**REPLICATED, "datacenters": ["dc1", "dc2", "dc3"], "primaryDatacenter": "dc2"}
    values = built(dc=dc, client=client)
    assert values.replication.source == source
    assert len(values.object_stores) == 3


def test_a_later_life_archives_elsewhere_and_both_sides_know() -> None:
    client = {**REPLICATED, "archiveGenerations": {"prod-ic1-dc1": 3}}
    for dc in ("dc1", "dc2"):
        names = [each.server_name for each in built(dc=dc, client=client).replication.external_clusters]
        assert names == ["prod-ic1-dc1-g3", "prod-ic1-dc2"]
    archiver = built(client=client).cluster.plugins[0]
    assert archiver.parameters == {"barmanObjectName": "ic1-prod-dc1", "serverName": "prod-ic1-dc1-g3"}
    assert archiver.is_wal_archiver


def test_every_archive_is_reached_through_the_own_datacenter() -> None:
    stores = built(dc="dc2", client=REPLICATED).object_stores
    assert [store.destination_path for store in stores] == [
        "s3://ic1-backups/ic1-prod-dc2-backup/",
        "s3://ic1-backups/ic1-prod-dc1-backup/",
    ]
    assert {store.endpoint_url for store in stores} == {"https://s3.dc2.example.com"}
    assert [store.retention_policy for store in stores] == ["14d", ""]
    assert stores[1].sidecar_env == []
    assert {each.name: each.value for each in stores[0].sidecar_env} == {
        "AWS_DEFAULT_REGION": "region-dc2",
        "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",
        "AWS_RESPONSE_CHECKSUM_VALIDATION": "when_required",
    }


def test_a_mirrored_archive_is_read_where_the_storage_puts_it() -> None:
    client = {"replication": {"enabled": True, "replicaSource": "mirror"}}
    assert [store.destination_path for store in built(dc="dc2", client=client).object_stores] == [
        "s3://ic1-backups/ic1-prod-dc2-backup/",
        "s3://ic1-backups/ic1-prod-dc1-replica/",
    ]


def test_the_archiver_is_there_whether_the_client_names_it_or_not() -> None:
    values = built(merged={"plugins": [{"name": "other.example.com"}]})
    assert [(each.name, each.is_wal_archiver) for each in values.cluster.plugins] == [
        ("barman-cloud.cloudnative-pg.io", True),
        ("other.example.com", False),
    ]
