"""The dashboards: fresh, valid by Grafana's own models, about metrics that there are, and nobody else's."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from dashboards import build
from dashboards.asked import FOLDER, asked
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import prometheus
from tests.charts import metrics

from pgaas_lab.images_observability import ensure_program

METRIC = re.compile(r"(?<![\w$\"])([a-z][a-z0-9_]*)(?=[{\[])|\b(up|workqueue_depth)\b")
NAMES = ("admin.json", "client.json")
# The seed's two tables, and the pair's view.
WANTED = {
    "admin.json": {
        "Instances up", "Instances down", "Active connections", "WAL archive failures",
        "Longest replication lag", "Reconcile errors", "Active connections by cluster",
        "Transactions per second by cluster", "Replication lag by instance", "WAL files by cluster",
        "Database sizes", "Cache hit ratio by cluster", "Reconcile duration, 95th percentile",
        "Most dead rows", "Where writes go", "What losing the primary now would cost",
        "Age of the newest WAL in the archive", "Samples that collectors send", "What waits in collectors",
    },
    "client.json": {
        "Active connections", "Cache hit ratio", "Transactions per second", "Deadlocks", "Replication lag",
        "Temporary files", "Active connections by database", "Transactions per second by database",
        "Cache hit ratio by database", "Replication lag over time", "Database sizes", "Connections by state",
        "Most dead rows", "Longest query by state", "Role, as PostgreSQL says", "Role, as pgaas sees it",
        "RPO now", "Not replayed yet, in WAL", "Age of the newest WAL in the archive",
    },
}  # fmt: skip


def dashboard(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / name).read_text())
    return found


def panels(name: str) -> list[dict[str, Any]]:
    return [panel for panel in dashboard(name)["panels"] if panel["type"] != "row"]


def queries(name: str) -> list[str]:
    return [target["expr"] for panel in panels(name) for target in panel["targets"]]


def named_in(query: str) -> set[str]:
    return {first or second for first, second in METRIC.findall(query)}


def test_the_files_are_what_the_code_makes() -> None:
    assert {path.name: path.read_text() for path in FOLDER.iterdir()} == build.texts(), (
        "run `uv run python -m dashboards`"
    )


def test_they_are_written_where_the_chart_takes_them_from(tmp_path: Path) -> None:
    build.write(tmp_path / "dashboards")
    assert {path.name for path in (tmp_path / "dashboards").iterdir()} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_grafanas_own_models_read_them_and_write_the_same(name: str) -> None:
    register_default_plugins()
    plain = dashboard(name)
    read = models.Dashboard.from_json(plain)
    assert json.loads(JSONEncoder().encode(read)) == plain
    targets = [target for panel in read.panels or [] for target in getattr(panel, "targets", None) or []]
    assert targets
    assert all(isinstance(target, prometheus.Dataquery) for target in targets)


@pytest.mark.parametrize("name", NAMES)
def test_every_panel_is_there_once_and_has_a_place_of_its_own(name: str) -> None:
    titles = [panel["title"] for panel in panels(name)]
    assert len(titles) == len(set(titles))
    assert WANTED[name] <= set(titles)
    every = dashboard(name)["panels"]
    assert len({panel["id"] for panel in every}) == len(every)
    taken = [
        (x, y)
        for panel in every
        for place in [panel["gridPos"]]
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(taken) == len(set(taken))
    assert max(x for x, _ in taken) <= 23


@pytest.mark.parametrize("name", NAMES)
def test_every_panel_says_what_it_shows_and_asks_the_provisioned_source(name: str) -> None:
    for panel in panels(name):
        assert panel["description"]
        assert len(panel["targets"]) == 1
        assert panel["datasource"] == panel["targets"][0]["datasource"] == {
            "type": "prometheus", "uid": "prometheus",
        }  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_they_ask_for_metrics_that_there_are(name: str) -> None:
    for query in queries(name):
        assert named_in(query), query
        assert named_in(query) <= metrics.all_names(), query


def test_a_client_is_shown_nothing_but_its_own() -> None:
    for query in queries("client.json"):
        assert query.count('ins="__INS__"') == query.count("{"), query
    (variable,) = dashboard("client.json")["templating"]["list"]
    assert 'ins="__INS__"' in variable["query"]
    assert dashboard("client.json")["uid"] == "pgaas-__INS__"


def test_a_metric_that_there_is_not_is_found() -> None:
    assert named_in('sum(rate(cnpg_nothing{ins="a"}[5m])) or vector(0)') == {"cnpg_nothing"}
    assert named_in("count(up{a=\"b\"} == 0) / workqueue_depth{x='y'}") == {"up", "workqueue_depth"}


@pytest.mark.parametrize("name", NAMES)
def test_prometheus_can_read_every_query(name: str, tmp_path: Path) -> None:
    # As rules, which is how promtool takes expressions without a server.
    rules = [
        {"record": f"panel:{number}", "expr": query.replace("$__rate_interval", "2m")}
        for number, query in enumerate(queries(name))
    ]
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    argv = [ensure_program("promtool"), "check", "rules", file]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_is_asked_has_no_variables_left() -> None:
    found = asked("ic1", "local", "1m")
    assert len(found) == len(queries("admin.json")) + len(queries("client.json"))
    assert [each.query for each in found if "$" in each.query or "__" in each.query] == []
    assert any('ins="ic1",env=~"local"}[1m]' in each.query for each in found)
    assert {each.kind for each in found} == {"stat", "timeseries", "bargauge", "table"}
    assert all(each.row for each in found)
