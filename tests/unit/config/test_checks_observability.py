from __future__ import annotations

import pytest
from tests.unit.config.support import LOCAL, PROD, Confs

from pgaas.config.models.observability import check_host_and_port, check_write_url

ENDPOINT = "endpoint: https://metrics.example.com/api/v1/write"
PROMETHEUS = (
    "observability:\n  prometheus: {retention: 1d, storage: {size: 1Gi, storageClass: x}}\n  otelCollector"
)


@pytest.mark.parametrize(
    ("env", "old", "new", "path", "message"),
    [
        ("local", "  grafana:\n    adminPassword: admin\n    ingress:\n      enabled: false\n", "",
         "", "needs grafana in local"),
        ("local", "extraTargets: []", "extraTargets: [192.0.2.1]", "otelCollector.extraTargets.0",
         "not a host and a port"),
        ("local", "alertmanagers: []", "alertmanagers: [a_b:1]", "prometheus.alertmanagers.0",
         "is not a DNS name"),
        ("prod", "observability:\n  otelCollector", PROMETHEUS, "prometheus", "is of local only"),
        ("prod", ENDPOINT, "caConfigMap: x", "otelCollector.remoteWrite", "needs endpoint"),
        ("prod", ENDPOINT, ENDPOINT.replace("https", "http"),
         "otelCollector.remoteWrite.endpoint", "must begin with https://"),
        ("prod", ENDPOINT, "endpoint: https://x/${env:HOME}", "otelCollector.remoteWrite.endpoint",
         "is not a URL such as"),
        ("prod", "tls: true ", "tls: false ", "otelCollector.scrape.tls", "monitoring.tls"),
        ("prod", "namespace: monitoring", "namespace: metrics", "otelCollector.serviceAccount.namespace",
         "'metrics' is not one of monitoringNamespaces of dc1, dc2 in datacenters.yaml"),
        ("local", "namespace: local-infra", "namespace: monitoring",
         "otelCollector.serviceAccount.namespace", "must be local-infra in local"),
        ("prod", "name: otel-collector", "name: Otel", "otelCollector.serviceAccount.name", "DNS name"),
    ],
)  # fmt: skip
def test_an_issue(confs: Confs, env: str, old: str, new: str, path: str, message: str) -> None:
    file = f"confs/admin/{env}/observability.yaml"
    confs.replace(file, old, new)
    (issue,) = confs.issues(LOCAL if env == "local" else PROD)
    assert issue.startswith(f"{file}:")
    assert f": {f'observability.{path}'.rstrip('.')}: " in issue
    assert message in issue


def test_a_real_environment_needs_the_file(confs: Confs) -> None:
    (confs.root / "confs/admin/prod/observability.yaml").unlink()
    (issue,) = confs.issues(PROD)
    assert "confs/admin/prod/observability.yaml" in issue


@pytest.mark.parametrize("value", ["192.0.2.1:9188", "pgaas-exporter.ns.svc:1", "[2001:db8::1]:65535"])
def test_a_host_and_a_port(value: str) -> None:
    assert check_host_and_port(value) == value


@pytest.mark.parametrize(
    "value", ["192.0.2.1", "host:0", "host:65536", "a b:1", "::1:80", "http://x:1", "x:1/"]
)
def test_no_host_and_a_port(value: str) -> None:
    with pytest.raises(ValueError, match="is not"):
        check_host_and_port(value)


@pytest.mark.parametrize(
    "value", ["https://m.example.com/api/v1/write", "http://[2001:db8::1]:9090/w?tenant=a"]
)
def test_a_write_url(value: str) -> None:
    assert check_write_url(value) == value


@pytest.mark.parametrize(
    "value", ["m.example.com", "ftp://m/x", "https://m/$x", 'https://m/"x', "https://u:p@m/x"]
)
def test_no_write_url(value: str) -> None:
    with pytest.raises(ValueError, match="is not a URL"):
        check_write_url(value)
