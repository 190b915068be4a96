"""Metrics over TLS, which brings a restart: each server must show its own cluster's certificate."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
import yaml
from tests.lab.metrics import SETTINGS, ask, install, pod_of, rewrite
from tests.lab.pair import Pair, Side
from tests.lab.support import NAMESPACE, wait_until


def plainly(side: Side) -> str:
    """Return what an instance answers to a request without TLS."""
    script = "exec 3<>/dev/tcp/localhost/9187; printf 'GET /metrics HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3"
    pod = pod_of(side)["metadata"]["name"]
    command = ("exec", pod, "-c", "postgres", "--", "timeout", "10", "bash", "-c", script)
    return side.lab.kubectl("-n", NAMESPACE, *command, check=False).stdout


@pytest.fixture
def over_tls(pair: Pair) -> Iterator[Pair]:
    postgresql, settings = "confs/admin/local/postgresql.yaml", SETTINGS
    plain, secure = "tls: false", "tls: true"

    def change(old: str, new: str) -> None:
        rewrite(pair, postgresql, (f"  {old}", f"  {new}"))
        rewrite(pair, settings, (f"      {old}", f"      {new}"))
        for side in pair.sides.values():
            done = pair.pgaas("create", *side.target)
            assert done.returncode == 0, done.stderr
        install(pair)

    # So that silence below is the lack of TLS, and not of the means to ask.
    assert all("cnpg_collector_up" in plainly(side) for side in pair.sides.values())
    change(plain, secure)
    yield pair
    change(secure, plain)


def test_over_tls_the_servers_certificates_are_verified(over_tls: Pair) -> None:
    since = time.time()
    for side in over_tls.sides.values():
        config = side.lab.get("configmap", "otel-collector", "local-infra")["data"]["config.yaml"]
        jobs = yaml.safe_load(config)["receivers"]["prometheus"]["config"]["scrape_configs"]
        (job,) = [job for job in jobs if job["job_name"] == f"cnpg/{side.cluster}"]
        assert job["tls_config"] == {"ca_file": "/etc/otel-tls/ca.crt", "server_name": f"{side.cluster}-rw"}
        # Prometheus remembers for five minutes what came before.
        up = f"up{{job='cnpg',dc='{side.dc}'}}"
        answer = f"{up} == 1 and timestamp({up}) > {since} and scrape_samples_scraped > 100"
        wait_until(f"{side.dc} over TLS", lambda answer=answer: ask(answer))
        # What is not TLS gets no answer: the numbers above can't have come in plain.
        assert "cnpg_collector_up" not in plainly(side)
