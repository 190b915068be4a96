"""The charts of the local infrastructure, rendered by the real helm with the values generated for them."""

from __future__ import annotations

import base64
import functools
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.charts.support import REPOSITORY, helm

from pgaas.render.infra import infra_values

Object = dict[str, Any]
CHARTS = ("seaweedfs", "openldap", "observability")
NAMESPACE = "local-infra"
METRIC = re.compile(r"\b(cnpg_\w+|controller_runtime_\w+)")
# From CloudNativePG 1.30.0's exporter, its operator, and charts/core/files/monitoring-queries.yaml.
METRICS = {
    "cnpg_backends_max_tx_duration_seconds",
    "cnpg_backends_total",
    "cnpg_collector_pg_wal",
    "cnpg_collector_up",
    "cnpg_pg_database_size_bytes",
    "cnpg_pg_replication_lag",
    "cnpg_pg_stat_archiver_failed_count",
    "cnpg_pg_stat_database_blks_hit",
    "cnpg_pg_stat_database_blks_read",
    "cnpg_pg_stat_database_deadlocks",
    "cnpg_pg_stat_database_temp_bytes",
    "cnpg_pg_stat_database_xact_commit",
    "cnpg_pg_stat_database_xact_rollback",
    "cnpg_pg_stat_user_tables_n_dead_tup",
    "controller_runtime_reconcile_errors_total",
    "controller_runtime_reconcile_time_seconds_bucket",
}


def template(chart: str, folder: Path, namespace: str = NAMESPACE, **changed: Any):
    values = folder / "values.yaml"
    values.write_text(yaml.safe_dump({**infra_values(REPOSITORY)[chart], **changed}))
    path = str(REPOSITORY / "local-infra" / chart)
    argv = [helm(), "template", chart, path, "--namespace", namespace, "--values", str(values)]
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)


@functools.cache
def rendered(chart: str, folder: Path) -> list[Object]:
    done = template(chart, folder)
    assert done.returncode == 0, done.stderr
    return [each for each in yaml.safe_load_all(done.stdout) if each]


@pytest.fixture(params=CHARTS)
def objects(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Object]:
    return rendered(request.param, tmp_path_factory.getbasetemp())


def named(objects: list[Object], kind: str, name: str) -> Object:
    (found,) = [each for each in objects if (each["kind"], each["metadata"]["name"]) == (kind, name)]
    return found


def pods(objects: list[Object]) -> list[Object]:
    return [
        each["spec"]["template"]["spec"] for each in objects if each["kind"] in ("Deployment", "StatefulSet")
    ]


def test_no_container_is_root_or_can_become_it_or_writes_its_own_image(objects):
    assert pods(objects)
    for pod in pods(objects):
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] > 0
        for container in (*pod.get("initContainers", []), *pod["containers"]):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }


def test_no_image_floats(objects):
    for pod in pods(objects):
        for container in (*pod.get("initContainers", []), *pod["containers"]):
            assert re.fullmatch(r"[a-z0-9.-]+/[a-z0-9/-]+:v?\d+(\.\d+)+", container["image"])


