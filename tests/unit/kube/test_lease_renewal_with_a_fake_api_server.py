"""A Lease that is held: how it is kept and left, and what its loss does."""

from __future__ import annotations

import threading
from collections.abc import Callable

import httpx2
import pytest
from tests.unit.kube.fakes import FakeServer, failure
from tests.unit.kube.leases import NAME, OTHER, PATH, SPACE, Time, held, holder, renewing, silent

from pgaas.errors import KubernetesConflict, KubernetesForbidden, RefusedAsUnsafe
from pgaas.kube import lease as module
from pgaas.kube.client import Api
from pgaas.kube.lease import LEASE_SECONDS, Lease
from pgaas.kube.resources import LEASE


def test_renewing_moves_the_time_and_nothing_else(
    server: FakeServer, new: Callable[..., Lease], time: Time
) -> None:
    lease = new()
    lease.acquire(silent)
    before = server.objects[PATH]["spec"]
    time.passed = 15.0
    assert lease.renew() is True
    after = server.objects[PATH]["spec"]
    assert after == {**before, "renewTime": "2026-05-02T12:00:15.000000Z"}


def test_the_thread_renews_by_itself(
    server: FakeServer, new: Callable[..., Lease], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RENEW_SECONDS", 0.001)
    renewed = threading.Event()

    def refuse(_: httpx2.Request) -> httpx2.Response:
        # Only a renewal is a PUT here; one that fails is tried again.
        del server.answers[f"PUT {PATH}"]
        server.answers[f"GET {PATH}"] = found
        return failure(500, "InternalError", "etcdserver: timed out")

    def found(request: httpx2.Request) -> httpx2.Response:
        if server.versions >= 3:
            renewed.set()
        return server._get(request.url.path, {}, None)

    monkeypatch.setattr(module, "RETRY_SECONDS", 0.001)
    server.answers[f"PUT {PATH}"] = refuse
    lease = new()
    lease.acquire(silent)
    assert renewed.wait(20)
    lease.release()
    assert holder(server) is None
    lease.check()


def test_somebody_elses_name_in_it_is_a_loss(server: FakeServer, new: Callable[..., Lease]) -> None:
    lease = new()
    lease.acquire(silent)
    held(server)
    assert lease.renew() is False
    with pytest.raises(RefusedAsUnsafe, match="lost: jane@ci-7 runs `pgaas switchover`") as caught:
        lease.check()
    assert "pgaas status" in caught.value.next_step
    lease.release()
    assert holder(server) == OTHER


def test_what_was_taken_and_left_meanwhile_is_a_loss_for_good(
    server: FakeServer, new: Callable[..., Lease]
) -> None:
    lease = new()
    lease.acquire(silent)
    mine = server.objects[PATH]
    held(server, holderIdentity="")
    assert lease.renew() is False
    server.objects[PATH] = mine
    with pytest.raises(RefusedAsUnsafe, match="has left it since"):
        lease.check()


def test_renewals_that_fail_for_the_duration_are_a_loss(
    server: FakeServer, new: Callable[..., Lease], time: Time
) -> None:
    lease = new()
    lease.acquire(silent)
    server.answers[f"GET {PATH}"] = httpx2.ConnectError("[Errno 111] Connection refused")
    time.passed = LEASE_SECONDS - 1.0
    assert lease.renew() is False
    lease.check()
    time.passed = LEASE_SECONDS
    with pytest.raises(RefusedAsUnsafe, match=r"not be renewed for 60 s: .*Connection refused"):
        lease.check()
    del server.answers[f"GET {PATH}"]
    with pytest.raises(RefusedAsUnsafe):
        lease.check()


def test_an_api_server_that_is_away_has_given_the_lease_to_nobody(
    server: FakeServer, new: Callable[..., Lease], time: Time
) -> None:
    lease = new()
    lease.acquire(silent)
    server.answers[f"GET {PATH}"] = httpx2.ConnectError("[Errno 111] Connection refused")
    time.passed = 3600.0
    lease.check_taken()
    del server.answers[f"GET {PATH}"]
    held(server)
    time.passed = 7200.0
    with pytest.raises(RefusedAsUnsafe, match="jane"):
        lease.check_taken()


def test_a_machine_that_slept_goes_on_if_the_lease_is_still_its_own(
    server: FakeServer, new: Callable[..., Lease], time: Time
) -> None:
    lease = new()
    lease.acquire(silent)
    time.passed = 3600.0
    lease.check()
    time.passed = 7200.0
    held(server)
    with pytest.raises(RefusedAsUnsafe, match="jane"):
        lease.check()


def test_a_lease_that_somebody_removed_is_made_anew(server: FakeServer, new: Callable[..., Lease]) -> None:
    lease = new()
    lease.acquire(silent)
    del server.objects[PATH]
    assert lease.renew() is True
    assert holder(server) == lease.holder
    lease.check()


def test_it_can_be_removed_instead_of_left(server: FakeServer, new: Callable[..., Lease]) -> None:
    lease = new()
    lease.acquire(silent)
    lease.release(remove=True)
    assert PATH not in server.objects
    held(server)
    lease.release(remove=True)
    assert holder(server) == OTHER


def test_an_end_is_no_failure_though_the_api_server_is_gone(
    server: FakeServer, new: Callable[..., Lease]
) -> None:
    lease = new()
    lease.acquire(silent)
    server.answers[f"GET {PATH}"] = httpx2.ConnectError("[Errno 111] Connection refused")
    lease.release()


def test_who_was_refused_leaves_without_asking_again(server: FakeServer, new: Callable[..., Lease]) -> None:
    server.answers[f"GET {PATH}"] = failure(403, "Forbidden", "no")
    lease = new()
    with pytest.raises(KubernetesForbidden):
        lease.acquire(silent)
    asked = len(server.asked)
    lease.release()
    assert len(server.asked) == asked


def test_what_has_changed_since_it_was_read_is_not_replaced(server: FakeServer, api: Api) -> None:
    held(server)
    found = api.get(LEASE, NAME, SPACE)
    assert found is not None
    renewing(server)
    with pytest.raises(KubernetesConflict, match="modified"):
        api.replace(LEASE, found)
    assert holder(server) == OTHER
