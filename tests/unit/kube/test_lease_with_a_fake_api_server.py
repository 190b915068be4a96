"""A Lease: who gets it, who is told what, how it is kept, and what its loss does."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from tests.unit.kube.fakes import FakeServer, failure, path_of

from pgaas.errors import KubernetesConflict, KubernetesForbidden, RefusedAsUnsafe
from pgaas.kube import lease as module
from pgaas.kube.client import Api
from pgaas.kube.holder import Holder, Process, holder_of, myself, this_process
from pgaas.kube.lease import LEASE_SECONDS, Lease
from pgaas.kube.resources import LEASE

SPACE, NAME = "ic1-local", "pgaas-ic1-local"
PATH = path_of(LEASE, SPACE, NAME)
NOON = datetime(2026, 5, 2, 12, tzinfo=UTC)
OTHER_MACHINE = Process("ci-7 boot pid:[1]", 42, "1000")
OTHER = Holder("jane@ci-7 42 abc", "jane@ci-7", "switchover", "2026-05-02 11:59:00 UTC", OTHER_MACHINE)


class Time:
    """One clock for both kinds of time, which passes while sleeping; `at` holds what happens when."""

    def __init__(self) -> None:
        self.passed = 0.0
        self.at: list[tuple[float, Callable[[], Any]]] = []

    def clock(self) -> float:
        return self.passed

    def now(self) -> datetime:
        return NOON + timedelta(seconds=self.passed)

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.passed += seconds
        due = [action for moment, action in self.at if moment <= self.passed]
        self.at = [entry for entry in self.at if entry[0] > self.passed]
        for action in due:
            action()


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def new(api: Api, time: Time) -> Callable[..., Lease]:
    def make(verb: str = "create", holder: Holder | None = None) -> Lease:
        made = holder or myself(verb)
        return Lease(api, NAME, SPACE, made, clock=time.clock, now=time.now, sleep=time.sleep)

    return make


def held(server: FakeServer, holder: Holder = OTHER, *, ago: float = 5.0, **spec: Any) -> None:
    """Leave a Lease that somebody else renewed so many seconds ago."""
    stamp = f"{NOON - timedelta(seconds=ago):%Y-%m-%dT%H:%M:%S.%fZ}"
    content = {"holderIdentity": holder.identity, "leaseDurationSeconds": 60, "renewTime": stamp, **spec}
    metadata = {"name": NAME, "namespace": SPACE, "annotations": holder.annotations}
    server.put(LEASE, server.versioned({"metadata": metadata, "spec": content}))


def renewing(server: FakeServer) -> None:
    """Change the Lease as its holder does."""
    server.objects[PATH] = server.versioned(server.objects[PATH])


def holder(server: FakeServer) -> Holder | None:
    return holder_of(server.objects[PATH])


def silent(_: str) -> None:
    """Be told nothing."""


def test_a_free_lease_is_made_and_says_who_holds_it(
    server: FakeServer, new: Callable[..., Lease], time: Time
) -> None:
    lease = new("create")
    lease.acquire(silent)
    [asked] = server.writes()
    assert (asked.method, asked.path) == ("POST", path_of(LEASE, SPACE))
    assert asked.query["fieldManager"] == "pgaas"
    spec = asked.body["spec"]
    assert spec["holderIdentity"] == lease.holder.identity
    assert (spec["leaseDurationSeconds"], spec["renewTime"]) == (60, "2026-05-02T12:00:00.000000Z")
    notes = asked.body["metadata"]["annotations"]
    assert "@" in notes["pgaas.io/held-by"]
    assert notes["pgaas.io/verb"] == "create"
    assert notes["pgaas.io/since"].endswith(" UTC")
    assert notes["pgaas.io/process"].startswith(f"{os.getpid()} ")
    lease.check()


def test_a_left_lease_is_put_in_place_of_the_one_that_was_read(
    server: FakeServer, new: Callable[..., Lease]
) -> None:
    first, second = new("create"), new("delete")
    first.acquire(silent)
    first.release()
    assert holder(server) is None
    assert server.objects[PATH]["metadata"]["annotations"] == {}
    read = server.objects[PATH]["metadata"]["resourceVersion"]
    second.acquire(silent)
    asked = server.writes()[-1]
    assert (asked.method, asked.query["fieldManager"]) == ("PUT", "pgaas")
    assert asked.content_type == "application/json"
    assert asked.body["metadata"]["resourceVersion"] == read
    assert asked.body["spec"]["leaseTransitions"] == 1
    assert holder(server) == second.holder


def test_a_held_lease_is_refused_at_once_with_who_what_and_since_when(
    server: FakeServer, new: Callable[..., Lease], time: Time
) -> None:
    held(server, ago=20.5)
    with pytest.raises(RefusedAsUnsafe) as caught:
        new().acquire(silent)
    assert "jane@ci-7 runs `pgaas switchover` since 2026-05-02 11:59:00 UTC, process 42" in caught.value.what
    assert caught.value.next_step == "run again when it has ended, or in 40 s if it was killed"
    assert NAME in caught.value.where
    assert (time.passed, server.writes()) == (0.0, [])


@pytest.mark.parametrize("ago", [59.0, -59.0])
def test_clocks_that_differ_by_less_than_the_duration_make_no_lease_expire(
    server: FakeServer, new: Callable[..., Lease], ago: float
) -> None:
    held(server, ago=ago)
    with pytest.raises(RefusedAsUnsafe):
        new().acquire(silent)


@pytest.mark.parametrize(("ago", "seconds"), [(61.0, 20.0), (3600.0, 20.0), (-61.0, 60.0)])
def test_an_expired_lease_is_watched_and_taken_over(
    server: FakeServer, new: Callable[..., Lease], time: Time, ago: float, seconds: float
) -> None:
    held(server, ago=ago, leaseTransitions=3)
    told: list[str] = []
    lease = new()
    lease.acquire(told.append)
    assert holder(server) == lease.holder
    assert server.objects[PATH]["spec"]["leaseTransitions"] == 4
    assert time.passed == seconds
    [line] = told
    assert "jane@ci-7" in line


def test_a_lease_whose_holder_has_a_clock_that_is_late_is_not_taken_over(
    server: FakeServer, new: Callable[..., Lease], time: Time
) -> None:
    held(server, ago=3600.0)
    time.at.append((15.0, lambda: held(server, ago=3585.0)))
    with pytest.raises(RefusedAsUnsafe) as caught:
        new().acquire(silent)
    assert "in 60 s if it was killed" in caught.value.next_step
    assert holder(server) == OTHER
    assert time.passed < 20.0


def test_a_lease_that_is_left_while_it_is_watched_is_taken_at_once(
    server: FakeServer, new: Callable[..., Lease], time: Time
) -> None:
    held(server, ago=-300.0)
    time.at.append((4.0, lambda: held(server, holderIdentity="")))
    lease = new()
    lease.acquire(silent)
    assert (holder(server), time.passed) == (lease.holder, 4.0)


@pytest.mark.parametrize(
    "spec", [{"leaseDurationSeconds": 3600}, {"renewTime": None, "leaseDurationSeconds": 90}]
)
def test_a_lease_that_a_person_made_to_keep_others_out_does(
    server: FakeServer, new: Callable[..., Lease], spec: dict[str, Any]
) -> None:
    held(server, Holder("maintenance", "", "", ""), ago=100.0, **spec)
    server.objects[PATH]["metadata"].pop("annotations")
    with pytest.raises(RefusedAsUnsafe, match="maintenance holds it") as caught:
        new().acquire(silent)
    wanted = "in 3500 s" if spec["leaseDurationSeconds"] == 3600 else f"delete lease {NAME}"
    assert wanted in caught.value.next_step


def mine(**changes: Any) -> Holder:
    """Return a holder on this machine."""
    process = this_process()
    assert process is not None
    return replace(OTHER, process=replace(process, **changes))


def test_a_dead_process_of_this_machine_holds_nothing(
    server: FakeServer, new: Callable[..., Lease], time: Time
) -> None:
    # The process id lives, as this very test, but had another life before.
    held(server, mine(started="1"))
    lease = new()
    lease.acquire(silent)
    assert (holder(server), time.passed) == (lease.holder, 0.0)


def test_a_process_id_that_is_gone_holds_nothing(server: FakeServer, new: Callable[..., Lease]) -> None:
    held(server, mine(pid=2**22 + 1))
    lease = new()
    lease.acquire(silent)
    assert holder(server) == lease.holder


@pytest.mark.parametrize("changes", [{}, {"machine": "ci-7 boot pid:[1]", "pid": 2**22 + 1}])
def test_a_process_that_lives_or_is_elsewhere_keeps_its_lease(
    server: FakeServer, new: Callable[..., Lease], changes: dict[str, Any]
) -> None:
    held(server, mine(**changes))
    with pytest.raises(RefusedAsUnsafe):
        new().acquire(silent)


def test_a_process_that_nobody_has_waited_for_yet_is_dead(
    server: FakeServer, new: Callable[..., Lease], monkeypatch: pytest.MonkeyPatch
) -> None:
    started = this_process().started  # type: ignore[union-attr]
    monkeypatch.setattr("pgaas.kube.holder._stat", lambda _: ("Z", started))
    held(server, mine())
    new().acquire(silent)


@pytest.mark.parametrize("note", ["", "x", "0 1 m", "-1 1 m", "7 1", f"{'9' * 30} 1 m"])
def test_an_annotation_that_names_no_process_proves_nothing(
    server: FakeServer, new: Callable[..., Lease], note: str
) -> None:
    held(server)
    server.objects[PATH]["metadata"]["annotations"]["pgaas.io/process"] = note
    with pytest.raises(RefusedAsUnsafe):
        new().acquire(silent)


def test_of_two_that_look_at_the_same_moment_one_gets_it(
    server: FakeServer, new: Callable[..., Lease], time: Time
) -> None:
    """The second acquires between the first one's look and its write: on a new Lease, then on a left one."""
    for verb in ("POST", "PUT"):
        first, second = new("create"), new("delete")
        path = PATH if verb == "PUT" else path_of(LEASE, SPACE)

        def between(
            request: httpx2.Request, second: Lease = second, key: str = f"{verb} {path}"
        ) -> httpx2.Response:
            del server.answers[key]
            second.acquire(silent)
            return server(request)

        server.answers[f"{verb} {path}"] = between
        with pytest.raises(RefusedAsUnsafe, match="pgaas delete"):
            first.acquire(silent)
        assert holder(server) == second.holder
        first.release()
        assert holder(server) == second.holder
        second.release()


def test_of_many_threads_exactly_one_gets_it(server: FakeServer, new: Callable[..., Lease]) -> None:
    results: list[Lease] = []
    refused: list[RefusedAsUnsafe] = []
    gate = threading.Barrier(8)

    def race() -> None:
        lease = new()
        gate.wait()
        try:
            lease.acquire(silent)
            results.append(lease)
        except RefusedAsUnsafe as error:
            refused.append(error)

    threads = [threading.Thread(target=race) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [winner] = results
    assert len(refused) == 7
    assert holder(server) == winner.holder


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
