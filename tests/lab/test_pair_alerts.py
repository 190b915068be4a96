"""What is broken is alerted on, by the shipped rules in the lab's Prometheus; mended, it is silent again.

All is broken at the same time, since each alert waits for a time of its own. Where that is short, the test
waits until it is raised, else until it is pending: promtool's tests hold the times.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import psycopg
import pytest
from tests.lab import metrics
from tests.lab.metrics import get, values
from tests.lab.pair import Pair, Side
from tests.lab.support import NAMESPACE, wait_until

pytestmark = pytest.mark.long

SHORT_LIVED = "short-lived"
# Two more than PgaasConnectionsExhausted allows, of 50 without the superuser's 3.
CONNECTIONS = 46
RAISED = (
    "PgaasWalArchivingStalled",
    "PgaasBackupFailing",
    "PgaasDnsWrong",
    "PgaasConnectionsExhausted",
)
PENDING = ("PgaasCertificateExpiring", "PgaasCertificateNearExpiry", "PgaasNotHealthy")
# What else the same faults may bring, as time passes.
ALLOWED = {*RAISED, *PENDING, "PgaasConnectionsNearLimit"}
# The longest of those times, what a scrape and a look take, and the plugin's own attempts at a backup.
PATIENCE = 900.0


def states() -> dict[str, str]:
    """Return each shipped alert's state: inactive, pending or firing."""
    groups = get("rules", type="alert")["groups"]
    return {rule["name"]: rule["state"] for group in groups for rule in group["rules"]}


def active() -> set[str]:
    """Return what is pending or raised; that other tests' clusters are gone is missed for 14 days."""
    found = [each["labels"] for each in get("alerts")["alerts"]]
    return {labels["alertname"] for labels in found if labels.get("ins", "ic1") == "ic1"}


@pytest.fixture(scope="module")
def watched(pair: Pair) -> Iterator[Pair]:
    """Have pgaas's own numbers asked for, and begin when nothing is wrong."""
    with metrics.watched(pair):
        up = 'pgaas_up{ins="ic1"}'
        wait_until("both sides", lambda: values(up, "dc") == {("local1",): 1, ("local2",): 1})
        wait_until("silence", lambda: not active(), timeout=600)
        yield pair


def back_up(side: Side, name: str) -> None:
    """Ask for a base backup."""
    backup = {
        "apiVersion": "postgresql.cnpg.io/v1",
        "kind": "Backup",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "cluster": {"name": side.cluster},
            "method": "plugin",
            "pluginConfiguration": {"name": "barman-cloud.cloudnative-pg.io"},
        },
    }
    side.lab.kubectl("apply", "-f", "-", stdin=json.dumps(backup))


@contextmanager
def storage_away(pair: Pair) -> Iterator[None]:
    """Take S3 away, have WAL to archive, and ask for a base backup."""
    lab, side = pair.sides["local1"].lab, pair.primary()
    scale = ("-n", "local-infra", "scale", "deployment/seaweedfs-s3")
    lab.kubectl(*scale, "--replicas=0")
    try:
        gone = ("-n", "local-infra", "get", "pods", "-l", "app.kubernetes.io/name=seaweedfs", "-o", "name")
        wait_until("S3 to be gone", lambda: not lab.kubectl(*gone).stdout.strip())
        side.sql("create table if not exists stalled (number int); select pg_switch_wal()", "app_db")
        back_up(side, "in-vain")
        yield
    finally:
        lab.kubectl(*scale, "--replicas=1")
        side.lab.kubectl("-n", NAMESPACE, "delete", "backup", "in-vain", "--ignore-not-found")
        ready = ("-n", "local-infra", "rollout", "status", "deployment/seaweedfs-s3", "--timeout=180s")
        lab.kubectl(*ready)


@contextmanager
def wrong_name(pair: Pair) -> Iterator[None]:
    """Point the primary's name to the replica."""
    primary = pair.primary()
    for to, force in ((pair.other(primary), ("--force",)), (primary, ())):
        done = pair.pgaas("update-dns", *pair.CLIENT, "--to", to.dc, *force)
        assert done.returncode == 0, done.stderr
        if force:
            yield


