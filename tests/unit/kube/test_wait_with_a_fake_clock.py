"""A wait: success, hopelessness, time running out, an API server that goes away."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from pgaas.errors import KubernetesError, KubernetesUnavailable
from pgaas.kube.wait import Ending, Item, Seen, Waited, wait_for


class Clock:
    """Time that passes only while sleeping."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds


def waiting(probe: Callable[[], Seen], timeout: float = 10.0) -> tuple[Waited, list[Item]]:
    clock, changes = Clock(), []
    return (
        wait_for(
            probe, timeout=timeout, interval=1.0, on_change=changes.extend, clock=clock, sleep=clock.sleep
        ),
        changes,
    )


def playing(*looks: Seen | Exception) -> Callable[[], Seen]:
    iterator: Iterator[Seen | Exception] = iter(looks)
    last: list[Seen | Exception] = []

    def probe() -> Seen:
        look = next(iterator, last[0] if last else Seen(()))
        last[:] = [look]
        if isinstance(look, Exception):
            raise look
        return look

    return probe


def one(ok: bool, detail: str = "") -> Seen:
    return Seen((Item("a", ok, detail),))


def test_it_succeeds_when_every_item_is_there() -> None:
    waited, changes = waiting(playing(one(False, "starting"), one(False, "starting"), one(True, "there")))
    assert (waited.ending, waited.seconds) == (Ending.SUCCEEDED, 2.0)
    assert [item.detail for item in changes] == ["starting", "there"]


def test_it_looks_at_least_once_even_with_no_time() -> None:
    assert waiting(playing(one(True)), timeout=0.0)[0].ending is Ending.SUCCEEDED


def test_it_ends_at_once_when_hopeless() -> None:
    waited, _ = waiting(playing(one(False), Seen((Item("a", False),), hopeless="never")))
    assert (waited.ending, waited.seconds, waited.seen.hopeless) == (Ending.FAILED, 1.0, "never")


def test_it_times_out_with_what_it_saw_last_and_not_later() -> None:
    waited, _ = waiting(playing(one(False, "still")), timeout=2.5)
    assert (waited.ending, waited.seconds) == (Ending.TIMED_OUT, 2.5)
    assert waited.seen.missing == (Item("a", False, "still"),)


def test_an_api_server_that_restarts_is_waited_for() -> None:
    gone = KubernetesUnavailable("connection refused")
    waited, changes = waiting(playing(one(False), gone, gone, one(True)))
    assert waited.ending is Ending.SUCCEEDED
    assert [item.detail for item in changes if item.name == "API server"] == [
        "connection refused",
        "answers again",
    ]


def test_an_api_server_that_stays_away_is_named_at_the_end() -> None:
    waited, _ = waiting(playing(one(False, "x"), KubernetesUnavailable("refused")), timeout=3.0)
    assert waited.ending is Ending.TIMED_OUT
    assert [item.name for item in waited.seen.missing] == ["a", "API server"]


def test_any_other_refusal_ends_the_wait() -> None:
    with pytest.raises(KubernetesError, match="forbidden"):
        waiting(playing(KubernetesError("forbidden")))
