"""The charts of the local infrastructure, rendered by the real helm with the values generated for them."""

from __future__ import annotations

import re
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
from tests.charts import crds
from tests.charts.local_infra import CHARTS, NAMESPACE, Object, containers, pods, rendered, template
from tests.charts.support import REPOSITORY


@pytest.fixture(params=CHARTS)
def objects(request: pytest.FixtureRequest) -> list[Object]:
    return rendered(request.param)


def test_no_container_is_root_or_can_become_it_or_writes_its_own_image(objects):
    assert pods(objects)
    for pod in pods(objects):
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] > 0
        for container in containers(pod):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }


def test_no_pod_gets_a_token_that_it_does_not_use(objects):
    for pod in pods(objects):
        assert pod["automountServiceAccountToken"] is ("serviceAccountName" in pod)


def test_every_container_says_what_it_needs_and_may_take(objects):
    for pod in pods(objects):
        for container in containers(pod):
            resources = container["resources"]
            assert resources["requests"].keys() >= {"cpu", "memory"}
            assert resources["limits"].keys() >= {"memory"}


def test_kubelet_knows_of_every_container_whether_it_lives_and_serves(objects):
    for pod in pods(objects):
        for container in pod["containers"]:
            assert container.keys() >= {"readinessProbe", "livenessProbe"}


def test_kubernetes_own_objects_pass_its_schema(objects):
    # cert-manager's kinds have schemas of their own.
    for each in objects:
        if "cert-manager" not in each["apiVersion"]:
            kubernetes_validate.validate(each, "1.36", strict=True)


@pytest.mark.parametrize("source", [crds.CURRENT, (crds.OLD_CERT_MANAGER,)], ids=["current", "the lab's"])
def test_certificates_pass_their_definitions(objects, source):
    schemas = crds.strict_schemas(*source)
    for each in objects:
        if "cert-manager" in each["apiVersion"]:
            placed = {**each, "metadata": {**each["metadata"], "namespace": NAMESPACE}}
            schema = schemas[each["apiVersion"], each["kind"]]
            assert not [*jsonschema.Draft202012Validator(schema).iter_errors(placed)]


def test_every_object_says_of_whom_it_is(objects):
    for each in objects:
        labels = each["metadata"]["labels"]
        assert labels["app.kubernetes.io/part-of"] == "pgaas"
        assert labels["app.kubernetes.io/managed-by"] == "Helm"


@pytest.mark.parametrize("chart", CHARTS)
def test_a_value_that_the_chart_does_not_know_is_refused(chart: str):
    done = template(chart, surprise=1)
    assert done.returncode != 0
    assert "surprise" in done.stderr


@pytest.mark.parametrize("chart", CHARTS)
def test_a_template_makes_one_kind_and_the_chart_says_what_it_did(chart: str):
    folder = REPOSITORY / "local-infra" / chart / "templates"
    assert (folder / "NOTES.txt").exists()
    for path in folder.glob("*.yaml"):
        assert len(set(re.findall(r"^kind: (\w+)", path.read_text(), re.MULTILINE))) == 1, path.name


def test_no_image_floats(objects):
    for pod in pods(objects):
        for container in containers(pod):
            assert re.fullmatch(r"[a-z0-9.-]+/[a-z0-9/-]+:v?\d+(\.\d+)+", container["image"])


def test_every_volume_is_there_and_every_object_it_names_too(objects):
    names = {(each["kind"], each["metadata"]["name"]) for each in objects}
    # cert-manager makes these.
    names |= {("Secret", each["spec"]["secretName"]) for each in objects if each["kind"] == "Certificate"}
    claims = {
        claim["metadata"]["name"]
        for each in objects
        for claim in each.get("spec", {}).get("volumeClaimTemplates", [])
    }
    for pod in pods(objects):
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        for container in containers(pod):
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
        ports = {
            port["name"] for container in chosen["spec"]["containers"] for port in container.get("ports", [])
        }
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports


@pytest.mark.parametrize("chart", ["seaweedfs", "openldap"])
def test_a_release_in_another_namespace_than_configured_is_refused(chart: str):
    done = template(chart, namespace="elsewhere")
    assert done.returncode != 0
    assert "service.namespace is local-infra, but the release goes to elsewhere" in done.stderr


REQUIRED = [
    ("seaweedfs", {"s3": {"accessKey": "admin", "secretKey": "", "port": 8333}}, "at '/s3/secretKey'"),
    ("openldap", {"adminPassword": ""}, "at '/adminPassword'"),
    ("openldap", {"configPassword": ""}, "at '/configPassword'"),
    ("observability", {"grafana": {"adminPassword": ""}}, "grafana.adminPassword is needed"),
]


@pytest.mark.parametrize(("chart", "changed", "message"), REQUIRED)
def test_a_missing_secret_is_an_error(chart: str, changed: dict[str, Any], message: str):
    done = template(chart, **changed)
    assert done.returncode != 0
    assert message in done.stderr
