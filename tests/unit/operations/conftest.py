"""A fake world for each test."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.unit.kube.fakes import fake_api, use_kubeconfig
from tests.unit.operations.promotions import ARCHIVE
from tests.unit.operations.records import FakeRecord
from tests.unit.operations.told import Told
from tests.unit.operations.two_sides import KUBECONFIG, Killed, TwoSides, make_two_sides
from tests.unit.operations.worlds import World, make_world
from tests.unit.tools.fake_s3 import FakeS3, running

from pgaas.config import registry
from pgaas.kube import wait
from pgaas.operations import (
    backup,
    deploy,
    finish,
    moving,
    pair,
    preflight,
    preflight_switchover,
    primary_name,
    promote,
    removal,
    subject,
)
from pgaas.operations.trust import TrustState
from pgaas.tools.archive import Archive
from pgaas.tools.versions import TOOLS, Found


@pytest.fixture(scope="session")
def shared_s3() -> Iterator[FakeS3]:
    with running() as server:
        yield server


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared_s3: FakeS3) -> World:
    shared_s3.objects.clear()
    shared_s3.asked.clear()
    shared_s3.refuse.clear()
    shared_s3.buckets = {"ic1-backups"}
    use_kubeconfig(tmp_path, monkeypatch)
    made = make_world(tmp_path / "root", shared_s3)
    api = fake_api(made.server)
    monkeypatch.setattr(subject, "api_for", lambda _context: api)
    monkeypatch.setattr(deploy, "run", made.run)
    # Nothing makes Secrets of Certificates here.
    monkeypatch.setattr(deploy, "AHEAD_SECONDS", 0.0)
    monkeypatch.setattr(removal, "run", made.run)
    monkeypatch.setattr(preflight, "check_tools", lambda _: [Found(tool, "ok", "9.9.9") for tool in TOOLS])
    return made


@pytest.fixture
def sides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TwoSides:
    """Return a pair whose waits take no time, with a fake DNS, and trust that is fresh."""
    use_kubeconfig(tmp_path, monkeypatch, KUBECONFIG)
    made = make_two_sides(tmp_path / "root")
    monkeypatch.setattr(subject, "api_for", made.api)
    monkeypatch.setattr(pair, "load_subject", made.load)
    monkeypatch.setattr(deploy, "run", made.run)
    monkeypatch.setattr(primary_name, "primary_record", lambda *_: FakeRecord(made))
    monkeypatch.setattr(preflight_switchover, "primary_record", lambda *_: FakeRecord(made))
    fresh = {
        dc: TrustState(dc, server.name, created=True, detail="fresh") for dc, server in made.servers.items()
    }
    monkeypatch.setattr(preflight_switchover, "look_at_trust", lambda *_: fresh)
    for name, value in {
        "FAST": 0.001,
        "LOOK_EVERY": 0.001,
        "NUDGE_SECONDS": 0.02,
        "CALM_SECONDS": 0.0,
    }.items():
        monkeypatch.setattr(moving, name, value)
    for waiting in (wait.wait_for, backup.follow_backup):
        monkeypatch.setitem(
            waiting.__kwdefaults__ or {}, "sleep", lambda seconds: time.sleep(min(seconds, 0.002))
        )
    told = threading.excepthook
    monkeypatch.setattr(threading, "excepthook", lambda seen: None if seen.exc_type is Killed else told(seen))

    def write_primary(*arguments: Any, **options: Any) -> Path:
        life = made.life
        made.alive(life)
        path = registry.write_primary(*arguments, **options)
        made.step("clients.yaml", life)
        return path

    monkeypatch.setattr(finish, "write_primary", write_primary)
    return made


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def archive(sides: TwoSides, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Give every cluster the same archive, and return whose were read."""
    read: list[str] = []

    def archive_of(_subject: Any, _api: Any, cluster: str, **_: Any) -> Archive:
        read.append(cluster)
        return ARCHIVE

    monkeypatch.setattr(promote, "archive_of", archive_of)
    return read
