"""A base backup that waits for a spread checkpoint is helped on, once, and never at a price."""

from __future__ import annotations

from typing import Any

import pytest

from pgaas.errors import KubernetesError
from pgaas.operations.backup_hurry import LOOK_EVERY, LOOK_FOR, Hurry


class FakeInstance:
    """Answers what it is asked in its containers, and remembers it."""

    def __init__(self, waiting: str = "1") -> None:
        self.waiting = waiting
        self.refused = False
        self.asked: list[tuple[str, str, str]] = []
        self.now = 0.0

    def execute(self, pod: str, container: str, namespace: str, argv: list[str], *, timeout: float) -> str:
        assert (container, argv[0]) == ("postgres", "psql")
        self.asked.append((namespace, pod, argv[-1].partition(" ")[0]))
        if self.refused:
            raise KubernetesError("pods/exec is forbidden")
        return self.waiting + "\n" if argv[-1].startswith("SELECT") else ""

    def clock(self) -> float:
        return self.now

    def hurry(self) -> Hurry:
        return Hurry(self, self.clock)  # type: ignore[arg-type]


def backup(phase: str = "started", pod: str = "one-1", name: str = "first") -> dict[str, Any]:
    status = {"phase": phase, "instanceID": {"podName": pod}} if pod else {"phase": phase}
    return {"metadata": {"name": name, "namespace": "ic1-prod"}, "status": status}


def test_a_backup_that_waits_for_its_checkpoint_gets_one_at_full_speed_once() -> None:
    instance = FakeInstance()
    hurry = instance.hurry()
    for moment in range(20):
        instance.now = float(moment)
        hurry(backup())
    assert instance.asked == [("ic1-prod", "one-1", "SELECT"), ("ic1-prod", "one-1", "CHECKPOINT")]


def test_where_nothing_waits_there_is_no_checkpoint_and_looking_ends() -> None:
    instance = FakeInstance("0")
    hurry = instance.hurry()
    for moment in range(int(3 * LOOK_FOR)):
        instance.now = float(moment)
        hurry(backup())
    assert {statement for *_, statement in instance.asked} == {"SELECT"}
    assert len(instance.asked) <= LOOK_FOR / LOOK_EVERY + 1


def test_it_waits_until_the_backup_waits() -> None:
    instance = FakeInstance("0")
    hurry = instance.hurry()
    hurry(backup())
    instance.now, instance.waiting = LOOK_EVERY, "1"
    hurry(backup())
    assert [statement for *_, statement in instance.asked] == ["SELECT", "SELECT", "CHECKPOINT"]


@pytest.mark.parametrize("ended", [backup("pending", ""), backup("completed"), backup("failed"), {}])
def test_one_that_has_not_begun_or_has_ended_is_left_alone(ended: dict[str, Any]) -> None:
    instance = FakeInstance()
    instance.hurry()({"metadata": {"name": "first"}, **ended})
    assert instance.asked == []


def test_each_backup_is_looked_at_for_itself() -> None:
    instance = FakeInstance()
    hurry = instance.hurry()
    hurry(backup())
    hurry(backup(name="second", pod="one-2"))
    assert [pod for _, pod, statement in instance.asked if statement == "CHECKPOINT"] == ["one-1", "one-2"]


@pytest.mark.parametrize("answer", ["refused", "what is this"])
def test_who_may_not_ask_waits_and_asks_no_more(answer: str) -> None:
    instance = FakeInstance(answer)
    instance.refused = answer == "refused"
    hurry = instance.hurry()
    for moment in range(20):
        instance.now = float(moment)
        hurry(backup())
    assert len(instance.asked) == 1