@contextmanager
def crowd(pair: Pair) -> Iterator[None]:
    """Take nearly all connections that clients may have."""
    side, login = pair.primary(), pair.login()
    conninfo = login.conninfo(side.address()).decode()
    with ExitStack() as held:
        taken = int(side.sql("select count(*) from pg_stat_activity where backend_type = 'client backend'"))
        for _ in range(CONNECTIONS - taken):
            held.enter_context(psycopg.connect(conninfo))
        yield


@contextmanager
def ending_certificate(side: Side) -> Iterator[None]:
    """Have a certificate that lives for two hours among the cluster's."""
    name = f"{side.cluster}-{SHORT_LIVED}"
    certificate = {
        "apiVersion": "cert-manager.io/v1",
        "kind": "Certificate",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "secretName": name,
            "commonName": SHORT_LIVED,
            "duration": "2h",
            "renewBefore": "1h",
            "usages": ["client auth"],
            "issuerRef": {"name": f"{side.cluster}-client-ca", "kind": "Issuer"},
        },
    }
    side.lab.kubectl("apply", "-f", "-", stdin=json.dumps(certificate))
    try:
        side.lab.kubectl(
            "-n", NAMESPACE, "wait", "--for=condition=Ready", f"certificate/{name}", "--timeout=60s"
        )
        yield
    finally:
        for kind in ("certificate", "secret"):
            side.lab.kubectl("-n", NAMESPACE, "delete", kind, name, "--ignore-not-found")


@pytest.fixture(scope="module")
def broken(watched: Pair) -> Iterator[ExitStack]:
    """Break it all; whoever closes what this gives mends it."""
    with ExitStack() as faults:
        faults.enter_context(wrong_name(watched))
        faults.enter_context(ending_certificate(watched.sides["local2"]))
        faults.enter_context(crowd(watched))
        faults.enter_context(storage_away(watched))
        yield faults


@pytest.mark.parametrize("name", RAISED)
def test_it_is_raised(broken: ExitStack, name: str) -> None:
    wait_until(f"{name} to be raised", lambda: states()[name] == "firing", timeout=PATIENCE)
    (alert, *_) = [each for each in get("alerts")["alerts"] if each["labels"]["alertname"] == name]
    labels, notes = alert["labels"], alert["annotations"]
    assert (labels["ins"], labels["env"]) == ("ic1", "local")
    assert labels["severity"] in ("page", "ticket")
    assert "<no value>" not in notes["summary"] + notes["description"]
    print(f"{name}: {notes['summary']}: {notes['description']}")


@pytest.mark.parametrize("name", PENDING)
def test_it_is_pending_for_its_own_time(broken: ExitStack, name: str) -> None:
    wait_until(f"{name} to be seen", lambda: states()[name] != "inactive", timeout=PATIENCE)


def test_nothing_else_is_said_to_be_wrong(broken: ExitStack) -> None:
    assert active() <= ALLOWED


def test_a_certificate_has_its_name_in_the_alert(broken: ExitStack, watched: Pair) -> None:
    name = f"{watched.sides['local2'].cluster}-{SHORT_LIVED}"
    wanted = {("PgaasCertificateExpiring", "local2", name)}
    query = 'ALERTS{alertname="PgaasCertificateExpiring"}'
    assert set(values(query, "alertname", "dc", "name")) == wanted


def test_mended_it_is_silent_again(broken: ExitStack, watched: Pair) -> None:
    broken.close()
    side = watched.primary()
    # A failed backup is over with the next one that succeeds.
    back_up(side, "in-earnest")
    wait_until("silence", lambda: not active(), timeout=PATIENCE)
    assert watched.pgaas("status", *watched.CLIENT).returncode == 0
    side.lab.kubectl("-n", NAMESPACE, "delete", "backup", "in-earnest")
