"""A fake API server for each test."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.kube.fakes import FakeServer, fake_api, use_kubeconfig

from pgaas.kube.client import Api


@pytest.fixture
def server() -> FakeServer:
    return FakeServer()


@pytest.fixture
def api(server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Api:
    use_kubeconfig(tmp_path, monkeypatch)
    return fake_api(server)
