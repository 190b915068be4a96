"""A fake API server for each test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.unit.kube.fakes import FakeServer, fake_api, use_kubeconfig
from tests.unit.kube.leases import NAME, SPACE, Time

from pgaas.kube.client import Api
from pgaas.kube.holder import Holder, myself
from pgaas.kube.lease import Lease


@pytest.fixture
def server() -> FakeServer:
    return FakeServer()


@pytest.fixture
def api(server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Api:
    use_kubeconfig(tmp_path, monkeypatch)
    return fake_api(server)


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def new(api: Api, time: Time) -> Callable[..., Lease]:
    def make(verb: str = "create", holder: Holder | None = None) -> Lease:
        made = holder or myself(verb)
        return Lease(api, NAME, SPACE, made, clock=time.clock, now=time.now, sleep=time.sleep)

    return make
