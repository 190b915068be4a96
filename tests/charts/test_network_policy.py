"""Who may reach the instances, judged by cyclonus: nothing in the lab enforces the policies."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.charts.support import render_client

from pgaas_lab.tools import ensure

CLUSTER, NAMESPACE = "prod-ic1-dc1", "ic1-prod"
INSTANCE = {"cnpg.io/cluster": CLUSTER, "cnpg.io/podRole": "instance"}


def pod(namespace: str, labels: dict[str, str] | None = None) -> dict[str, Any]:
    """Describe a pod; a namespace carries the name label that Kubernetes gives each."""
    return {
        "Internal": {
            "PodLabels": labels or {},
            "NamespaceLabels": {"kubernetes.io/metadata.name": namespace},
            "Namespace": namespace,
        },
        "IP": "10.241.0.9",
    }


def outside(address: str) -> dict[str, Any]:
    """Describe a peer that is no pod."""
    return {"Internal": None, "IP": address}


OPERATOR = pod("cnpg-system", {"app.kubernetes.io/name": "cloudnative-pg"})
PEER = pod(NAMESPACE, INSTANCE)
JOB = pod(NAMESPACE, {"cnpg.io/cluster": CLUSTER, "cnpg.io/jobRole": "join"})
APPLICATION = pod(NAMESPACE, {"app": "shop"})
PGADMIN = pod(
    NAMESPACE,
    {"app.kubernetes.io/name": "pgadmin4", "app.kubernetes.io/instance": f"{CLUSTER}-pgadmin"},
)
OUTSIDE, DNS = outside("203.0.113.9"), pod("kube-system", {"k8s-app": "kube-dns"})
MONITORING = pod("monitoring", {"app": "otel-collector"})
STRANGER = pod("is1-prod", {"app": "shop"})
OTHER_CLUSTER = pod("is1-prod", {"cnpg.io/cluster": "prod-is1-dc1", "cnpg.io/podRole": "instance"})
OFFICE, INTERNET = outside("10.1.2.3"), outside("203.0.113.7")

# peer, then the answer on 5432 (PostgreSQL), 8000 (the instance manager), 9187 (metrics) and 22.
TABLE = [
    ("operator", OPERATOR, (True, True, False, False)),
    ("another instance", PEER, (True, True, False, False)),
    ("a joining instance", JOB, (True, True, False, False)),
    ("an application in the namespace", APPLICATION, (True, False, False, False)),
    ("monitoring", MONITORING, (False, False, True, False)),
    ("another client's application", STRANGER, (False, False, False, False)),
    ("another client's instance", OTHER_CLUSTER, (False, False, False, False)),
    ("pgAdmin", PGADMIN, (True, False, False, False)),
    ("an address of the office", OFFICE, (True, False, False, False)),
    ("an address of the Internet", INTERNET, (False, False, False, False)),
]
PORTS = (5432, 8000, 9187, 22)


@pytest.fixture(scope="module")
def policies() -> list[dict[str, Any]]:
    """Render ic1's policies for production: its clients.yaml opens 10.0.0.0/8 and names monitoring."""
    rendered = [item for item in render_client("ic1", "prod", "dc1") if item["kind"] == "NetworkPolicy"]
    for item in rendered:
        item["metadata"].setdefault("namespace", NAMESPACE)
    return rendered


def judge(folder: Path, policies: list[dict[str, Any]], traffic: list[dict[str, Any]]) -> list[bool]:
    """Return cyclonus's answer for each traffic, in order."""
    # A file for each: of several in one, cyclonus reads none.
    policy_folder, traffic_file = folder / "policies", folder / "traffic.json"
    policy_folder.mkdir()
    for policy in policies:
        (policy_folder / f"{policy['metadata']['name']}.yaml").write_text(yaml.safe_dump(policy))
    traffic_file.write_text(json.dumps(traffic))
    command = [
        str(ensure("cyclonus")), "analyze", "--mode", "query-traffic",
        "--policy-path", str(policy_folder), "--traffic-path", str(traffic_file),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    answers = [word == "TRUE" for word in re.findall(r"IS ALLOWED\? \|\s+(TRUE|FALSE)", done.stdout)]
    assert len(answers) == len(traffic)
    return answers


# From, to, over which protocol and port, with which name, and the answer.
PGADMINS = [
    (APPLICATION, PGADMIN, "TCP", 8443, "https", True),
    (APPLICATION, PGADMIN, "TCP", 8080, "", False),
    (OFFICE, PGADMIN, "TCP", 8443, "https", True),
    (MONITORING, PGADMIN, "TCP", 8443, "https", False),
    (STRANGER, PGADMIN, "TCP", 8443, "https", False),
    (INTERNET, PGADMIN, "TCP", 8443, "https", False),
    (PGADMIN, DNS, "UDP", 53, "", True),
    (PGADMIN, DNS, "TCP", 53, "", True),
    (PGADMIN, OUTSIDE, "TCP", 636, "", True),
    (PGADMIN, OUTSIDE, "TCP", 389, "", False),
    (PGADMIN, OUTSIDE, "TCP", 443, "", False),
    (PGADMIN, OUTSIDE, "TCP", 5432, "", True),
    (PGADMIN, APPLICATION, "TCP", 80, "", False),
    (PGADMIN, PEER, "TCP", 5432, "", True),
    (PGADMIN, PEER, "TCP", 8000, "", False),
]


def test_pgadmin_is_reached_as_postgresql_is_and_reaches_names_people_and_postgresql_alone(
    tmp_path: Path, policies: list[dict[str, Any]]
) -> None:
    asked = [
        {
            "Source": source,
            "Destination": destination,
            "Protocol": protocol,
            "ResolvedPort": port,
            "ResolvedPortName": name,
        }
        for source, destination, protocol, port, name, _ in PGADMINS
    ]
    answers = judge(tmp_path, policies, asked)
    assert answers == [row[-1] for row in PGADMINS]


def traffic_to_an_instance(source: dict[str, Any], port: int) -> dict[str, Any]:
    """Describe one connection to an instance."""
    return {
        "Source": source,
        "Destination": PEER,
        "Protocol": "TCP",
        "ResolvedPort": port,
        "ResolvedPortName": "",
    }


def test_the_instances_are_reached_by_whom_the_table_says(
    tmp_path: Path, policies: list[dict[str, Any]]
) -> None:
    asked = [traffic_to_an_instance(peer, port) for _, peer, _ in TABLE for port in PORTS]
    answers = judge(tmp_path, policies, asked)
    expected = [answer for _, _, row in TABLE for answer in row]
    named = [(name, port) for name, _, _ in TABLE for port in PORTS]
    wrong = [
        f"{name} on {port}: {'let in' if answer else 'refused'}"
        for (name, port), answer, wanted in zip(named, answers, expected, strict=True)
        if answer != wanted
    ]
    assert wrong == []


def test_without_the_policy_anybody_is_let_in(tmp_path: Path) -> None:
    # The judge itself can say yes: an empty list of policies allows everything.
    none_that_matches = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "elsewhere", "namespace": "elsewhere"},
        "spec": {"podSelector": {}, "policyTypes": ["Ingress"]},
    }
    assert judge(tmp_path, [none_that_matches], [traffic_to_an_instance(STRANGER, 5432)]) == [True]
