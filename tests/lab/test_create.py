"""Create, look, and create again."""

from __future__ import annotations

import json
import stat
import subprocess

from tests.lab.support import CLUSTER, NAMESPACE, TARGET, Lab, Pgaas, wait_until

KINDS = (
    "clusters.postgresql.cnpg.io,imagecatalogs.postgresql.cnpg.io,databases.postgresql.cnpg.io,"
    "scheduledbackups.postgresql.cnpg.io,objectstores.barmancloud.cnpg.io,"
    "issuers.cert-manager.io,certificates.cert-manager.io,secrets,configmaps,services"
)


def generations(lab: Lab) -> dict[str, object]:
    """Return, for each object of the namespace, what moves when somebody changes what it should be."""
    return {
        f"{item['kind']}/{item['metadata']['name']}": item["metadata"].get("generation")
        or item["metadata"]["resourceVersion"]
        for item in lab.items(KINDS)
    }


def test_create_ends_with_a_healthy_cluster(pgaas: Pgaas, created: subprocess.CompletedProcess[str]) -> None:
    status = pgaas("status", *TARGET, "-o", "json")
    assert status.returncode == 0, status.stderr
    seen = json.loads(status.stdout)
    assert seen["healthy"] is True
    assert "Traceback" not in created.stderr


def test_what_create_promises_is_there(lab: Lab, created: subprocess.CompletedProcess[str]) -> None:
    cluster = lab.get("cluster.postgresql.cnpg.io", CLUSTER)["status"]
    conditions = {condition["type"]: condition["status"] for condition in cluster["conditions"]}
    assert cluster["phase"] == "Cluster in healthy state"
    assert conditions["Ready"] == "True"
    assert conditions["ContinuousArchiving"] == "True"
    assert {"app_user", "report_user", "app_readonly", "pgadmin_readonly"} <= set(
        cluster["managedRolesStatus"]["byStatus"]["reconciled"]
    )
    assert all(item["status"]["applied"] for item in lab.items("databases.postgresql.cnpg.io"))
    backups = lab.items("backups.postgresql.cnpg.io")
    assert "completed" in [item["status"]["phase"] for item in backups]


def test_the_values_file_is_for_its_owner_only(
    pgaas: Pgaas, created: subprocess.CompletedProcess[str]
) -> None:
    # Local values hold the S3 keys.
    values = pgaas.root / "confs/_generated/ic1-local/local1/values.yaml"
    assert stat.S_IMODE(values.stat().st_mode) == 0o600


def test_a_second_create_changes_nothing(
    lab: Lab, pgaas: Pgaas, created: subprocess.CompletedProcess[str]
) -> None:
    before = generations(lab)
    again = pgaas("create", *TARGET)
    assert again.returncode == 0, again.stderr
    assert generations(lab) == before


def test_a_dry_run_shows_a_change_and_makes_none(
    lab: Lab, pgaas: Pgaas, created: subprocess.CompletedProcess[str]
) -> None:
    admin = pgaas.root / "confs/admin/local/postgresql.yaml"
    written = admin.read_text()
    before = generations(lab)
    assert 'max_connections: "50"' in written
    admin.write_text(written.replace('max_connections: "50"', 'max_connections: "51"'))
    try:
        shown = pgaas("create", *TARGET, "--dry-run")
    finally:
        admin.write_text(written)
    assert shown.returncode == 0, shown.stderr
    assert '+      max_connections: "51"' in shown.stdout
    assert generations(lab) == before


def test_status_is_nine_while_an_instance_is_gone_and_wait_sees_it_return(
    lab: Lab, pgaas: Pgaas, created: subprocess.CompletedProcess[str]
) -> None:
    pod = lab.get("cluster.postgresql.cnpg.io", CLUSTER)["status"]["currentPrimary"]
    lab.kubectl("-n", NAMESPACE, "delete", "pod", pod, "--wait=false")
    wait_until("status to notice", lambda: pgaas("status", *TARGET, "-o", "json").returncode == 9, timeout=60)
    waited = pgaas("wait", *TARGET, "--timeout", "5m")
    assert waited.returncode == 0, waited.stderr
    assert pgaas("status", *TARGET).returncode == 0


def test_delete_refuses_without_the_name(
    lab: Lab, pgaas: Pgaas, created: subprocess.CompletedProcess[str]
) -> None:
    silent = pgaas("delete", *TARGET)
    assert silent.returncode == 2
    assert "--confirm" in silent.stderr
    wrong = pgaas("delete", *TARGET, "--confirm", "local-ic1-local2")
    assert wrong.returncode in (2, 8)
    assert lab.get("cluster.postgresql.cnpg.io", CLUSTER)["metadata"].get("deletionTimestamp") is None
