"""Which pods the collector finds: the real one asks a real API server, with the charts' own rights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from tests.charts.control_plane import ControlPlane, control_plane
from tests.charts.loopback import Way, exporter, free_port
from tests.charts.support import Object, rendered
from tests.charts.test_observability import FIRST, config, named, render
from tests.lab.support import wait_until

from pgaas.config.naming import Target

COLLECTOR, OPERATOR = "collector", "cnpg-system"
# In the order in which they come to let the collector in; the last one does not even exist at first.
READY, CLOSED, MISSING = "ic1-local", "is1-local", "is2-local"
ADDRESSES = {READY: "127.0.0.21", CLOSED: "127.0.0.22", MISSING: "127.0.0.23"}
CLIENTS = {"otelCollector": {"scrape": {"namespaces": sorted(ADDRESSES)}}}
OBJECTS = render(FIRST, CLIENTS)


def rights(namespace: str) -> list[Object]:
    """Return what the chart of a client brings for the collector, in some namespace."""
    found = rendered(Target("ic1", "local", "local1"))
    both = [named(found, kind, "pgaas-metrics-collector") for kind in ("Role", "RoleBinding")]
    return [{**each, "metadata": {**each["metadata"], "namespace": namespace}} for each in both]


def instance(plane: ControlPlane, namespace: str) -> None:
    ins, _, env = namespace.partition("-")
    labels = {
        "cnpg.io/cluster": f"{env}-{ins}-local1",
        "pgaas.io/ins": ins,
        "cnpg.io/instanceRole": "primary",
    }
    plane.pod(namespace, f"{env}-{ins}-local1-1", ADDRESSES[namespace], 9187, labels)


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[ControlPlane]:
    """Give an API server with a client that shows its pods, and one that does not yet."""
    (tmp_path / "plane").mkdir()
    with control_plane(tmp_path / "plane", {COLLECTOR: "local-infra:otel-collector"}) as found:
        for namespace in (OPERATOR, READY, CLOSED):
            found.namespace(namespace)
        found.apply(*(named(OBJECTS, kind, "release-otel-collector") for kind in ("Role", "RoleBinding")))
        found.apply(*rights(READY))
        for namespace in (READY, CLOSED):
            instance(found, namespace)
        yield found


def test_the_collector_may_see_pods_where_it_is_let_in_and_nothing_else(plane: ControlPlane) -> None:
    def may(*arguments: str) -> bool:
        return plane.kubectl(*arguments, who=COLLECTOR).returncode == 0

    for namespace in (READY, OPERATOR):
        assert may("-n", namespace, "get", "pods")
        for kind in ("secrets", "configmaps", "services", "serviceaccounts"):
            assert not may("-n", namespace, "get", kind)
        assert not may("-n", namespace, "delete", "pod", "local-ic1-local1-1", "--dry-run=server")
    for place in (("-A",), ("-n", CLOSED), ("-n", "kube-system"), ("-n", "default")):
        assert not may(*place, "get", "pods")
    assert not may("get", "namespaces")


def test_a_namespace_that_is_closed_or_not_there_yet_does_not_disturb_the_others(
    plane: ControlPlane, tmp_path: Path
) -> None:
    way = Way(tmp_path, free_port(), free_port())
    settings = named(OBJECTS, "ConfigMap", "prometheus")["data"]["prometheus.yml"]

    def up(namespace: str) -> list[dict[str, Any]]:
        return way.ask(f'up{{job="cnpg",namespace="{namespace}"}} == 1')

    def count() -> float:
        (found,) = way.ask(f'count_over_time(up{{job="cnpg",namespace="{READY}"}}[10m])')
        return float(found["value"][1])

    with ExitStack() as stack:
        for address in ADDRESSES.values():
            stack.enter_context(exporter(None, (address, 9187)))
        stack.enter_context(way.prometheus(settings))
        kubeconfig = plane.kubeconfig(COLLECTOR)
        stack.enter_context(way.collector(config(OBJECTS), {"cnpg": {}}, kubeconfig))
        (found,) = wait_until("the client that is ready", lambda: up(READY))
        assert found["metric"]["cluster"] == "local-ic1-local1"
        before = count()
        wait_until("more of it", lambda: count() > before + 2)
        assert (up(CLOSED), up(MISSING)) == ([], [])
        assert "forbidden" in (tmp_path / "otel.log").read_text()
        plane.apply(*rights(CLOSED))
        wait_until("the client that was closed", lambda: up(CLOSED))
        plane.namespace(MISSING)
        plane.apply(*rights(MISSING))
        instance(plane, MISSING)
        wait_until("the client that was not there", lambda: up(MISSING))
        # All the while the first one was asked, and answered.
        now = count()
        wait_until("more of it", lambda: count() > now + 2)
        (asked,) = way.ask(f'up{{job="cnpg",namespace="{READY}"}}[10m]')
        assert {value for _, value in asked["values"]} == {"1"}
