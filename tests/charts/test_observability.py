"""The chart of metrics: what is collected and how, where it goes, and who may do what."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from typing import Any

import kubernetes_validate
import pytest
import yaml
from tests.charts import crds
from tests.charts.support import REPOSITORY, TARGETS, Object, objects, of_kind, rendered, run_helm
from tests.charts.test_schemas import core_issues, custom_issues

from pgaas.config.admin import ConfigCache
from pgaas.config.naming import Target
from pgaas.config.naming import namespace as namespace_of
from pgaas.render.infra_observability import collector_values, observability_values

CHART = REPOSITORY / "local-infra/observability"
INSTANCE_LABELS = {"cluster", "ins", "env", "dc", "role", "namespace", "pod"}
CLUSTER = {"name": "local-ic1-local1", "namespace": "ic1-local", "serverName": "local-ic1-local1-rw"}
TLS = {"otelCollector": {"scrape": {"tls": True, "clusters": [CLUSTER]}}}
FIRST, SECOND = (observability_values(REPOSITORY, ConfigCache(), dc) for dc in ("local1", "local2"))
PROD = collector_values(REPOSITORY, ConfigCache(), "prod", "dc1", [Target("ic1", "prod", "dc1")])


def render(*values: dict[str, Any]) -> list[Object]:
    namespace = values[0]["otelCollector"]["serviceAccount"]["namespace"]
    done = run_helm(*map(yaml.safe_dump, values), chart=CHART, namespace=namespace)
    assert done.returncode == 0, done.stderr
    return objects(done.stdout)


def refusal(*values: dict[str, Any]) -> str:
    done = run_helm(*map(yaml.safe_dump, values), chart=CHART, namespace="local-infra")
    assert done.returncode != 0
    return done.stderr


def named(found: list[Object], kind: str, name: str) -> Object:
    (one,) = [each for each in found if (each["kind"], each["metadata"]["name"]) == (kind, name)]
    return one


def config(found: list[Object]) -> dict[str, Any]:
    parsed: dict[str, Any] = yaml.safe_load(
        named(found, "ConfigMap", "otel-collector")["data"]["config.yaml"]
    )
    return parsed


def jobs(found: list[Object]) -> dict[str, dict[str, Any]]:
    listed = config(found)["receivers"]["prometheus"]["config"]["scrape_configs"]
    return {job["job_name"]: job for job in listed}


def container(found: list[Object], kind: str, name: str) -> dict[str, Any]:
    (one,) = named(found, kind, name)["spec"]["template"]["spec"]["containers"]
    return dict(one)


def kinds(found: list[Object]) -> set[tuple[str, str]]:
    return {(each["kind"], each["metadata"]["name"]) for each in found}


@pytest.mark.parametrize(
    "values", [[FIRST], [SECOND], [PROD], [FIRST, TLS]], ids=["first", "second", "prod", "tls"]
)
def test_every_object_passes_the_schemas_that_an_api_server_would_check_it_with(values: list[Any]) -> None:
    found = render(*values)
    certificates = [each for each in found if each["kind"] == "Certificate"]
    core = [each for each in found if each["kind"] != "Certificate"]
    assert core
    assert [issue for each in core for issue in core_issues(each)] == []
    for source in (crds.CERT_MANAGER, crds.OLD_CERT_MANAGER):
        assert [issue for each in certificates for issue in custom_issues(each, source)] == []
    assert bool(certificates) == (values != [FIRST] and values != [SECOND])


def test_the_first_datacenter_has_all_and_every_other_the_collector_alone() -> None:
    first, second, prod = (kinds(render(values)) for values in (FIRST, SECOND, PROD))
    collector = {
        ("ServiceAccount", "otel-collector"), ("Role", "release-otel-collector"),
        ("RoleBinding", "release-otel-collector"), ("ConfigMap", "otel-collector"),
        ("Service", "otel-collector"), ("Deployment", "otel-collector"),
    }  # fmt: skip
    assert second == collector
    assert prod == collector | {("Certificate", "otel-collector")}
    assert first - collector == {
        ("StatefulSet", "prometheus"), ("Service", "prometheus"), ("ConfigMap", "prometheus"),
        ("ConfigMap", "prometheus-rules"), ("Deployment", "grafana"), ("Service", "grafana"),
        ("Secret", "grafana"), ("ConfigMap", "grafana-provisioning"),
        ("ConfigMap", "grafana-dashboards-admin"), ("ConfigMap", "grafana-dashboards-client-ic1"),
    }  # fmt: skip


@pytest.mark.parametrize("values", [[FIRST], [FIRST, TLS]], ids=["plain", "tls"])
def test_every_series_of_an_instance_says_whose_and_where_it_is(values: list[Any]) -> None:
    for name, job in jobs(render(*values)).items():
        if name.startswith("cnpg") and name != "cnpg-operator":
            rules = job["relabel_configs"]
            assert {rule.get("target_label") for rule in rules} - {None} == INSTANCE_LABELS | {"job"}
            assert {"target_label": "job", "replacement": "cnpg"} in rules
            assert [rule["regex"] for rule in rules if rule.get("action") == "keep"] == ["9187"]


def test_the_collector_keeps_names_and_drops_samples_before_it_is_killed() -> None:
    found = render(FIRST)
    exporter = config(found)["exporters"]["prometheus_remote_write"]
    assert exporter["translation_strategy"] == "UnderscoreEscapingWithoutSuffixes"
    assert exporter["http"]["endpoint"] == "http://prometheus.local-infra.svc:9090/api/v1/write"
    (pipeline,) = config(found)["service"]["pipelines"].values()
    assert pipeline["processors"][0] == "memory_limiter"
    limit = config(found)["processors"]["memory_limiter"]["limit_mib"]
    assert container(found, "Deployment", "otel-collector")["resources"]["limits"]["memory"] == "512Mi"
    assert limit < 512


SEES_PODS = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]}]


def test_the_collector_sees_the_operators_pods_and_what_a_client_shows_it() -> None:
    for values in ([FIRST], [FIRST, TLS], [PROD]):
        found = render(*values)
        namespace = values[0]["otelCollector"]["serviceAccount"]["namespace"]
        role, binding = (named(found, kind, "release-otel-collector") for kind in ("Role", "RoleBinding"))
        assert role["rules"] == SEES_PODS
        assert {each["metadata"]["namespace"] for each in (role, binding)} == {"cnpg-system"}
        assert binding["subjects"] == [
            {"kind": "ServiceAccount", "name": "otel-collector", "namespace": namespace}
        ]
        assert not [each for each in found if each["kind"].startswith("ClusterRole")]
        pod = named(found, "Deployment", "otel-collector")["spec"]["template"]["spec"]
        assert pod["serviceAccountName"] == "otel-collector"
    for target in TARGETS:
        (role,) = [each for each in of_kind(rendered(target), "Role") if each["rules"] == SEES_PODS]
        (binding,) = [
            each for each in of_kind(rendered(target), "RoleBinding")
            if each["roleRef"]["name"] == role["metadata"]["name"]
        ]  # fmt: skip
        assert {each["metadata"]["namespace"] for each in (role, binding)} == {namespace_of(target)}
        place = "local-infra" if target.env == "local" else "monitoring"
        assert binding["subjects"] == [
            {"kind": "ServiceAccount", "name": "otel-collector", "namespace": place}
        ]


def test_pods_are_looked_for_in_named_namespaces_only() -> None:
    for values in ([FIRST], [SECOND], [PROD], [FIRST, TLS]):
        discoveries = [
            discovery for job in jobs(render(*values)).values()
            for discovery in job.get("kubernetes_sd_configs", [])
        ]  # fmt: skip
        assert len(discoveries) > 1
        assert all(discovery["namespaces"]["names"] for discovery in discoveries)
    plain = jobs(render(FIRST))["cnpg"]["kubernetes_sd_configs"]
    assert [discovery["namespaces"]["names"] for discovery in plain] == [["ic1-local"]]
    # An empty list would mean all of them.
    nobody = {"otelCollector": {"scrape": {"namespaces": []}}}
    assert "cnpg" not in jobs(render(FIRST, nobody))


def test_a_collector_where_no_client_expects_it_is_refused() -> None:
    account = {"otelCollector": {"serviceAccount": {"namespace": "monitoring"}}}
    assert "install it into monitoring" in refusal(FIRST, account)


def test_over_tls_a_server_must_show_the_certificate_of_its_own_cluster() -> None:
    found = render(FIRST, TLS)
    assert set(jobs(found)) == {"cnpg/local-ic1-local1", "cnpg-operator", "otel-collector"}
    job = jobs(found)["cnpg/local-ic1-local1"]
    assert job["scheme"] == "https"
    assert job["tls_config"] == {"ca_file": "/etc/otel-tls/ca.crt", "server_name": "local-ic1-local1-rw"}
    (discovery,) = job["kubernetes_sd_configs"]
    assert discovery["namespaces"]["names"] == ["ic1-local"]
    assert discovery["selectors"] == [{"role": "pod", "label": "cnpg.io/cluster=local-ic1-local1"}]
    assert "insecure_skip_verify" not in json.dumps(config(found))


def test_the_root_comes_from_the_issuer_and_its_key_goes_nowhere() -> None:
    found = render(FIRST, TLS)
    certificate = named(found, "Certificate", "otel-collector")["spec"]
    assert certificate["issuerRef"]["name"] == "pgaas-ca-issuer"
    volumes = named(found, "Deployment", "otel-collector")["spec"]["template"]["spec"]["volumes"]
    (secret,) = [volume["secret"] for volume in volumes if "secret" in volume]
    assert secret == {
        "secretName": certificate["secretName"], "items": [{"key": "ca.crt", "path": "ca.crt"}],
    }  # fmt: skip


def test_the_operator_and_the_collector_itself_say_in_which_datacenter_they_are() -> None:
    found = jobs(render(SECOND))
    assert {"target_label": "dc", "replacement": "local2"} in found["cnpg-operator"]["relabel_configs"]
    (own,) = found["otel-collector"]["static_configs"]
    assert own["labels"]["dc"] == "local2"
    assert own["targets"] == ["127.0.0.1:8888"]


def test_what_pgaas_itself_measures_is_asked_where_it_listens() -> None:
    assert "pgaas" not in jobs(render(FIRST))
    found = jobs(render(FIRST, {"otelCollector": {"extraTargets": ["192.0.2.1:9188"]}}))
    assert found["pgaas"]["static_configs"] == [{"targets": ["192.0.2.1:9188"]}]


def test_a_real_environment_differs_in_the_endpoint_and_the_clusters_only() -> None:
    local, prod = config(render(FIRST, TLS)), config(render(PROD))
    write = prod["exporters"]["prometheus_remote_write"]
    assert write["http"] == {
        "endpoint": "https://metrics.example.com/api/v1/write",
        "headers": {"Authorization": "${env:REMOTE_WRITE_AUTHORIZATION}"},
    }
    (variable,) = [
        each for each in container(render(PROD), "Deployment", "otel-collector")["env"] if "valueFrom" in each
    ]
    assert variable["valueFrom"]["secretKeyRef"] == {"name": "metrics-endpoint", "key": "authorization"}
    write["http"] = local["exporters"]["prometheus_remote_write"]["http"]
    text = yaml.safe_dump(prod).replace("prod-ic1-dc1", "local-ic1-local1").replace("ic1-prod", "ic1-local")
    text = text.replace("namespace: monitoring", "namespace: local-infra")
    assert yaml.safe_load(text.replace("dc1", "local1")) == local


def test_an_endpoint_may_have_an_authority_of_its_own() -> None:
    found = render(PROD, {"otelCollector": {"remoteWrite": {"caConfigMap": "company-ca"}}})
    http = config(found)["exporters"]["prometheus_remote_write"]["http"]
    assert http["tls"] == {"ca_file": "/etc/otel-endpoint/ca.crt"}
    mounts = container(found, "Deployment", "otel-collector")["volumeMounts"]
    assert "/etc/otel-endpoint" in [mount["mountPath"] for mount in mounts]


def test_a_changed_configuration_starts_the_pods_again() -> None:
    def checksum(found: list[Object], kind: str, name: str) -> str:
        return str(named(found, kind, name)["spec"]["template"]["metadata"]["annotations"]["checksum/config"])

    other = {
        "otelCollector": {"scrape": {"interval": "5s"}},
        "prometheus": {"alertmanagers": ["alertmanager.local-infra.svc:9093"]},
    }
    for kind, name in (("Deployment", "otel-collector"), ("StatefulSet", "prometheus")):
        assert checksum(render(FIRST), kind, name) != checksum(render(FIRST, other), kind, name)


def test_prometheus_takes_what_is_written_and_evaluates_every_rule_file() -> None:
    found = render(FIRST)
    assert "--web.enable-remote-write-receiver" in container(found, "StatefulSet", "prometheus")["args"]
    (port,) = named(found, "Service", "prometheus")["spec"]["ports"]
    assert port["nodePort"] == 30090
    rules = named(found, "ConfigMap", "prometheus-rules").get("data") or {}
    assert rules == {path.name: path.read_text() for path in (CHART / "files/alerts").glob("*.yaml")}
    settings = yaml.safe_load(named(found, "ConfigMap", "prometheus")["data"]["prometheus.yml"])
    assert "alerting" not in settings
    found = render(FIRST, {"prometheus": {"alertmanagers": ["a:9093"]}})
    settings = yaml.safe_load(named(found, "ConfigMap", "prometheus")["data"]["prometheus.yml"])
    assert settings["alerting"]["alertmanagers"] == [{"static_configs": [{"targets": ["a:9093"]}]}]


def test_grafana_has_a_folder_for_the_platform_team_and_one_for_each_client() -> None:
    found = render(FIRST, {"clients": ["ic1", "admin"]})
    data = named(found, "ConfigMap", "grafana-provisioning")["data"]
    providers = yaml.safe_load(data["dashboards.yaml"])["providers"]
    assert [each["folder"] for each in providers] == ["PGaaS Admin", "ic1", "admin"]
    (source,) = yaml.safe_load(data["datasources.yaml"])["datasources"]
    assert source["uid"] == "prometheus"
    assert source["jsonData"]["timeInterval"] == "30s"
    mounts = container(found, "Deployment", "grafana")["volumeMounts"]
    paths = [each["options"]["path"] for each in providers]
    assert len(set(paths)) == 3
    assert set(paths) <= {mount["mountPath"] for mount in mounts}


def test_a_clients_dashboard_is_made_for_it() -> None:
    found = render(FIRST, {"clients": ["ic1", "is1"]})
    for ins in ("ic1", "is1"):
        text = named(found, "ConfigMap", f"grafana-dashboards-client-{ins}")["data"][f"{ins}.json"]
        assert json.loads(text)["uid"] == f"pgaas-{ins}"
        assert set(re.findall(r'ins=\\"([^"\\]*)', text)) == {ins}
        assert "__INS__" not in text


def test_grafana_has_a_host_name_only_if_it_was_given_one() -> None:
    assert "Ingress" not in {kind for kind, _ in kinds(render(FIRST))}
    named_so = {"grafana": {"ingress": {"enabled": True, "host": "grafana.local"}}}
    found = named(render(FIRST, named_so), "Ingress", "grafana")
    assert found["spec"]["rules"][0]["host"] == "grafana.local"
    named_so["grafana"]["ingress"]["host"] = ""
    assert "grafana.ingress.host is needed" in refusal(FIRST, named_so)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"grafana": {"adminPassword": ""}}, "grafana.adminPassword is needed"),
        (SECOND | {"grafana": FIRST["grafana"]}, "grafana.enabled needs prometheus.enabled"),
        ({"prometheus": {"enabled": False}, "grafana": {"enabled": False}}, "remoteWrite.endpoint is needed"),
        ({"prometheus": {"nodeport": 30090}}, "nodeport"),
        ({"prometheus": {"nodePort": 9090}}, "nodePort"),
        ({"prometheus": {"retention": "15 days"}}, "retention"),
        ({"otelCollector": {"image": "collector"}}, "image"),
        ({"otelCollector": {"extraTargets": ["http://x:1/metrics"]}}, "extraTargets"),
        ({"otelCollector": {"remoteWrite": {"endpoint": "metrics.example.com"}}}, "endpoint"),
        ({"otelCollector": {"scrape": {"clusters": [{"name": "x"}]}}}, "namespace"),
        ({"clients": ["a b"]}, "clients"),
    ],
)
def test_wrong_values_are_refused(changed: dict[str, Any], message: str) -> None:
    assert message in refusal(FIRST, changed)


def test_every_value_says_what_it_is_for() -> None:
    lines = (CHART / "values.yaml").read_text().splitlines()
    for before, line in pairwise(lines):
        if re.match(r"\s*\w+: \S", line) and not re.match(r"\s*(requests|limits):", line):
            assert before.strip().startswith("# --"), line


def test_every_pod_is_watched_by_three_probes_and_has_limits() -> None:
    found = render(FIRST)
    for kind, name in (
        ("Deployment", "otel-collector"),
        ("StatefulSet", "prometheus"),
        ("Deployment", "grafana"),
    ):
        one = container(found, kind, name)
        assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(one)
        assert one["resources"]["limits"]["memory"]
        assert one["resources"]["requests"]


def test_the_judge_can_say_no() -> None:
    service = named(render(FIRST), "Service", "prometheus")
    service["spec"]["ports"][0]["nodeport"] = 1
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(service, "1.36", strict=True)
