"""Two datacenters whose trust is looked at: an API server each, and the Secrets that cert-manager makes."""

from __future__ import annotations

import base64
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.unit.kube.authorities import Key, ca_pem, new_key
from tests.unit.kube.fakes import FakeServer, fake_api, path_of
from tests.unit.operations.worlds import REPOSITORY

from pgaas.config.naming import Target
from pgaas.kube.client import Api
from pgaas.kube.resources import CONFIG_MAP, SECRET
from pgaas.operations.subject import Subject, load_subject

SPACE = "ic1-local"
HERE, THERE = "local1", "local2"


@dataclass
class Pair:
    """Client ic1 in local1 and local2; `keys` are those of the client CAs."""

    root: Path
    servers: dict[str, FakeServer] = field(default_factory=lambda: {HERE: FakeServer(), THERE: FakeServer()})
    keys: dict[str, Key] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.apis: dict[str, Api | str] = {dc: fake_api(server) for dc, server in self.servers.items()}

    @property
    def subjects(self) -> dict[str, Subject]:
        """Return both subjects, as configured now."""
        return {dc: load_subject(self.root, Target("ic1", "local", dc)) for dc in self.servers}

    def api(self, dc: str) -> Api:
        """Return a side's API server."""
        api = self.apis[dc]
        assert isinstance(api, Api)
        return api

    def make(self, dc: str, *, key: Key | None = None, leaf: bool = True, days: int = 3650) -> None:
        """Let cert-manager make a side's certificates; without `leaf` the replication's stays as it was."""
        self.keys[dc] = key or new_key()
        authority = ca_pem(f"{dc} client CA", key=self.keys[dc], days=days)
        self.secret(dc, "client-ca", authority)
        if leaf:
            self.secret(dc, "replication", authority)
        if self.live(dc, SECRET, "server") is None:
            self.secret(dc, "server", ca_pem(f"{dc} root"))

    def secret(self, dc: str, suffix: str, text: str) -> None:
        """Put a Secret with a ca.crt."""
        data = {"ca.crt": base64.b64encode(text.encode()).decode(), "tls.key": "c2VjcmV0"}
        metadata = {"name": f"local-ic1-{dc}-{suffix}", "namespace": SPACE}
        self.servers[dc].put(SECRET, {"metadata": metadata, "data": data})

    def remove(self, dc: str, suffix: str) -> None:
        """Remove a Secret."""
        del self.servers[dc].objects[path_of(SECRET, SPACE, f"local-ic1-{dc}-{suffix}")]

    def live(self, dc: str, kind: Any, suffix: str) -> Any:
        """Return an object of a side, or None."""
        return self.servers[dc].objects.get(path_of(kind, SPACE, f"local-ic1-{dc}-{suffix}"))

    def client_bundle(self, dc: str) -> str:
        """Return what PostgreSQL of a side trusts."""
        found = self.live(dc, SECRET, "client-ca-bundle")
        return base64.b64decode(found["data"]["ca.crt"]).decode() if found else ""

    def server_bundle(self, dc: str) -> str:
        """Return what a side gives to its clients."""
        found = self.live(dc, CONFIG_MAP, "server-ca-bundle")
        return str(found["data"]["ca.crt"]) if found else ""

    def own(self, dc: str, suffix: str = "client-ca") -> str:
        """Return the ca.crt of a Secret of a side."""
        return base64.b64decode(self.live(dc, SECRET, suffix)["data"]["ca.crt"]).decode()

    def writes(self, dc: str) -> list[str]:
        """Return the names of the objects that were written on a side."""
        return [asked.path.rpartition("/")[2] for asked in self.servers[dc].writes()]


def make_pair(folder: Path) -> Pair:
    """Return a pair that replicates, with nothing created yet."""
    shutil.copytree(REPOSITORY / "confs", folder / "confs", ignore=shutil.ignore_patterns("_generated"))
    (folder / "helmfile.yaml").touch()
    replicate(folder)
    return Pair(folder)


def replicate(root: Path, *, enabled: bool = True) -> None:
    """Say in clients.yaml whether ic1 replicates in local."""
    path = root / "confs/admin/local/clients.yaml"
    wanted, other = (f"replication:\n      enabled: {str(each).lower()}" for each in (enabled, not enabled))
    text = path.read_text().replace(other, wanted)
    assert wanted in text
    path.write_text(text)
