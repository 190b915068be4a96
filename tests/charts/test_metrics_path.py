"""A sample's way with the real programs: asked over TLS, verified, labelled, written, and not lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.charts.loopback import POD, Certificate, Way, certificate, exporter, free_port
from tests.charts.test_observability import FIRST, TLS, config, named, render
from tests.lab.support import wait_until

JOB = "cnpg/local-ic1-local1"
OBJECTS = render(FIRST, TLS)
SETTINGS = named(OBJECTS, "ConfigMap", "prometheus")["data"]["prometheus.yml"]


@pytest.fixture
def way(tmp_path: Path) -> Way:
    return Way(tmp_path, free_port(), free_port())


@pytest.fixture
def server(tmp_path: Path) -> Certificate:
    return certificate(tmp_path, "local-ic1-local1-rw", "local-ic1-local1-rw.ic1-local.svc")


def asked(target: str, root: Path, server_name: str = "local-ic1-local1-rw") -> dict[str, dict[str, Any]]:
    """Return the chart's job for a cluster, of which discovery has found one pod."""
    return {
        JOB: {
            "static_configs": [{"targets": [target], "labels": POD}],
            "tls_config": {"ca_file": str(root), "server_name": server_name},
        }
    }


def value(found: list[dict[str, Any]]) -> float:
    (one,) = found
    return float(one["value"][1])


def test_a_sample_arrives_verified_with_its_own_name_and_the_labels_of_its_pod(
    way: Way, server: Certificate
) -> None:
    own = {"otel-collector": {"static_configs": [{
        "targets": [f"127.0.0.1:{way.own_metrics_port}"], "labels": {"dc": "local1"},
    }]}}  # fmt: skip
    with (
        exporter(server.chain) as target,
        way.prometheus(SETTINGS),
        way.collector(config(OBJECTS), asked(target, server.root) | own),
    ):
        (found,) = wait_until("a sample", lambda: way.ask("cnpg_pg_stat_database_xact_commit"))
        assert found["metric"] == {
            "__name__": "cnpg_pg_stat_database_xact_commit", "datname": "app_db", "job": "cnpg",
            "cluster": "local-ic1-local1", "ins": "ic1", "env": "local", "dc": "local1", "role": "primary",
            "namespace": "ic1-local", "pod": "local-ic1-local1-1", "instance": target,
        }  # fmt: skip
        for name in (
            "cnpg_backends_total",
            "controller_runtime_reconcile_errors_total",
            "controller_runtime_reconcile_time_seconds_bucket{le='1'}",
            'up{job="cnpg"} == 1',
        ):
            assert way.ask(name), name
        grown = "increase(cnpg_pg_stat_database_xact_commit[1m]) > 0"
        wait_until("a counter's growth", lambda: way.ask(grown))
        sent = 'otelcol_exporter_sent_metric_points{job="otel-collector",dc="local1"} > 0'
        wait_until("the collector's own numbers", lambda: way.ask(sent))


def test_a_server_that_shows_another_clusters_certificate_is_not_believed(
    way: Way, server: Certificate
) -> None:
    with exporter(server.chain) as target, way.prometheus(SETTINGS):
        jobs = asked(target, server.root, server_name="local-is1-local1-rw")
        with way.collector(config(OBJECTS), jobs):
            found = wait_until("that it was asked", lambda: way.ask('up{job="cnpg"}'))
            assert value(found) == 0
            assert way.ask("cnpg_collector_up") == []


def test_a_server_of_another_root_is_not_believed(way: Way, server: Certificate, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = certificate(tmp_path / "other", "local-ic1-local1-rw")
    with (
        exporter(server.chain) as target,
        way.prometheus(SETTINGS),
        way.collector(config(OBJECTS), asked(target, other.root)),
    ):
        assert value(wait_until("that it was asked", lambda: way.ask('up{job="cnpg"}'))) == 0


def test_while_prometheus_is_away_samples_wait_and_the_collector_says_so(
    way: Way, server: Certificate
) -> None:
    with exporter(server.chain) as target, way.collector(config(OBJECTS), asked(target, server.root)):
        with way.prometheus(SETTINGS):
            wait_until("a sample", lambda: way.ask("cnpg_collector_up"))
        wait_until("a queue", lambda: way.own("otelcol_exporter_queue_size") >= 2)
        with way.prometheus(SETTINGS):
            wait_until("the queue to be written", lambda: way.own("otelcol_exporter_queue_size") == 0)
            # From the first to the last there is a sample for each second.
            times = "timestamp(cnpg_collector_up)[10m:1s]"
            seconds = value(way.ask(f"max_over_time({times})")) - value(way.ask(f"min_over_time({times})"))
            assert value(way.ask("count_over_time(cnpg_collector_up[10m])")) >= seconds - 1
