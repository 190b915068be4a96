"""A Lease: who gets it, and who is told what."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx2
import pytest
from tests.unit.kube.fakes import FakeServer, path_of
from tests.unit.kube.leases import NAME, OTHER, PATH, SPACE, Time, held, holder, silent

from pgaas.errors import RefusedAsUnsafe
from pgaas.kube.holder import Holder, this_process
from pgaas.kube.lease import Lease
from pgaas.kube.resources import LEASE


def mine(**changes: Any) -> Holder:
    """Return a holder on this machine."""
    process = this_process()
    assert process is not None
    return replace(OTHER, process=replace(process, **changes))


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
