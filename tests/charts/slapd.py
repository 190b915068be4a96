"""The directory as the chart makes and serves it: its own script and commands, run here on loopback."""

from __future__ import annotations

import base64
import os
import re
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.charts.local_infra import Object, named

PROGRAM = Path("/usr/sbin/slapd")
PATIENCE = 30
BASE = "dc=pgaas,dc=local"


class Slapd:
    """The two containers of the pod. Its folder is what the pod would have mounted."""

    def __init__(self, objects: list[Object], folder: Path) -> None:
        """Write what is mounted into a folder; nothing runs yet."""
        self.folder = folder
        deployment = named(objects, "Deployment", "openldap-openldap")
        pod = deployment["spec"]["template"]["spec"]
        (self.directory,), (self.openldap,) = pod["initContainers"], pod["containers"]
        for name in ("config", "passwords", "data", "run"):
            (folder / name).mkdir(exist_ok=True)
        for name, text in named(objects, "ConfigMap", "openldap-openldap")["data"].items():
            (folder / "config" / name).write_text(self.here(text))
        for name, text in named(objects, "Secret", "openldap-openldap")["data"].items():
            (folder / "passwords" / name).write_bytes(base64.b64decode(text))
        with socket.create_server(("127.0.0.1", 0)) as taken:
            self.port: int = taken.getsockname()[1]
        self.process: subprocess.Popen[bytes] | None = None

    def here(self, text: str) -> str:
        """Return a text with the paths and the address of this machine."""
        for mount in self.directory["volumeMounts"]:
            text = text.replace(f"{mount['mountPath']}/", f"{self.folder / mount['name']}/")
            text = re.sub(
                rf"{mount['mountPath']}$", str(self.folder / mount["name"]), text, flags=re.MULTILINE
            )
        return text.replace("ldap://0.0.0.0:1389", f"ldap://127.0.0.1:{getattr(self, 'port', 0)}")

    def make(self) -> None:
        """Run the init container."""
        argv = [self.here(word) for word in self.directory["command"]]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr

    def __enter__(self) -> Slapd:
        """Make the directory, and serve it."""
        self.make()
        argv = [self.here(word) for word in self.openldap["command"]]
        self.process = subprocess.Popen(argv, stderr=subprocess.PIPE)
        until = time.monotonic() + PATIENCE
        while True:
            with suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return self
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=0.05)
                raise AssertionError(self.process.stderr.read().decode())
            assert time.monotonic() < until, "slapd does not listen"

    def __exit__(self, *_: object) -> None:
        """End it."""
        assert self.process
        self.process.terminate()
        self.process.communicate(timeout=PATIENCE)

    def memory(self) -> int:
        """Return how much memory slapd holds, in bytes."""
        assert self.process
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def dump(self) -> str:
        """Return all that the directory holds, as slapcat sees it: with nobody's leave."""
        argv = ["/usr/sbin/slapcat", "-f", str(self.folder / "config/slapd.conf"), "-n", "1"]
        return subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60).stdout

    def connect(self, dn: str = "", password: str = "") -> Any:
        """Return a connection, bound if somebody is named; it says itself whether it is."""
        from ldap3 import ANONYMOUS, NONE, SIMPLE, Connection, Server

        server = Server("127.0.0.1", self.port, get_info=NONE, connect_timeout=5)
        how = SIMPLE if dn else ANONYMOUS
        found = Connection(
            server,
            dn or None,
            password or None,
            authentication=how,
            raise_exceptions=False,
            receive_timeout=10,
            return_empty_attributes=False,
        )
        found.open()
        if dn:
            found.bind()
        return found
