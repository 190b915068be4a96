"""The way of a sample: an exporter that is asked over TLS, the collector, and Prometheus, all on loopback."""

from __future__ import annotations

import copy
import datetime
import json
import socket
import ssl
import subprocess
import threading
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pgaas_lab import tools
from pgaas_lab.images_observability import ensure_program

LOOPBACK = "127.0.0.1"
# What Kubernetes discovery knows of an instance's pod.
POD = {
    "__meta_kubernetes_pod_container_port_number": "9187",
    "__meta_kubernetes_pod_label_cnpg_io_cluster": "local-ic1-local1",
    "__meta_kubernetes_pod_label_pgaas_io_ins": "ic1",
    "__meta_kubernetes_pod_label_pgaas_io_env": "local",
    "__meta_kubernetes_pod_label_pgaas_io_dc": "local1",
    "__meta_kubernetes_pod_label_cnpg_io_instanceRole": "primary",
    "__meta_kubernetes_namespace": "ic1-local",
    "__meta_kubernetes_pod_name": "local-ic1-local1-1",
}
EXPOSED = """# TYPE cnpg_backends_total gauge
cnpg_backends_total{datname="app_db",state="active"} 3
# TYPE cnpg_collector_up gauge
cnpg_collector_up{cluster="local-ic1-local1"} 1
# TYPE cnpg_pg_stat_database_xact_commit counter
cnpg_pg_stat_database_xact_commit{datname="app_db"} %d
# TYPE controller_runtime_reconcile_errors_total counter
controller_runtime_reconcile_errors_total{controller="cluster"} 2
# TYPE controller_runtime_reconcile_time_seconds histogram
controller_runtime_reconcile_time_seconds_bucket{le="1"} 4
controller_runtime_reconcile_time_seconds_bucket{le="+Inf"} 5
controller_runtime_reconcile_time_seconds_sum 6
controller_runtime_reconcile_time_seconds_count 5
"""


@dataclass(frozen=True)
class Certificate:
    """A root, and a server's certificate that it signed."""

    root: Path
    chain: Path


def certificate(folder: Path, *names: str) -> Certificate:
    """Make a root and a certificate for a server with some names, which are Services, not addresses."""
    now = datetime.datetime.now(datetime.UTC)
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "root")])

    def made(subject: x509.Name, key: Any, extension: x509.ExtensionType) -> bytes:
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(minutes=5))
            .not_valid_after(now + datetime.timedelta(hours=1))
            .add_extension(extension, critical=True)
        )
        return builder.sign(keys[0], hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    found = Certificate(folder / "ca.crt", folder / "server.pem")
    found.root.write_bytes(made(issuer, keys[0], x509.BasicConstraints(ca=True, path_length=None)))
    alternatives = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
    private = keys[1].private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    found.chain.write_bytes(private + made(x509.Name([]), keys[1], alternatives))
    return found


@contextmanager
def exporter(chain: Path | None, address: tuple[str, int] = (LOOPBACK, 0)) -> Iterator[str]:
    """Serve metrics, over TLS with a chain; a counter among them grows by 10 with each look. Return where."""
    looks = 0

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            nonlocal looks
            looks += 1
            body = (EXPOSED % (looks * 10)).encode()
            self.send_response(200)
            self.send_header("content-type", "text/plain; version=0.0.4; charset=utf-8")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(address, Handler)
    if chain:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"{address[0]}:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def process(argv: list[Any], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program until the block is left."""
    with log.open("ab") as output:
        running = subprocess.Popen(list(map(str, argv)), stdout=output, stderr=output, cwd=log.parent)
        try:
            yield running
        finally:
            running.terminate()
            running.wait(timeout=30)


def free_port() -> int:
    """Return a port that nobody listens at."""
    with socket.socket() as found:
        found.bind((LOOPBACK, 0))
        port: int = found.getsockname()[1]
        return port


@dataclass
class Way:
    """The programs' folder, and where they are reached."""

    folder: Path
    prometheus_port: int
    own_metrics_port: int

    @contextmanager
    def prometheus(self, settings: str) -> Iterator[None]:
        """Run Prometheus; its samples stay in the folder."""
        (self.folder / "prometheus.yml").write_text(settings)
        argv = [
            ensure_program("prometheus"), "--config.file=prometheus.yml", "--storage.tsdb.path=data",
            "--web.enable-remote-write-receiver", f"--web.listen-address={LOOPBACK}:{self.prometheus_port}",
        ]  # fmt: skip
        with process(argv, self.folder / "prometheus.log"):
            yield

    @contextmanager
    def collector(
        self, config: dict[str, Any], jobs: dict[str, dict[str, Any]], kubeconfig: Path | None = None
    ) -> Iterator[None]:
        """Run the collector as the chart configures it, but for addresses and paths.

        It discovers nothing, unless it is told by which kubeconfig.
        """
        config = copy.deepcopy(config)
        receiver = config["receivers"]["prometheus"]["config"]
        receiver["global"]["scrape_interval"] = "1s"
        found = {job["job_name"]: job for job in receiver["scrape_configs"]}
        kept = [{**found[name], **changed} for name, changed in jobs.items()]
        for job in kept:
            discoveries = job.pop("kubernetes_sd_configs", [])
            if kubeconfig:
                job["kubernetes_sd_configs"] = [
                    {**each, "kubeconfig_file": str(kubeconfig)} for each in discoveries
                ]
        receiver["scrape_configs"] = kept
        http = config["exporters"]["prometheus_remote_write"]["http"]
        http["endpoint"] = f"http://{LOOPBACK}:{self.prometheus_port}/api/v1/write"
        config["extensions"]["health_check"]["endpoint"] = f"{LOOPBACK}:{free_port()}"
        (reader,) = config["service"]["telemetry"]["metrics"]["readers"]
        reader["pull"]["exporter"]["prometheus"] |= {"host": LOOPBACK, "port": self.own_metrics_port}
        (self.folder / "otel.yaml").write_text(yaml.safe_dump(config))
        argv = [tools.ensure("otel-collector"), "--config=otel.yaml"]
        with process(argv, self.folder / "otel.log"):
            yield

    def ask(self, query: str) -> list[dict[str, Any]]:
        """Return what Prometheus answers; nothing while it is not there."""
        url = f"http://{LOOPBACK}:{self.prometheus_port}/api/v1/query?query={urllib.parse.quote(query)}"
        with suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:
            found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
            return found
        return []

    def own(self, metric: str) -> float:
        """Return one of the collector's own numbers, from itself; -1 if it does not say."""
        with suppress(OSError):
            url = f"http://{LOOPBACK}:{self.own_metrics_port}/metrics"
            with urllib.request.urlopen(url, timeout=5) as answer:
                for line in answer.read().decode().splitlines():
                    if line.startswith(metric + "{"):
                        return float(line.rsplit(" ", 1)[1])
        return -1
