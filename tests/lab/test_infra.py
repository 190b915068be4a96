"""The local infrastructure on the lab: installed twice, tried, broken, and not removed under a client."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from tests.lab.support import CONTEXTS, Lab, Pgaas, storage, wait_until

SPACE = "local-infra"
DIRECTORY = "openldap-openldap"
KEY = "ic1-local-local1-backup/kept-over-a-restart"
UNTOUCHED = {"cnpg.io/reconciliationLoop": "disabled"}


@pytest.fixture(scope="module")
def infra(pgaas: Pgaas) -> Pgaas:
    """Run pgaas with the configuration that is installed, both clients in it.

    S3 and LDAP know whom clients.yaml names: installed from another, they refuse is1 in later tests.
    """
    return pgaas


def tried(infra: Pgaas) -> tuple[int, list[dict[str, Any]]]:
    done = infra("infra", "test", "--timeout", "60s", "-o", "json")
    return done.returncode, json.loads(done.stdout)


def revisions(lab: Lab) -> list[tuple[str, str, str]]:
    found = []
    for context in CONTEXTS:
        there = replace(lab, context=context)
        for namespace in ("cert-manager", "cnpg-system", SPACE):
            secrets = there.items("secret", namespace, "-l", "owner=helm")
            found += [(context, each["metadata"]["name"], each["metadata"]["uid"]) for each in secrets]
    return found


def test_a_second_install_changes_nothing(lab: Lab, infra: Pgaas) -> None:
    confs = (infra.root / "confs/admin/local/datacenters.yaml").read_bytes()
    before = revisions(lab)
    assert len(before) >= 11
    done = infra("infra", "install", "-o", "json")
    assert done.returncode == 0, done.stderr
    results = {step["name"]: step["detail"] for step in json.loads(done.stdout)["steps"]}
    releases = (
        "cert-manager",
        "CloudNativePG",
        "Barman Cloud plugin",
        "SeaweedFS",
        "OpenLDAP",
        "observability",
    )
    assert {results[name] for name in releases} == {"unchanged"}
    assert revisions(lab) == before
    assert (infra.root / "confs/admin/local/datacenters.yaml").read_bytes() == confs


def test_all_of_it_works_in_both_datacenters(infra: Pgaas) -> None:
    code, rows = tried(infra)
    assert [row for row in rows if not row["ok"]] == []
    assert code == 0
    for dc in ("local1", "local2"):
        kinds = {row["what"].partition(":")[0] for row in rows if row["datacenter"] == dc}
        assert kinds == {"S3", "LDAP", "certificate", "metrics"}
    assert infra("infra", "status").returncode == 0
    # Nothing of what was tried is left.
    assert "pgaas-infra-test" not in [each["Name"] for each in storage().list_buckets()["Buckets"]]
    assert not infra.lab.items("certificate", SPACE, "--field-selector", "metadata.name=pgaas-infra-test")


@pytest.fixture
def no_directory(lab: Lab) -> Iterator[Lab]:
    """Stop slapd in the second datacenter."""
    there = replace(lab, context="cluster2")
    there.kubectl("-n", SPACE, "scale", "deployment", DIRECTORY, "--replicas", "0")
    pods = ("-l", "app.kubernetes.io/name=openldap")
    wait_until("slapd is gone", lambda: not there.items("pod", SPACE, *pods))
    yield there
    there.kubectl("-n", SPACE, "scale", "deployment", DIRECTORY, "--replicas", "1")
    there.kubectl("-n", SPACE, "rollout", "status", "deployment", DIRECTORY, "--timeout", "120s")


def test_a_directory_that_is_gone_is_red_there_and_nowhere_else(infra: Pgaas, no_directory: Lab) -> None:
    code, rows = tried(infra)
    assert code == 9
    bad = {(row["datacenter"], row["what"].partition(":")[0]) for row in rows if not row["ok"]}
    assert bad == {("local2", "LDAP")}
    why = next(row["why"] for row in rows if not row["ok"])
    assert why == f"no pod behind {SPACE}/{DIRECTORY} is ready"


def test_objects_outlive_the_pod_that_serves_them(lab: Lab, infra: Pgaas) -> None:
    content = os.urandom(300_000)
    client = storage()
    client.put_object(Bucket="ic1-backups", Key=KEY, Body=content)
    try:
        selector = ("-l", "app.kubernetes.io/name=seaweedfs")
        (before,) = lab.items("pod", SPACE, *selector)
        lab.kubectl("-n", SPACE, "delete", "pod", before["metadata"]["name"], "--wait", "--grace-period", "1")
        workload = before["metadata"]["ownerReferences"][0]["kind"]
        target = "statefulset/seaweedfs-s3" if workload == "StatefulSet" else "deployment/seaweedfs-s3"
        lab.kubectl("-n", SPACE, "rollout", "status", target, "--timeout", "120s")
        (after,) = lab.items("pod", SPACE, *selector)
        assert after["metadata"]["uid"] != before["metadata"]["uid"]

        def answered() -> bytes | None:
            # It answers before it has found its volumes again.
            try:
                read: bytes = client.get_object(Bucket="ic1-backups", Key=KEY)["Body"].read()
            except ClientError:
                return None
            return read

        wait_until("the object", lambda: answered() is not None)
        assert answered() == content
    finally:
        client.delete_object(Bucket="ic1-backups", Key=KEY)


def test_it_is_not_removed_under_a_client(lab: Lab, infra: Pgaas) -> None:
    cluster = {
        "apiVersion": "postgresql.cnpg.io/v1",
        "kind": "Cluster",
        "metadata": {"name": "try-infra", "namespace": "try-infra", "annotations": UNTOUCHED},
        "spec": {"instances": 1, "storage": {"size": "1Gi"}},
    }
    lab.kubectl("create", "namespace", "try-infra")
    try:
        lab.kubectl("apply", "-f", "-", stdin=json.dumps(cluster))
        refused = infra("infra", "delete", "--confirm", "local")
        assert refused.returncode == 8
        assert "local1: try-infra/try-infra" in refused.stderr
    finally:
        lab.kubectl("delete", "namespace", "try-infra", "--wait")
    assert infra("infra", "status").returncode == 0


def test_without_the_name_nothing_is_removed(infra: Pgaas) -> None:
    for extra in ((), ("--confirm", "locla")):
        refused: subprocess.CompletedProcess[str] = infra("infra", "delete", "--dc", "local2", *extra)
        assert refused.returncode in (2, 8)
    assert infra("infra", "status").returncode == 0
