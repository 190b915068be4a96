from __future__ import annotations

import shutil
import stat
from pathlib import Path

import pytest
import yaml

from pgaas.config.admin import ConfigCache
from pgaas.config.naming import Target
from pgaas.render.infra_observability import (
    collector_values,
    observability_values,
    write_collectors,
    write_local,
)

REPOSITORY = Path(__file__).resolve().parents[3]
OTHER = """clients:
  is1:
    datacenters: [local2]
    s3Bucket: is1-backups
    storageProfile: S
    s3Credentials: {accessKey: is1, secretKey: is1-secret}
"""
PROD = [Target("ic1", "prod", "dc1"), Target("ic1", "prod", "dc2"), Target("is1", "prod", "dc1")]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for env in ("local", "prod"):
        shutil.copytree(REPOSITORY / "confs/admin" / env, tmp_path / "confs/admin" / env)
    return tmp_path


def replace(root: Path, file: str, old: str, new: str) -> None:
    path = root / "confs/admin/local" / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def test_the_first_datacenter_has_prometheus_and_grafana_and_all_have_a_collector(root: Path) -> None:
    first, second = (observability_values(root, ConfigCache(), dc) for dc in ("local1", "local2"))
    for part in ("prometheus", "grafana"):
        assert (first[part]["enabled"], second[part]["enabled"]) == (True, False)
    assert (first["clients"], second["clients"]) == (["ic1"], [])
    assert (first["otelCollector"]["datacenter"], second["otelCollector"]["datacenter"]) == (
        "local1",
        "local2",
    )
    assert "adminPassword" not in second["grafana"]


def test_the_others_write_to_the_first_ones_node_wherever_its_s3_is_found(root: Path) -> None:
    replace(root, "datacenters.yaml", "http://192.168.49.2:30333", "http://10.1.2.3:30333")
    first, second = (
        observability_values(root, ConfigCache(), dc)["otelCollector"]["remoteWrite"]
        for dc in ("local1", "local2")
    )
    assert first["endpoint"] == ""
    assert second["endpoint"] == "http://10.1.2.3:30090/api/v1/write"


def test_an_endpoint_that_the_admin_gives_is_everybodys(root: Path) -> None:
    replace(
        root,
        "observability.yaml",
        "    operatorTls",
        "    remoteWrite: {endpoint: 'http://m/w'}\n    operatorTls",
    )
    for dc in ("local1", "local2"):
        values = observability_values(root, ConfigCache(), dc)
        assert values["otelCollector"]["remoteWrite"]["endpoint"] == "http://m/w"


def test_over_tls_each_cluster_of_the_datacenter_is_asked_by_its_own_name(root: Path) -> None:
    replace(root, "observability.yaml", "      tls: false", "      tls: true")
    replace(root, "postgresql.yaml", "  tls: false", "  tls: true")
    replace(root, "clients.yaml", "clients:\n", OTHER)
    scrape = observability_values(root, ConfigCache(), "local1")["otelCollector"]["scrape"]
    assert scrape["clusters"] == [
        {"name": "local-ic1-local1", "namespace": "ic1-local", "serverName": "local-ic1-local1-rw"}
    ]
    assert scrape["clusterIssuer"] == "pgaas-ca-issuer"
    scrape = observability_values(root, ConfigCache(), "local2")["otelCollector"]["scrape"]
    assert [each["name"] for each in scrape["clusters"]] == ["local-is1-local2", "local-ic1-local2"]


def test_instances_are_looked_for_in_the_namespaces_of_the_datacenters_own_clients(root: Path) -> None:
    replace(root, "clients.yaml", "clients:\n", OTHER)
    first, second = (
        observability_values(root, ConfigCache(), dc)["otelCollector"]["scrape"]["namespaces"]
        for dc in ("local1", "local2")
    )
    assert (first, second) == (["ic1-local"], ["ic1-local", "is1-local"])
    values = collector_values(root, ConfigCache(), "prod", "dc1", PROD)
    assert values["otelCollector"]["scrape"]["namespaces"] == ["ic1-prod", "is1-prod"]


def test_the_collectors_account_is_the_admins_choice_or_the_first_namespace_that_may_ask(root: Path) -> None:
    def account(env: str, dc: str) -> dict[str, str]:
        values = (
            observability_values(root, ConfigCache(), dc)
            if env == "local"
            else collector_values(root, ConfigCache(), env, dc, PROD)
        )
        found: dict[str, str] = values["otelCollector"]["serviceAccount"]
        return found

    assert account("local", "local2") == {"namespace": "local-infra", "name": "otel-collector"}
    assert account("prod", "dc2") == {"namespace": "monitoring", "name": "otel-collector"}
    for env in ("local", "prod"):
        file = root / f"confs/admin/{env}/observability.yaml"
        lines = file.read_text().splitlines()
        own = next(number for number, line in enumerate(lines) if "serviceAccount" in line)
        file.write_text("\n".join([*lines[:own], *lines[own + 3 :]]) + "\n")
    assert account("local", "local1") == {"namespace": "local-infra", "name": "otel-collector"}
    assert account("prod", "dc1") == {"namespace": "monitoring", "name": "otel-collector"}


def test_a_real_environment_has_the_same_collector_and_nothing_else(root: Path) -> None:
    values = collector_values(root, ConfigCache(), "prod", "dc1", PROD)
    assert (values["prometheus"], values["grafana"]) == ({"enabled": False}, {"enabled": False})
    collector = values["otelCollector"]
    assert set(collector) == set(observability_values(root, ConfigCache(), "local1")["otelCollector"])
    assert [each["name"] for each in collector["scrape"]["clusters"]] == ["prod-ic1-dc1", "prod-is1-dc1"]
    assert collector["remoteWrite"] == {
        "endpoint": "https://metrics.example.com/api/v1/write",
        "authorizationSecret": "metrics-endpoint",
    }


def test_one_file_for_each_datacenter_but_the_first_whose_is_the_infrastructures(root: Path) -> None:
    paths = [*write_local(root, ConfigCache()), *write_collectors(root, ConfigCache(), "prod", PROD)]
    folder = root / "confs/_generated"
    assert [path.relative_to(folder).as_posix() for path in paths] == [
        "local-infra/local2/observability-values.yaml",
        "observability/prod/dc1/values.yaml",
        "observability/prod/dc2/values.yaml",
    ]
    assert [stat.S_IMODE(path.stat().st_mode) for path in paths] == [0o600, 0o644, 0o644]
    assert yaml.safe_load(paths[0].read_text()) == observability_values(root, ConfigCache(), "local2")
