"""A real BIND 9 on a port of this machine, with zones that take updates and one that does not."""

from __future__ import annotations

import base64
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from pgaas.tools.dns_read import ask
from pgaas.tools.dns_update import UpdateServer
from pgaas_lab import packages

ZONE = "pg.test"
LOCKED = "locked.test"
SECRETS = {name: base64.b64encode(name.encode() * 8).decode() for name in ("mover", "stranger", "unknown")}
STARTUP_SECONDS = 30.0

CONFIGURATION = """
options {{
    directory "{folder}";
    listen-on port {port} {{ 127.0.0.1; }};
    listen-on-v6 {{ none; }};
    pid-file none;
    session-keyfile "{folder}/session.key";
    lock-file none;
    recursion no;
    dnssec-validation no;
    notify no;
}};
controls {{ }};
key "mover" {{ algorithm hmac-sha256; secret "{mover}"; }};
key "stranger" {{ algorithm hmac-sha256; secret "{stranger}"; }};
zone "{zone}" {{
    type primary;
    file "zone.db";
    update-policy {{ grant mover zonesub CNAME; grant mover name held.{zone}. A; }};
}};
zone "{locked}" {{ type primary; file "locked.db"; }};
"""
RECORDS = """$TTL 300
@ IN SOA ns1.{zone}. hostmaster.{zone}. 1 3600 600 86400 60
@ IN NS ns1.{zone}.
ns1 IN A 127.0.0.1
target-one IN A 127.0.0.11
target-two IN AAAA ::1
held IN A 127.0.0.12
outside IN CNAME localhost.
loop IN CNAME pool.{zone}.
pool IN CNAME loop.{zone}.
"""


@dataclass
class Named:
    """A running BIND."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = field(default=None)

    @property
    def address(self) -> str:
        """Return what the configuration calls a resolver."""
        return f"127.0.0.1:{self.port}"

    def server(self, **changed: object) -> UpdateServer:
        """Return how to update it: with the key that may, unless something is changed."""
        settings: dict[str, object] = {
            "host": "127.0.0.1",
            "port": self.port,
            "zone": ZONE,
            "key": "mover",
            "algorithm": "hmac-sha256",
            "secret": SECRETS["mover"],
            "timeout": 5.0,
        }
        return UpdateServer(**settings | changed)  # type: ignore[arg-type]

    def start(self) -> None:
        """Start it and wait until it answers."""
        with (self.folder / "log").open("wb") as log:
            argv = [program(), "-4", "-g", "-c", str(self.folder / "named.conf")]
            self.process = subprocess.Popen(argv, stdout=log, stderr=log, cwd=self.folder)
        deadline = time.monotonic() + STARTUP_SECONDS
        while ask(self.address, f"ns1.{ZONE}", "A").error:
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise AssertionError(f"named does not start:\n{(self.folder / 'log').read_text()}")
            time.sleep(0.05)

    def stop(self) -> None:
        """End it."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                self.process.kill()
            self.process.wait()
            self.process = None


@contextmanager
def running(folder: Path) -> Iterator[Named]:
    """Run a BIND whose files lie in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    named = Named(folder, _free_port())
    for zone, file in ((ZONE, "zone.db"), (LOCKED, "locked.db")):
        (folder / file).write_text(RECORDS.format(zone=zone))
    (folder / "named.conf").write_text(
        CONFIGURATION.format(folder=folder, port=named.port, zone=ZONE, locked=LOCKED, **SECRETS)
    )
    try:
        named.start()
        yield named
    finally:
        named.stop()


def program() -> str:
    """Return the path of named; where it is missing, root installs it."""
    found = packages.which("named")
    if found is None and os.geteuid() == 0:
        packages.install(["bind9"])
        found = packages.which("named")
    assert found is not None, "these tests need BIND 9: install the package bind9"
    return str(shutil.which(str(found)) or found)


def _free_port() -> int:
    """Return a port that is free for TCP and UDP."""
    while True:
        with socket.socket() as stream, socket.socket(type=socket.SOCK_DGRAM) as datagrams:
            stream.bind(("127.0.0.1", 0))
            port = int(stream.getsockname()[1])
            with suppress(OSError):
                datagrams.bind(("127.0.0.1", port))
                return port
