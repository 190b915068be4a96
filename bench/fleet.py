"""`pgaas list` for some hundred clients, on one core, beside a program that only fetches and unpacks.

    uv run python bench/fleet.py

An API server on this machine answers with as many healthy Clusters, and with Helm's records in the size that
Helm gives them: chart, manifest and values. The baseline fetches the same two lists, and unpacks each record.
"""

from __future__ import annotations

import argparse
import base64
import gzip
import http.server
import json
import os
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import yaml
from generate_all import ROOT, make_root
from measure import spread, usage

from pgaas.config.naming import Target
from pgaas.config.resolve import ConfigCache, resolve_client
from pgaas.operations.subject import Subject
from pgaas.render.build import build_values
from pgaas.render.dump import dump_values

CLUSTERS, SECRETS = "/apis/postgresql.cnpg.io/v1/clusters", "/api/v1/secrets"
BASELINE = f"""
import base64, gzip, json, sys, urllib.request
def get(path): return json.load(urllib.request.urlopen(sys.argv[1] + path))["items"]
get("{CLUSTERS}")
for each in get("{SECRETS}"):
    json.loads(gzip.decompress(base64.b64decode(base64.b64decode(each["data"]["release"]))))
"""


def bodies(root: Path, clients: int) -> dict[str, bytes]:
    """Return what the API server answers for so many clients that are as they should be."""
    cache = ConfigCache()
    files = sorted(path for path in (ROOT / "charts" / "core").rglob("*") if path.is_file())
    chart = [{"name": path.name, "data": base64.b64encode(path.read_bytes()).decode()} for path in files]
    manifest = (ROOT / "tests" / "golden" / "ic1-dev1-dc1" / "manifests.yaml").read_text()
    clusters, secrets = [], []
    for number in range(clients):
        target = Target(f"c{number:04}", "dev1", "dc1")
        resolved = resolve_client(root, target, cache)
        subject = Subject(root, target, resolved, build_values(resolved))
        clusters.append(live(subject))
        config = yaml.load(dump_values(subject.values), Loader=yaml.CSafeLoader)
        release = {"config": config, "chart": {"templates": chart}, "manifest": manifest}
        packed = base64.b64encode(gzip.compress(json.dumps(release).encode()))
        labels = {"owner": "helm", "name": subject.cluster, "status": "deployed", "version": "1"}
        metadata = {"name": f"{subject.cluster}.v1", "namespace": subject.namespace, "labels": labels}
        secrets.append({"metadata": metadata, "data": {"release": base64.b64encode(packed).decode()}})
    return {
        CLUSTERS: json.dumps({"items": clusters, "metadata": {}}).encode(),
        SECRETS: json.dumps({"items": secrets, "metadata": {}}).encode(),
    }


def live(subject: Subject) -> dict[str, Any]:
    """Return a healthy Cluster."""
    cluster = subject.values.cluster
    conditions = [{"type": kind, "status": "True"} for kind in ("Ready", "ContinuousArchiving")]
    return {
        "metadata": {"name": subject.cluster, "namespace": subject.namespace, "labels": subject.labels},
        "spec": {**cluster.plain(), "imageCatalogRef": {"major": subject.values.image_catalog.major}},
        "status": {
            "phase": "Cluster in healthy state",
            "instances": cluster.instances,
            "readyInstances": cluster.instances,
            "image": subject.image,
            "conditions": conditions,
            "managedRolesStatus": {"byStatus": {"reconciled": [role.name for role in cluster.roles]}},
        },
    }


def serve(answers: dict[str, bytes]) -> str:
    """Answer requests in the background, and return the server's URL."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = answers[self.path.partition("?")[0]]
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


def main() -> None:
    """Print the seconds of both, their ratio round by round, and how much was fetched."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clients", type=int, default=300)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = make_root(Path(folder), options.clients)
        datacenters = root / "confs/admin/hp/datacenters.yaml"
        text = datacenters.read_text()
        datacenters.write_text(text.replace("  dc1:\n", "  dc1:\n    kubeContext: bench\n", 1))
        answers = bodies(root, options.clients)
        url = serve(answers)
        kubeconfig = root / "kubeconfig"
        named = {"name": "bench"}
        entries = {
            "clusters": [{**named, "cluster": {"server": url}}],
            "users": [{**named, "user": {"token": "none"}}],
            "contexts": [{**named, "context": {"cluster": "bench", "user": "bench"}}],
        }
        kubeconfig.write_text(yaml.safe_dump({"current-context": "bench", **entries}))
        os.environ["KUBECONFIG"] = str(kubeconfig)
        ours = [str(Path(sys.executable).with_name("pgaas")), "list", "--root", str(root)]
        bare = [sys.executable, "-c", BASELINE, url]
        pairs = [(usage(ours), usage(bare)) for _ in range(options.rounds)]
    size = sum(map(len, answers.values())) / 1024 / 1024
    print(f"{options.clients} clients, {size:.1f} MiB fetched")
    print(f"pgaas list, seconds: {spread([one.wall for one, _ in pairs])} (goal: under 2)")
    print(f"of the processor: {spread([one.cpu for one, _ in pairs])}")
    print(f"fetch and unpack only, seconds: {spread([two.wall for _, two in pairs])}")
    print(f"of the processor: {spread([two.cpu for _, two in pairs])}")
    print(f"ratio, of the processor: {spread([one.cpu / two.cpu for one, two in pairs])}")
    print(f"peak memory, MiB: {spread([one.peak_mebibytes for one, _ in pairs])}")


if __name__ == "__main__":
    main()
