"""`pgaas create` beside `kubectl apply` of the same objects: seconds from the start to a healthy Cluster.

    uv run pgaas-lab up && uv run python bench/create.py

Each round creates the cluster both ways in turn, from an empty namespace and an empty archive.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import boto3
from botocore.config import Config
from measure import spread

ROOT = Path(__file__).resolve().parent.parent
PGAAS = str(Path(sys.executable).with_name("pgaas"))
TARGET = ["--ins", "ic1", "--env", "local", "--dc", "local1"]
CONTEXT, NAMESPACE, CLUSTER, BUCKET = "cluster1", "ic1-local", "local-ic1-local1", "ic1-backups"
ENDPOINT = "http://192.168.49.2:30333"


def lab_environment() -> dict[str, str]:
    """Return this process's environment with the lab's PATH and KUBECONFIG."""
    lab = str(Path(sys.executable).with_name("pgaas-lab"))
    shell = ["bash", "-c", f'eval "$({lab} env)" && env -0']
    listing = subprocess.run(shell, check=True, capture_output=True, text=True).stdout
    return dict(entry.split("=", 1) for entry in listing.split("\0") if "=" in entry)


def kubectl(environment: dict[str, str], *arguments: str) -> list[str]:
    """Return a kubectl command line for the first datacenter."""
    program = shutil.which("kubectl", path=environment["PATH"])
    assert program
    return [program, "--context", CONTEXT, *arguments]


def clean(environment: dict[str, str]) -> None:
    """Remove the namespace and everything in the bucket."""
    command = kubectl(environment, "delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait")
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    bucket = boto3.resource(
        "s3",
        endpoint_url=ENDPOINT,
        aws_access_key_id="admin",
        aws_secret_access_key="admin123",
        region_name="us-east-1",
        config=Config(s3={"addressing_style": "path"}),
    ).Bucket(BUCKET)
    if bucket.creation_date:
        bucket.objects.all().delete()
    else:
        bucket.create()


def seconds_to_healthy(environment: dict[str, str], command: list[str], root: Path) -> tuple[float, float]:
    """Run a command, and return the seconds to a healthy Cluster and to the command's own end."""
    cluster = f"clusters.postgresql.cnpg.io/{CLUSTER}"
    wait = " && ".join(
        " ".join(kubectl(environment, "-n", NAMESPACE, "wait", f"--for={state}", cluster, "--timeout=300s"))
        for state in ("create", "condition=Ready")
    )
    clean(environment)
    started = time.perf_counter()
    # The watcher notes the moment by itself: a command may go on after it, as create does for the backup.
    watcher = subprocess.Popen(
        ["sh", "-c", f"{wait} && date +%s.%N"], env=environment, stdout=subprocess.PIPE, text=True
    )
    wall_clock = time.time()
    done = subprocess.run(command, env=environment, cwd=root, capture_output=True, text=True, check=False)
    ended = time.perf_counter() - started
    if done.returncode:
        sys.exit(done.stderr)
    said, _ = watcher.communicate()
    if watcher.returncode:
        sys.exit("the Cluster did not become Ready")
    return float(said.split()[-1]) - wall_clock, ended


def main() -> None:
    """Print both times, and their ratio round by round."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    environment = lab_environment()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name in ("confs", "charts", "helmfile-checks", "local-infra", "manifests"):
            shutil.copytree(ROOT / name, root / name)
        shutil.copy(ROOT / "helmfile.yaml", root)
        # With replication, pgaas writes the bundle of client CAs: kubectl alone would never be healthy.
        clients = root / "confs/admin/local/clients.yaml"
        clients.write_text(clients.read_text().replace("enabled: true", "enabled: false"))
        objects = root / "objects.yaml"
        rendered = subprocess.run(
            [PGAAS, "template", *TARGET],
            env=environment,
            cwd=root,
            check=True,
            capture_output=True,
            text=True,
        )
        space = f"apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {NAMESPACE}\n---\n"
        objects.write_text(space + rendered.stdout)
        apply = kubectl(environment, "apply", "--server-side", "-n", NAMESPACE, "-f", str(objects))
        create = [PGAAS, "create", *TARGET]
        samples = []
        for number in range(1, rounds + 1):
            ours, whole = seconds_to_healthy(environment, create, root)
            theirs, _ = seconds_to_healthy(environment, apply, root)
            samples.append((ours, theirs, whole))
            print(
                f"round {number}: create {ours:.1f} s, apply {theirs:.1f} s, {ours / theirs:.2f}", flush=True
            )
        clean(environment)
    print(f"create, seconds to healthy: {spread([ours for ours, _, _ in samples])}")
    print(f"apply, seconds to healthy: {spread([theirs for _, theirs, _ in samples])}")
    print(f"ratio: {spread([ours / theirs for ours, theirs, _ in samples])} (goal: at most 1.15)")
    print(f"create until the first base backup was complete: {spread([whole for _, _, whole in samples])}")


if __name__ == "__main__":
    main()
