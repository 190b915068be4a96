"""Things that go wrong around a create: what it says, how it ends, and that running it again mends it."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from tests.lab.support import Lab, Pgaas, wait_until

TARGET = ("--ins", "is1", "--env", "local", "--dc", "local1")
CLUSTER, NAMESPACE = "local-is1-local1", "is1-local"
CLUSTERS = "clusters.postgresql.cnpg.io"


@pytest.fixture(autouse=True)
def _clean(lab: Lab, pgaas: Pgaas) -> Iterator[None]:
    """Find and leave no cluster of the stranger's; its archive may stay, as after any loss."""
    lab.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait")
    yield
    lab.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait")
    next_generation(pgaas.root)


def next_generation(root: Path) -> None:
    """Give the next test an archive of its own, as deleting by pgaas would."""
    clients = root / "confs/admin/local/clients.yaml"
    text = clients.read_text()
    raised = re.sub(
        rf"{CLUSTER}: (\d+)", lambda found: f"{CLUSTER}: {int(found.group(1)) + 1}", text, count=1
    )
    if raised == text:
        raised = text.rstrip("\n") + f"\n    archiveGenerations:\n      {CLUSTER}: 2\n"
    clients.write_text(raised)


def descendants(pid: int) -> list[int]:
    """Return the processes below one, from /proc."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    direct = [int(child) for child in children.read_text().split()] if children.exists() else []
    return [found for child in direct for found in (child, *descendants(child))]


def release_states(lab: Lab) -> list[str]:
    """Return the states of Helm's records in the stranger's namespace."""
    records = lab.items("secrets", NAMESPACE, "-l", "owner=helm")
    return [record["metadata"]["labels"]["status"] for record in records]


def cluster_exists(lab: Lab) -> bool:
    """Say whether the Cluster is there."""
    return lab.kubectl("-n", NAMESPACE, "get", CLUSTERS, CLUSTER, check=False).returncode == 0


@pytest.mark.parametrize("victims", ["pgaas alone", "pgaas and what it started"])
def test_a_killed_create_is_mended_by_the_next(lab: Lab, pgaas: Pgaas, victims: str) -> None:
    process = pgaas.start("create", *TARGET)
    wait_until("Helm's record", lambda: release_states(lab), timeout=60)
    doomed = [process.pid] if victims == "pgaas alone" else [process.pid, *descendants(process.pid)]
    for pid in doomed:
        os.kill(pid, signal.SIGKILL)
    process.wait(timeout=30)

    again = pgaas("create", *TARGET)
    assert again.returncode == 0, again.stderr
    assert release_states(lab).count("deployed") == 1
    assert pgaas("status", *TARGET).returncode == 0


def test_an_interrupted_create_says_what_to_run_next_and_leaves_no_record_pending(
    lab: Lab, pgaas: Pgaas
) -> None:
    process = pgaas.start("create", *TARGET)
    wait_until("the Cluster", lambda: cluster_exists(lab), timeout=60)
    os.killpg(process.pid, signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 130, said
    # Which of them it is depends on how far it had come.
    assert "pgaas create" in said or "run the same command again" in said
    assert "Traceback" not in said

    again = pgaas("create", *TARGET)
    assert again.returncode == 0, again.stderr


def test_an_image_that_cannot_be_pulled_is_named_when_the_time_is_up(lab: Lab, pgaas: Pgaas) -> None:
    admin = pgaas.root / "confs/admin/local/postgresql.yaml"
    written = admin.read_text()
    admin.write_text(re.sub(r"postgresql:17-[a-z]+-trixie", "postgresql:17.0-nowhere", written))
    try:
        late = pgaas("create", *TARGET, "--timeout", "40s")
    finally:
        admin.write_text(written)
    assert late.returncode == 7, late.stderr
    assert "17.0-nowhere" in late.stderr
    assert "ErrImagePull" in late.stderr or "ImagePullBackOff" in late.stderr
    assert "Traceback" not in late.stderr


def kubeconfig(lab: Lab, folder: Path, **user: object) -> str:
    """Write a kubeconfig whose user is another one."""
    document = yaml.safe_load(Path(lab.environment["KUBECONFIG"]).read_text())
    for entry in document["users"]:
        entry["user"] = user
    file = folder / "kubeconfig"
    file.write_text(yaml.safe_dump(document))
    return str(file)


def nothing_was_deployed(lab: Lab) -> bool:
    """Say that no namespace was made."""
    return lab.kubectl("get", "namespace", NAMESPACE, check=False).returncode != 0


@pytest.mark.parametrize("verb", ["create", "status", "wait", "upgrade", "delete"])
def test_an_unreachable_api_server_is_six(lab: Lab, pgaas: Pgaas, tmp_path: Path, verb: str) -> None:
    document = yaml.safe_load(Path(lab.environment["KUBECONFIG"]).read_text())
    for entry in document["clusters"]:
        entry["cluster"]["server"] = "https://127.0.0.1:1"
    file = tmp_path / "kubeconfig"
    file.write_text(yaml.safe_dump(document))
    confirm = ("--confirm", CLUSTER) if verb == "delete" else ()
    refused = pgaas(verb, *TARGET, *confirm, KUBECONFIG=str(file))
    assert refused.returncode == 6, refused.stderr
    assert "127.0.0.1:1" in refused.stderr
    assert "next:" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_missing_context_names_the_known_ones(lab: Lab, pgaas: Pgaas, tmp_path: Path) -> None:
    document = yaml.safe_load(Path(lab.environment["KUBECONFIG"]).read_text())
    document["contexts"] = [
        {**entry, "name": entry["name"].replace("cluster1", "elsewhere")} for entry in document["contexts"]
    ]
    document["current-context"] = "elsewhere"
    file = tmp_path / "kubeconfig"
    file.write_text(yaml.safe_dump(document))
    refused = pgaas("create", *TARGET, KUBECONFIG=str(file))
    assert refused.returncode == 6, refused.stderr
    assert "cluster1" in refused.stderr
    assert "elsewhere" in refused.stderr


def test_an_expired_credential_is_six(lab: Lab, pgaas: Pgaas, tmp_path: Path) -> None:
    refused = pgaas("create", *TARGET, KUBECONFIG=kubeconfig(lab, tmp_path, token="expired"))
    assert refused.returncode == 6, refused.stderr
    assert "next:" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert nothing_was_deployed(lab)


def test_a_denied_request_is_six_and_names_what_was_denied(lab: Lab, pgaas: Pgaas, tmp_path: Path) -> None:
    document = yaml.safe_load(Path(lab.environment["KUBECONFIG"]).read_text())
    for entry in document["users"]:
        entry["user"]["as"] = "nobody-in-particular"
    file = tmp_path / "kubeconfig"
    file.write_text(yaml.safe_dump(document))
    refused = pgaas("create", *TARGET, KUBECONFIG=str(file))
    assert refused.returncode == 6, refused.stderr
    assert "nobody-in-particular" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert nothing_was_deployed(lab)


@pytest.mark.parametrize(
    ("file", "before", "after", "said"),
    [
        ("datacenters.yaml", "http://192.168.49.2:30333", "http://192.168.49.2:1", "192.168.49.2:1"),
        ("clients.yaml", "secretKey: is1-local-secret", "secretKey: wrong", "is1-backups"),
        ("postgresql.yaml", "storageClass: standard", "storageClass: nowhere", "nowhere"),
    ],
)
def test_preflight_stops_before_anything_is_deployed(
    lab: Lab, pgaas: Pgaas, file: str, before: str, after: str, said: str
) -> None:
    path = pgaas.root / "confs/admin/local" / file
    written = path.read_text()
    assert before in written
    path.write_text(written.replace(before, after))
    try:
        refused = pgaas("create", *TARGET)
    finally:
        path.write_text(written)
    assert refused.returncode in (5, 6), refused.stderr
    assert said in refused.stderr
    assert "next:" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert nothing_was_deployed(lab)


def test_a_kubeconfig_that_is_not_yaml_is_six(pgaas: Pgaas, tmp_path: Path) -> None:
    file = tmp_path / "kubeconfig"
    file.write_text("{")
    refused = pgaas("status", *TARGET, KUBECONFIG=str(file))
    assert refused.returncode == 6, refused.stderr
    assert str(file) in refused.stderr
    assert "Traceback" not in refused.stderr
