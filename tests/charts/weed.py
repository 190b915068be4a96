"""SeaweedFS as the chart runs it: its containers' own commands, as processes of this machine on loopback."""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.charts.local_infra import Object, named

from pgaas_lab import images

PATIENCE = 60
OPTIONS = ("master.port", "volume.port", "filer.port", "s3.port", "admin.port")


def free_ports(count: int) -> list[int]:
    """Return ports that nothing listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def config_of(objects: list[Object]) -> dict[str, Any]:
    """Return the identities that the chart has rendered."""
    secret = named(objects, "Secret", "seaweedfs-s3")
    found: dict[str, Any] = json.loads(base64.b64decode(secret["data"]["s3.json"]))
    return found


def write_certificate(folder: Path) -> None:
    """Write what cert-manager makes: a certificate that signed itself, and its key."""
    now = datetime.now(UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "seaweedfs-s3-internal")])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(hours=1))
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )
    pem = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "tls.key").write_bytes(key.private_bytes(*pem))
    (folder / "tls.crt").write_bytes(certificate)
    (folder / "ca.crt").write_bytes(certificate)


class Weed:
    """The two containers of the pod. Its folder is the volume, and may be used again by another."""

    def __init__(self, objects: list[Object], folder: Path) -> None:
        """Take the ports and write the configuration; nothing runs yet."""
        deployment = named(objects, "Deployment", "seaweedfs-s3")
        self.storage, self.s3 = deployment["spec"]["template"]["spec"]["containers"]
        self.folder = folder
        self.processes: list[subprocess.Popen[bytes]] = []
        ports = free_ports(2 * len(OPTIONS) + 2)
        self.ports = dict(zip([*OPTIONS, *(f"{name}.grpc" for name in OPTIONS)], ports, strict=False))
        self.port, self.grpc = ports[-2:]
        for name in ("data", "tmp"):
            (folder / name).mkdir(exist_ok=True)
        self.config = folder / "s3.json"
        self.config.write_text(json.dumps(config_of(objects)))
        self.environment = {each["name"]: self.here(each["value"]) for each in self.s3["env"]}
        write_certificate(folder)

    @property
    def endpoint(self) -> str:
        """Return the address of S3."""
        return f"http://127.0.0.1:{self.port}"

    def argv(self, words: list[str]) -> list[str]:
        """Return a command with the paths and the filer's port of this machine."""
        program, *rest = words
        assert program == "weed"
        places = {
            "/etc/seaweedfs/s3.json": str(self.config),
            "=/data": f"={self.folder / 'data'}",
            "127.0.0.1:8888": f"127.0.0.1:{self.ports['filer.port']}.{self.ports['filer.port.grpc']}",
            "127.0.0.1:9333": f"127.0.0.1:{self.ports['master.port']}.{self.ports['master.port.grpc']}",
            "0.0.0.0": "127.0.0.1",
        }
        for old, new in places.items():
            rest = [word.replace(old, new) for word in rest]
        return [str(images.weed()), *rest]

    def here(self, path: str) -> str:
        """Return where the file of a mounted Secret is on this machine."""
        return path.replace("/etc/seaweedfs-internal", str(self.folder))

    def run(self, argv: list[str], **environment: str) -> subprocess.Popen[bytes]:
        """Start a container's command."""
        with (self.folder / "log").open("ab") as log:
            started = subprocess.Popen(
                argv,
                cwd=self.folder,
                env={"PATH": os.environ["PATH"], "TMPDIR": str(self.folder / "tmp"), **environment},
                stdout=log,
                stderr=log,
            )
        self.processes.append(started)
        return started

    def __enter__(self) -> Weed:
        """Start both containers, and wait until both startup probes are content."""
        storage = [*self.storage["command"], *self.storage["args"]]
        s3 = [*self.s3["command"], *self.s3["args"], f"-port={self.port}", f"-port.grpc={self.grpc}"]
        probe = self.storage["startupProbe"]["exec"]["command"]
        timeout = self.storage["startupProbe"]["timeoutSeconds"]
        path = self.s3["startupProbe"]["httpGet"]["path"]
        try:
            own_ports = [f"-{name}={port}" for name, port in self.ports.items()]
            self.run(self.argv(storage) + own_ports)
            self.run(self.argv(s3), **self.environment)
            self.until(lambda: self.probe(probe, timeout))
            self.until(lambda: urllib.request.urlopen(self.endpoint + path, timeout=5).close())
        except BaseException:
            self.stop()
            raise
        return self

    def probe(self, command: list[str], timeout: float) -> None:
        """Run a probe's command as kubelet does: with nothing to read, and not for longer than it may."""
        subprocess.run(
            self.argv(command), check=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=timeout
        )

    def until(self, probe: Callable[[], object]) -> None:
        """Wait until a probe is content. Fail if a container ends before."""
        until = time.monotonic() + PATIENCE
        while True:
            try:
                probe()
            except (subprocess.SubprocessError, OSError, LookupError) as error:
                problem = error
            else:
                return
            assert time.monotonic() < until, f"{problem}\n{self.log()}"
            for process in self.processes:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=0.1)
                    raise AssertionError(self.log())

    def log(self) -> str:
        """Return the end of what both have said."""
        return (self.folder / "log").read_text(errors="replace")[-3000:]

    def stop(self, *, kill: bool = False) -> None:
        """End both, as kubelet does or as a crash does, and wait until they are gone."""
        for process in self.processes:
            process.kill() if kill else process.terminate()
        for process in self.processes:
            process.wait(timeout=PATIENCE)
        self.processes = []
        for port in (*self.ports.values(), self.port, self.grpc):
            for left in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
                left.unlink(missing_ok=True)

    def __exit__(self, *_: object) -> None:
        """End both."""
        self.stop()
