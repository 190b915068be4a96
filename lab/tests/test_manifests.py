import base64

import pytest

from pgaas_lab import manifests, paths, stack

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: operator, namespace: cnpg-system}
spec:
  replicas: 3
  template:
    spec:
      initContainers: [{name: i, image: example.com/init, imagePullPolicy: Always}]
      containers:
      - name: m
        image: ghcr.io/x/testing:main
        imagePullPolicy: Always
        args: [controller, --leader-elect, --port=1]
        resources: {limits: {cpu: 100m, memory: 200Mi}, requests: {cpu: 100m}}
---
---
apiVersion: v1
kind: Secret
metadata: {name: s, namespace: cnpg-system}
data: {SIDECAR_IMAGE: b2xk, OTHER: b2xk}
---
apiVersion: v1
kind: Service
metadata: {name: kube-dns, namespace: kube-system}
spec: {}
"""


@pytest.fixture
def documents():
    return manifests.parse(DEPLOYMENT)


def main_container(documents):
    return list(manifests.containers(documents[0]))[-1]


def test_empty_documents_are_left_out(documents):
    assert [document["kind"] for document in documents] == ["Deployment", "Secret", "Service"]


def test_nothing_is_pulled(documents):
    changed = manifests.without_pulling(documents)
    assert {each["imagePullPolicy"] for each in manifests.containers(changed[0])} == {"IfNotPresent"}
    assert main_container(documents)["imagePullPolicy"] == "Always", "the original must stay as it was"


def test_images_are_replaced_by_repository(documents):
    changed = manifests.with_images(documents, {"ghcr.io/x/testing": "ghcr.io/x/real:v1"})
    assert [each["image"] for each in manifests.containers(changed[0])] == [
        "example.com/init",
        "ghcr.io/x/real:v1",
    ]


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("ghcr.io/x/y:1", "ghcr.io/x/y"),
        ("ghcr.io/x/y", "ghcr.io/x/y"),
        ("localhost:5000/y", "localhost:5000/y"),
        ("localhost:5000/y:1@sha256:0", "localhost:5000/y"),
    ],
)
def test_the_repository_of_an_image(image, expected):
    assert manifests.repository(image) == expected


def test_processor_limits_go_and_the_rest_stays(documents):
    resources = main_container(manifests.without_processor_limits(documents))["resources"]
    assert resources == {"limits": {"memory": "200Mi"}, "requests": {"cpu": "100m"}}


def test_without_an_election_there_is_one_replica_at_a_time(documents):
    changed = manifests.without_election(documents)
    assert main_container(changed)["args"] == ["controller", "--port=1"]
    assert changed[0]["spec"]["replicas"] == 1
    assert changed[0]["spec"]["strategy"] == {"type": "Recreate"}


def test_a_secret_s_value_is_replaced(documents):
    changed = manifests.with_secret_value(documents, "SIDECAR_IMAGE", "ghcr.io/x/sidecar:v1")
    assert base64.b64decode(changed[1]["data"]["SIDECAR_IMAGE"]) == b"ghcr.io/x/sidecar:v1"
    assert changed[1]["data"]["OTHER"] == "b2xk"


def test_a_service_gets_its_cluster_address(documents):
    changed = manifests.with_cluster_address(documents, "kube-dns", "10.91.0.10")
    assert changed[2]["spec"]["clusterIP"] == "10.91.0.10"


@pytest.mark.parametrize("file", sorted(paths.DATA.glob("*.yaml")), ids=lambda file: file.name)
def test_the_lab_s_own_manifests_pull_nothing(file):
    documents = manifests.parse(file.read_text())
    assert manifests.without_pulling(documents) == documents


@pytest.mark.parametrize(
    ("status", "trouble"),
    [
        ({"observedGeneration": 2, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1}, ""),
        (
            {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1},
            "not seen yet",
        ),
        ({"observedGeneration": 2, "replicas": 1, "updatedReplicas": 1}, "0 of 1 available"),
        (
            {"observedGeneration": 2, "replicas": 2, "updatedReplicas": 1, "availableReplicas": 1},
            "an old pod is still there",
        ),
    ],
)
def test_when_a_deployment_is_available(status, trouble):
    deployment = {"metadata": {"generation": 2}, "spec": {"replicas": 1}, "status": status}
    assert stack.deployment_trouble(deployment) == trouble


def test_a_missing_deployment_is_trouble():
    assert stack.deployment_trouble(None) == "missing"


@pytest.mark.parametrize(
    ("ready", "trouble"), [("True", ""), ("False", "0 of 1 ready"), (None, "0 of 1 ready")]
)
def test_a_deployment_is_only_as_available_as_its_pods(ready, trouble):
    pods = [{"status": {"conditions": [{"type": "Ready", "status": ready}]}}] if ready else [{"status": {}}]
    assert stack.pods_trouble({"spec": {"replicas": 1}}, pods) == trouble
