"""Every number on its way from PostgreSQL to Prometheus, of one client in two datacenters, under a load."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import yaml
from dashboards.asked import Asked, asked
from tests.charts import metrics as known
from tests.lab.metrics import Load, ask, get, load, pod_of, values, watched
from tests.lab.pair import Pair, Side
from tests.lab.support import NAMESPACE, wait_until

LABELS = ("cluster", "ins", "env", "dc", "role", "namespace", "pod")
# A failed backup's, and those of replication slots, which a lone instance has none of.
RARE = {
    "barman_cloud_cloudnative_pg_io_last_failed_backup_timestamp",
    "cnpg_pg_replication_slots_detail_active",
    "cnpg_pg_replication_slots_detail_flush_lag_bytes",
}
PANELS = asked("ic1", "local")


@pytest.fixture(scope="module")
def observed(pair: Pair) -> Iterator[Pair]:
    with watched(pair):
        yield pair


@pytest.fixture(scope="module")
def loaded(observed: Pair) -> Iterator[Load]:
    with load(observed) as work:
        yield work
    assert work.failed == []


def test_both_datacenters_instances_are_seen_and_say_whose_and_where_they_are(observed: Pair) -> None:
    expected = {
        (side.cluster, "ic1", "local", dc, "primary", NAMESPACE, pod_of(side)["metadata"]["name"])
        for dc, side in observed.sides.items()
    }
    up = 'cnpg_collector_up{ins="ic1"} == 1'
    wait_until("both instances", lambda: set(values(up, *LABELS)) == expected)
    for name in ("cnpg_backends_total", "cnpg_pg_database_size_bytes", "cnpg_pg_activity_count"):
        assert {row[:4] for row in values(f'{name}{{ins="ic1"}}', *LABELS)} == {row[:4] for row in expected}


def test_every_name_that_is_counted_on_is_there(loaded: Load) -> None:
    wanted = known.EXPORTER | known.OPERATOR | known.COLLECTOR | known.custom()

    def missing() -> set[str]:
        return wanted - RARE - set(get("label/__name__/values"))

    wait_until("all names", lambda: not missing())
    assert not [name for name in get("label/__name__/values") if name.endswith("_total_total")]


def test_no_query_of_ours_fails(loaded: Load) -> None:
    wait_until("a collection", lambda: ask("cnpg_pg_wal_position_bytes"))
    assert set(values("cnpg_collector_last_collection_error", "dc").values()) == {0.0}


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: f"{panel.dashboard}: {panel.title}")
def test_a_panel_shows_something(loaded: Load, panel: Asked) -> None:
    found = wait_until(f"an answer to {panel.query}", lambda: ask(panel.query), timeout=240)
    print(f"{panel.title}: " + ", ".join(each["value"][1] for each in found[:4]))


def test_the_load_is_seen_for_what_it_is(loaded: Load) -> None:
    only = f'{{ins="ic1",datname="app_db",dc="{loaded.side.dc}"}}'
    for query in (
        f"increase(cnpg_pg_stat_database_deadlocks{only}[5m]) > 0",
        f"increase(cnpg_pg_stat_database_temp_bytes{only}[5m]) > 1e6",
        f"rate(cnpg_pg_stat_database_xact_rollback{only}[1m]) > 0",
        'max(cnpg_pg_activity_max_query_duration_seconds{ins="ic1",state="active"}) > 1',
        'cnpg_pg_stat_user_tables_n_dead_tup{ins="ic1",relname="busy"} > 0',
    ):
        wait_until(query, lambda query=query: ask(query))


def test_which_side_takes_writes_is_seen_by_postgresql_and_by_pgaas(loaded: Load, observed: Pair) -> None:
    expected = {(dc,): float(side == loaded.side) for dc, side in observed.sides.items()}
    roles = 'max by (dc) (1 - cnpg_pg_replication_in_recovery{ins="ic1"})'
    for query in (roles, 'pgaas_side_primary{ins="ic1"}'):
        wait_until(query, lambda query=query: values(query, "dc") == expected)


def test_the_collector_may_see_pods_and_nothing_else(observed: Pair) -> None:
    account = "--as=system:serviceaccount:local-infra:otel-collector"
    for side in observed.sides.values():

        def may(place: str, *what: str, side: Side = side) -> bool:
            place = place if place == "-A" else f"--namespace={place}"
            return side.lab.kubectl("auth", "can-i", *what, account, place, check=False).returncode == 0

        others = (("get", "secrets"), ("get", "configmaps"), ("create", "pods"), ("list", "services"))
        for shown in (NAMESPACE, "cnpg-system"):
            assert may(shown, "list", "pods")
            assert may(shown, "watch", "pods")
            assert not any(may(shown, *what) for what in others)
        for hidden in ("-A", "kube-system", "local-infra", "default"):
            assert not any(may(hidden, *what) for what in (("list", "pods"), *others))


def test_changed_queries_are_asked_without_a_restart(observed: Pair) -> None:
    side = observed.primary()
    name = f"{side.cluster}-monitoring-queries"
    before, found = pod_of(side), side.lab.get("configmap", name)
    queries = found["data"]["queries"]
    probe = {
        "probe": {
            "query": "SELECT 42 AS answer",
            "metrics": [{"answer": {"usage": "GAUGE", "description": "x"}}],
        }
    }

    def apply(text: str) -> None:
        kept = {key: found["metadata"][key] for key in ("labels", "annotations")}
        changed = {
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": name, "namespace": NAMESPACE, **kept}, "data": {"queries": text},
        }  # fmt: skip
        # As Helm, so that no second owner is left.
        command = ("apply", "--server-side", "--field-manager=helm", "-f", "-")
        side.lab.kubectl(*command, stdin=json.dumps(changed))

    apply(queries + "\n" + yaml.safe_dump(probe))
    wait_until("the new number", lambda: set(values("cnpg_probe_answer", "dc").values()) == {42.0})
    apply(queries)
    wait_until("the number to go", lambda: not ask("cnpg_probe_answer"), timeout=420)
    after = pod_of(side)
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    restarts = [
        [status["restartCount"] for status in pod["status"]["containerStatuses"]] for pod in (before, after)
    ]
    assert restarts[0] == restarts[1]
