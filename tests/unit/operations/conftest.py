"""A fake world for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.kube.fakes import fake_api, use_kubeconfig
from tests.unit.operations.worlds import World, make_world
from tests.unit.tools.fake_s3 import FakeS3, running

from pgaas.operations import deploy, preflight, removal, subject
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
    monkeypatch.setattr(removal, "run", made.run)
    monkeypatch.setattr(preflight, "check_tools", lambda _: [Found(tool, "ok", "9.9.9") for tool in TOOLS])
    return made
