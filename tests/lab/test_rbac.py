"""What each group may do, asked of and tried on a real API server with the rendered Role and bindings."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest
import yaml
from tests.lab.support import Lab, Pgaas, wait_until

ENVIRONMENTS = {"dev1": "dc1", "perf": "dc1", "pprod": "dc1", "prod": "dc1"}
CLIENT, STRANGER, ADMIN = "pgaas-ic1", "pgaas-is1", "pgaas-admins"

# verb, resource, and which of the three may: in hp and perf, then in pprod and prod, where only admins may.
RULES = [
    ("get", "clusters.postgresql.cnpg.io", {CLIENT, ADMIN}),
    ("watch", "clusters.postgresql.cnpg.io", {CLIENT, ADMIN}),
    ("patch", "clusters.postgresql.cnpg.io", {ADMIN}),
    ("create", "clusters.postgresql.cnpg.io", {ADMIN}),
    ("delete", "clusters.postgresql.cnpg.io", {ADMIN}),
    ("update", "clusters.postgresql.cnpg.io/status", set()),
    ("list", "backups.postgresql.cnpg.io", {CLIENT, ADMIN}),
    ("create", "backups.postgresql.cnpg.io", {CLIENT, ADMIN}),
    ("delete", "backups.postgresql.cnpg.io", {ADMIN}),
    ("list", "databases.postgresql.cnpg.io", {CLIENT, ADMIN}),
    ("create", "databases.postgresql.cnpg.io", {ADMIN}),
    ("patch", "imagecatalogs.postgresql.cnpg.io", {ADMIN}),
    ("patch", "scheduledbackups.postgresql.cnpg.io", {ADMIN}),
    ("get", "objectstores.barmancloud.cnpg.io", {CLIENT, ADMIN}),
    ("patch", "objectstores.barmancloud.cnpg.io", {ADMIN}),
    ("list", "pods", {CLIENT, ADMIN}),
    ("list", "events", {CLIENT, ADMIN}),
    ("create", "pods", set()),
    ("create", "pods/exec", {ADMIN}),
    ("get", "pods/exec", {ADMIN}),
    ("patch", "databases.postgresql.cnpg.io/status", {ADMIN}),
    ("patch", "pods", set()),
    ("create", "serviceaccounts/token", set()),
    ("create", "rolebindings.rbac.authorization.k8s.io", {ADMIN}),
    ("create", "certificates.cert-manager.io", {ADMIN}),
    ("create", "certificaterequests.cert-manager.io", set()),
    ("create", "issuers.cert-manager.io", {ADMIN}),
]
NEVER_FOR_CLIENTS = [("get", "secrets"), ("list", "secrets"), ("create", "secrets"), ("update", "secrets")]


@pytest.fixture(scope="module")
def namespaces(lab: Lab, pgaas: Pgaas) -> Iterator[dict[str, str]]:
    """Apply each environment's Role and bindings to a namespace of its own, as the chart renders them."""
    made = {}
    for environment, datacenter in ENVIRONMENTS.items():
        rendered = pgaas("template", "--ins", "ic1", "--env", environment, "--dc", datacenter)
        assert rendered.returncode == 0, rendered.stderr
        roles = [
            document
            for document in yaml.safe_load_all(rendered.stdout)
            if document and document["kind"] in ("Role", "RoleBinding")
        ]
        assert roles
        name = f"ic1-{environment}"
        space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        lab.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(space))
        lab.kubectl("-n", name, "apply", "-f", "-", stdin=yaml.safe_dump_all(roles))
        made[environment] = name
    yield made
    lab.kubectl("delete", "namespace", "--wait=false", *made.values())


def may(lab: Lab, group: str, verb: str, resource: str, namespace: str) -> bool:
    """Ask the API server."""
    kind, _, subresource = resource.partition("/")
    asked = ["auth", "can-i", verb, kind, "-n", namespace, "--as", "somebody", "--as-group", group]
    if subresource:
        asked.append(f"--subresource={subresource}")
    return lab.kubectl(*asked, check=False).stdout.strip() == "yes"


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_groups_may_what_the_table_says_and_no_more(
    lab: Lab, namespaces: dict[str, str], environment: str
) -> None:
    allowed = {CLIENT, ADMIN} if environment in ("dev1", "perf") else {ADMIN}
    wrong = []
    for verb, resource, groups in RULES:
        for group in (CLIENT, STRANGER, ADMIN):
            expected = group in groups and group in allowed
            if may(lab, group, verb, resource, namespaces[environment]) != expected:
                wrong.append(f"{group} {verb} {resource}: expected {'yes' if expected else 'no'}")
    for verb, resource in NEVER_FOR_CLIENTS:
        for group in (CLIENT, STRANGER):
            if may(lab, group, verb, resource, namespaces[environment]):
                wrong.append(f"{group} {verb} {resource}: expected no")
    assert wrong == []


def test_nobody_reaches_another_namespace(lab: Lab, namespaces: dict[str, str]) -> None:
    for group in (CLIENT, ADMIN):
        assert not may(lab, group, "get", "clusters.postgresql.cnpg.io", "cnpg-system")
        assert not may(lab, group, "get", "secrets", "cnpg-system")


def as_group(
    lab: Lab, group: str, *arguments: str, stdin: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Make a real request as a member of a group."""
    return lab.kubectl(*arguments, "--as", "somebody", "--as-group", group, stdin=stdin, check=False)


def test_real_requests_of_a_client(lab: Lab, namespaces: dict[str, str]) -> None:
    space = namespaces["dev1"]
    backup = yaml.safe_dump(
        {
            "apiVersion": "postgresql.cnpg.io/v1",
            "kind": "Backup",
            "metadata": {"name": "by-hand", "namespace": space},
            "spec": {
                "cluster": {"name": "dev1-ic1-dc1"},
                "method": "plugin",
                "pluginConfiguration": {"name": "barman-cloud.cloudnative-pg.io"},
            },
        }
    )
    assert as_group(lab, CLIENT, "-n", space, "get", "clusters.postgresql.cnpg.io").returncode == 0
    assert as_group(lab, CLIENT, "create", "-f", "-", stdin=backup).returncode == 0
    wait_until("the Backup", lambda: lab.items("backups.postgresql.cnpg.io", space))

    stranger = as_group(lab, STRANGER, "-n", space, "get", "clusters.postgresql.cnpg.io")
    assert "Forbidden" in stranger.stderr
    for refused in (
        ("-n", space, "get", "secrets"),
        ("-n", space, "delete", "backups.postgresql.cnpg.io", "by-hand"),
        ("-n", space, "create", "serviceaccount", "mine"),
        ("-n", space, "create", "rolebinding", "mine", "--clusterrole=cluster-admin", "--user=somebody"),
    ):
        assert "forbidden" in as_group(lab, CLIENT, *refused).stderr.lower(), refused

    prod = as_group(lab, CLIENT, "-n", namespaces["prod"], "get", "clusters.postgresql.cnpg.io")
    assert "Forbidden" in prod.stderr


def test_an_admin_cannot_bind_more_than_the_admins_own_role(lab: Lab, namespaces: dict[str, str]) -> None:
    space = namespaces["prod"]
    command = ("-n", space, "create", "rolebinding", "more", "--clusterrole=cluster-admin", "--user=somebody")
    assert "forbidden" in as_group(lab, ADMIN, *command).stderr
