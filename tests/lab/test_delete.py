"""Delete, create again, and archive again: the life after the first is a new generation of the archive."""

from __future__ import annotations

import subprocess

from tests.lab.support import CLUSTER, NAMESPACE, TARGET, Lab, Pgaas


def test_delete_leaves_nothing_but_the_archive_and_a_create_after_it_works(
    lab: Lab, pgaas: Pgaas, created: subprocess.CompletedProcess[str]
) -> None:
    gone = pgaas("delete", *TARGET, "--confirm", CLUSTER)
    assert gone.returncode == 0, gone.stderr
    assert "ic1-backups" in gone.stdout + gone.stderr

    assert lab.kubectl("get", "namespace", NAMESPACE, check=False).returncode != 0
    volumes = lab.kubectl("get", "persistentvolumes", "-o", "jsonpath={.items[*].spec.claimRef.namespace}")
    assert NAMESPACE not in volumes.stdout.split()

    clients = (pgaas.root / "confs/admin/local/clients.yaml").read_text()
    assert f"{CLUSTER}: 2" in clients

    again = pgaas("create", *TARGET)
    assert again.returncode == 0, again.stderr
    cluster = lab.get("cluster.postgresql.cnpg.io", CLUSTER)
    [archiver] = [plugin for plugin in cluster["spec"]["plugins"] if plugin.get("isWALArchiver")]
    assert archiver["parameters"]["serverName"] == f"{CLUSTER}-g2"
    conditions = {condition["type"]: condition["status"] for condition in cluster["status"]["conditions"]}
    assert conditions["ContinuousArchiving"] == "True"
    assert "completed" in [item["status"]["phase"] for item in lab.items("backups.postgresql.cnpg.io")]


def test_an_archive_that_is_not_empty_is_refused_before_anything_is_deployed(
    lab: Lab, pgaas: Pgaas, created: subprocess.CompletedProcess[str]
) -> None:
    gone = pgaas("delete", *TARGET, "--confirm", CLUSTER, "--skip-final-backup")
    assert gone.returncode == 0, gone.stderr
    clients = pgaas.root / "confs/admin/local/clients.yaml"
    written = clients.read_text()
    assert f"{CLUSTER}: 3" in written
    # As if the raised generation had never been committed.
    clients.write_text(written.replace(f"{CLUSTER}: 3", f"{CLUSTER}: 2"))
    refused = pgaas("create", *TARGET)
    assert refused.returncode == 8
    assert "--next-generation" in refused.stderr
    assert lab.kubectl("get", "namespace", NAMESPACE, check=False).returncode != 0

    raised = pgaas("create", *TARGET, "--next-generation")
    assert raised.returncode == 0, raised.stderr
    assert f"{CLUSTER}: 3" in clients.read_text()