def test_every_volume_is_there_and_every_object_it_names_too(objects):
    names = {(each["kind"], each["metadata"]["name"]) for each in objects}
    claims = {
        claim["metadata"]["name"]
        for each in objects
        for claim in each.get("spec", {}).get("volumeClaimTemplates", [])
    }
    for pod in pods(objects):
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        for container in (*pod.get("initContainers", []), *pod["containers"]):
            mounted = {mount["name"] for mount in container["volumeMounts"]}
            assert mounted <= {*volumes, *claims}
        for volume in volumes.values():
            if "secret" in volume:
                assert ("Secret", volume["secret"]["secretName"]) in names
            if "configMap" in volume:
                assert ("ConfigMap", volume["configMap"]["name"]) in names
            if "persistentVolumeClaim" in volume:
                assert ("PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]) in names


def test_every_service_reaches_a_pod_and_a_port_of_it(objects):
    templates = [each["spec"]["template"] for each in objects if "template" in each.get("spec", {})]
    for service in (each for each in objects if each["kind"] == "Service"):
        wanted = service["spec"]["selector"].items()
        (chosen,) = [each for each in templates if wanted <= each["metadata"]["labels"].items()]
        ports = {port["name"] for container in chosen["spec"]["containers"] for port in container["ports"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports


@pytest.mark.parametrize("chart", ["seaweedfs", "openldap"])
def test_a_release_in_another_namespace_than_configured_is_refused(chart: str, tmp_path: Path):
    done = template(chart, tmp_path, namespace="elsewhere")
    assert done.returncode != 0
    assert "service.namespace is local-infra, but the release goes to elsewhere" in done.stderr


REQUIRED = [
    ("seaweedfs", {"s3": {"accessKey": "admin", "secretKey": "", "port": 8333}}, "s3.secretKey is needed"),
    ("openldap", {"adminPassword": ""}, "adminPassword is needed"),
    ("openldap", {"configPassword": ""}, "configPassword is needed"),
    ("observability", {"grafana": {"adminPassword": ""}}, "grafana.adminPassword is needed"),
]


@pytest.mark.parametrize(("chart", "changed", "message"), REQUIRED)
def test_a_missing_secret_is_an_error(chart: str, changed: dict[str, Any], message: str, tmp_path: Path):
    done = template(chart, tmp_path, **changed)
    assert done.returncode != 0
    assert message in done.stderr


def test_seaweedfs_has_the_keys_the_buckets_and_the_node_port(tmp_path: Path):
    objects = rendered("seaweedfs", tmp_path)
    (identity,) = json.loads(named(objects, "Secret", "seaweedfs-s3")["stringData"]["s3.json"])["identities"]
    assert identity["credentials"] == [{"accessKey": "admin", "secretKey": "admin123"}]
    (pod,) = pods(objects)
    assert "-bucket=ic1-backups" in pod["containers"][0]["args"]
    assert named(objects, "Service", "seaweedfs-s3")["spec"]["ports"][0]["nodePort"] == 30333


def test_openldap_takes_any_password_and_any_name(tmp_path: Path):
    secret = 'a"b\\c d#é: {{ x }}'
    user = {"cn": "é ü", "uid": "ic1", "sn": " lead", "mail": "m@x.local", "password": secret}
    done = template("openldap", tmp_path, adminPassword=secret, users=[user])
    assert done.returncode == 0, done.stderr
    data = named(list(yaml.safe_load_all(done.stdout)), "Secret", "openldap-openldap")["stringData"]
    assert 'rootpw "a\\"b\\\\c d#é: {{ x }}"\n' in data["slapd.conf"]
    assert f"userPassword:: {base64.b64encode(secret.encode()).decode()}\n" in data["people.ldif"] + "\n"
    assert f"cn:: {base64.b64encode('é ü'.encode()).decode()}\n" in data["people.ldif"]


def test_dashboards_ask_for_metrics_that_there_are_and_each_client_only_for_its_own(tmp_path: Path):
    objects = rendered("observability", tmp_path)
    dashboards = {
        name: json.loads(text)
        for each in objects
        if each["kind"] == "ConfigMap" and each["metadata"]["name"].startswith("grafana-dashboards-")
        for name, text in each["data"].items()
    }
    assert set(dashboards) == {"admin.json", "ic1.json"}
    for name, dashboard in dashboards.items():
        queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
        assert {metric for query in queries for metric in METRIC.findall(query)} <= METRICS
        if name == "ic1.json":
            assert all(query.count('ins="ic1"') == len(METRIC.findall(query)) for query in queries)
        assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"]) == 14


def test_the_collector_keeps_names_and_looks_for_pods_only(tmp_path: Path):
    objects = rendered("observability", tmp_path)
    config = yaml.safe_load(named(objects, "ConfigMap", "otel-collector")["data"]["config.yaml"])
    assert config["exporters"]["prometheusremotewrite"]["add_metric_suffixes"] is False
    jobs = {job["job_name"]: job for job in config["receivers"]["prometheus"]["config"]["scrape_configs"]}
    assert set(jobs) == {"cnpg-instances", "cnpg-operator"}
    assert "scheme" not in jobs["cnpg-instances"]
    role = named(objects, "ClusterRole", "observability-otel-collector")
    assert role["rules"] == [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]}]


def test_the_collector_asks_over_tls_if_the_instances_answer_so(tmp_path: Path):
    done = template("observability", tmp_path, otelCollector={"scrape": {"interval": "5s", "tls": True}})
    objects = [each for each in yaml.safe_load_all(done.stdout) if each]
    config = yaml.safe_load(named(objects, "ConfigMap", "otel-collector")["data"]["config.yaml"])
    job = config["receivers"]["prometheus"]["config"]["scrape_configs"][0]
    assert (job["scheme"], job["scrape_interval"]) == ("https", "5s")


def test_grafana_has_a_host_name_only_if_it_was_given_one(tmp_path: Path):
    assert not [each for each in rendered("observability", tmp_path) if each["kind"] == "Ingress"]
    grafana = {"adminPassword": "x", "ingress": {"enabled": True, "host": "grafana.local"}}
    objects = [
        each
        for each in yaml.safe_load_all(template("observability", tmp_path, grafana=grafana).stdout)
        if each
    ]
    assert named(objects, "Ingress", "grafana")["spec"]["rules"][0]["host"] == "grafana.local"
    grafana["ingress"] = {"enabled": True, "host": ""}
    assert "grafana.ingress.host is needed" in template("observability", tmp_path, grafana=grafana).stderr
