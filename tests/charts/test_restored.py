"""What the chart prints of a restored cluster: its own objects, and nothing of what a client's has."""

from __future__ import annotations

import functools

import pytest
from tests.charts import crds
from tests.charts.support import REPOSITORY, TARGETS, Object, objects, of_kind, render_text, target_id
from tests.charts.test_observability import FIRST, render
from tests.charts.test_schemas import CUSTOM, core_issues, custom_issues, key

from pgaas.config.naming import Target, cluster_name
from pgaas.config.resolve import resolve_client
from pgaas.render.dump import dump_values
from pgaas.render.restored import Restoring, restored_values

NAME = "before-the-drop"
MOMENT = "2026-11-28T14:30:00.000000Z"
PROD = Target("ic1", "prod", "dc1")
OWN_KINDS = {"Cluster", "ImageCatalog", "ObjectStore", "Certificate", "Issuer", "NetworkPolicy", "Secret"}


@functools.cache
def text_of(target: Target, *, moment: str = MOMENT, immediate: bool = False, clients: bool = False) -> str:
    wanted = Restoring(
        name=NAME,
        source=target,
        server_name=cluster_name(target),
        request=f"time {moment}" if moment else "latest",
        backup_id="20261128T010000",
        image="ghcr.io/cloudnative-pg/postgresql:17.6-standard-trixie",
        major=17,
        target_time=moment,
        immediate=immediate,
        timeline=2 if immediate else 0,
        own_clients=clients,
    )
    return render_text(dump_values(restored_values(resolve_client(REPOSITORY, target), wanted)))


def restored(target: Target = PROD, **options: bool | str) -> list[Object]:
    return objects(text_of(target, **options))  # type: ignore[arg-type]


def the_cluster(**options: bool | str) -> Object:
    [cluster] = of_kind(restored(**options), "Cluster")
    return cluster


@pytest.mark.parametrize("target", TARGETS, ids=target_id)
def test_only_what_is_its_own_is_printed_and_every_object_is_valid(target: Target) -> None:
    found = restored(target)
    assert {each["kind"] for each in found} <= OWN_KINDS
    for each in found:
        assert each["metadata"]["name"].startswith(NAME), each["metadata"]["name"]
        issues = custom_issues(each, *crds.CURRENT) if key(each) in CUSTOM else core_issues(each)
        assert issues == []


def test_nothing_of_it_is_found_by_the_labels_of_its_source() -> None:
    """What deletes a client's cluster, or counts it, goes by client, environment and datacenter."""
    for each in restored():
        labels = each["metadata"]["labels"]
        assert "pgaas.io/dc" not in labels
        assert labels["pgaas.io/restored-as"] == NAME
        assert labels["pgaas.io/restored-in"] == "dc1"
        assert labels["pgaas.io/restored-from"] == "prod-ic1-dc1"
        assert labels["pgaas.io/restore-target"] == "time-2026-11-28T14-30-00.000000Z"
        assert (labels["pgaas.io/ins"], labels["pgaas.io/env"]) == ("ic1", "prod")
    inherited = the_cluster()["spec"]["inheritedMetadata"]["labels"]
    assert "pgaas.io/dc" not in inherited
    assert inherited["pgaas.io/restored-from"] == "prod-ic1-dc1"


def test_it_has_no_archiver_no_replica_stanza_and_no_services_of_its_own() -> None:
    spec = the_cluster()["spec"]
    assert spec["plugins"] == []
    assert "replica" not in spec
    assert spec["managed"] == {"roles": [], "services": {"additional": []}}
    assert spec["instances"] == 1


def test_it_recovers_to_the_moment_from_the_one_archive() -> None:
    spec = the_cluster()["spec"]
    assert spec["bootstrap"]["recovery"]["recoveryTarget"] == {
        "backupID": "20261128T010000",
        "targetTime": MOMENT,
    }
    [source] = spec["externalClusters"]
    assert source["name"] == spec["bootstrap"]["recovery"]["source"] == "prod-ic1-dc1"
    assert source["plugin"]["parameters"] == {"barmanObjectName": NAME, "serverName": "prod-ic1-dc1"}
    assert the_cluster()["metadata"]["annotations"]["pgaas.io/restore-request"].endswith(" of prod-ic1-dc1")


def test_it_recovers_to_a_backups_end_or_to_the_newest_wal() -> None:
    def target(**options: bool | str) -> Object:
        found: Object = the_cluster(**options)["spec"]["bootstrap"]["recovery"]["recoveryTarget"]
        return found

    assert target(moment="") == {"backupID": "20261128T010000"}
    ended = target(moment="", immediate=True)
    assert ended == {"backupID": "20261128T010000", "targetImmediate": True, "targetTLI": "2"}


def test_the_policy_is_the_sources_for_its_own_instances() -> None:
    [policy] = of_kind(restored(), "NetworkPolicy")
    assert policy["spec"]["podSelector"] == {"matchLabels": {"cnpg.io/cluster": NAME}}


def test_no_metrics_of_it_are_collected() -> None:
    [config] = [
        each
        for each in render(FIRST)
        if each["kind"] == "ConfigMap" and each["metadata"]["name"] == "otel-collector"
    ]
    rule = '{source_labels: [__meta_kubernetes_pod_label_pgaas_io_restored_from], regex: ".+", action: drop}'
    assert rule in config["data"]["config.yaml"]
