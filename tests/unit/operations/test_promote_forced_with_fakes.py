"""A promotion without a token: what is known and lost, who must agree, marks and fences, and a second try."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.operations.promotions import (
    carried_out,
    demoted,
    half_dead,
    lose,
    moves,
    notes,
    planned,
)
from tests.unit.operations.told import Told
from tests.unit.operations.two_sides import (
    FIRST,
    ONE,
    SECOND,
    TWO,
    Killed,
    TwoSides,
    writes_of_cluster,
)

from pgaas.errors import (
    NotHealthy,
    RefusedAsUnsafe,
    TimedOut,
    ToolFailed,
    UsageError,
)
from pgaas.kube.promotion import HIBERNATION, LOST_SIDE, MARKER
from pgaas.operations import promote as operation
from pgaas.operations.fence import fence
from pgaas.operations.progress import Silent
from pgaas.operations.promote import check_confirmation
from pgaas.operations.switchover import Choices, switchover
from pgaas.tools.archive import Archive

pytestmark = pytest.mark.usefixtures("archive")


def test_a_forced_one_says_what_is_known_and_what_is_lost(sides: TwoSides, archive: list[str]) -> None:
    lose(sides)
    plan = planned(sides)
    assert (plan.forced, plan.token, plan.lost, plan.already) == (True, None, ONE, False)
    assert archive == [FIRST]
    [other] = plan.seen
    assert other.startswith(f"{FIRST}: cannot be reached: ")
    assert "connection refused" in other
    assert plan.loss is not None
    assert plan.loss.seconds == 105
    assert "at most the last 105 s of writes" in plan.loss_detail
    assert moves(sides) == 0


def test_where_the_archive_cannot_be_read_the_loss_is_not_known(
    sides: TwoSides, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> Archive:
        raise ToolFailed("S3 is away")

    monkeypatch.setattr(operation, "archive_of", fail)
    lose(sides)
    plan = planned(sides)
    assert plan.loss is None
    assert plan.loss_detail == "not known: the archive cannot be read: S3 is away"


def test_what_is_seen_of_a_half_dead_side_counts_in_the_loss(
    sides: TwoSides, monkeypatch: pytest.MonkeyPatch
) -> None:
    known: list[Any] = []
    monkeypatch.setattr(
        operation, "estimate", lambda _a, _n, last: known.append(last) or operation.Loss(1, 2, "x")
    )
    sides.servers[ONE].postgres.recovering = True
    sides.servers[ONE].pace.asleep = True
    plan = planned(sides)
    assert plan.forced
    assert plan.seen == (f"{FIRST}: primary, Cluster in healthy state, at 0/5000000 on timeline 1",)
    assert known[0].primary_lsn == known[0].replayed_lsn == 0x5000000
    assert known[0].at is not None


def test_only_a_forced_one_asks_for_the_name(sides: TwoSides) -> None:
    lose(sides)
    plan = planned(sides)
    with pytest.raises(UsageError) as caught:
        check_confirmation(plan, None)
    assert f"--confirm {SECOND}" in caught.value.next_step
    for typed in ("", FIRST, SECOND.upper(), "yes"):
        with pytest.raises(UsageError) as caught:
            check_confirmation(plan, typed)
        assert SECOND in caught.value.next_step
    check_confirmation(plan, f" {SECOND}\n")
    assert moves(sides) == 0


def test_forced_it_takes_writes_marks_the_lost_side_and_leaves_it_alone(sides: TwoSides, told: Told) -> None:
    sides.write("a")
    lose(sides)
    done = carried_out(planned(sides), told)
    assert (done.forced, done.lost) == (True, ONE)
    assert sides.servers[TWO].postgres.rows == ("a",)
    assert not sides.servers[TWO].postgres.recovering
    assert notes(sides, TWO) == {LOST_SIDE: ONE}
    managers = [manager for manager, body in writes_of_cluster(sides.servers[TWO]) if LOST_SIDE in str(body)]
    assert managers == [MARKER]
    assert (sides.clients()["primaryDatacenter"], sides.clients()["lostDatacenters"]) == (TWO, [ONE])
    assert sides.journal.count("clients.yaml") == 1
    assert sides.name_leads_to == TWO
    # The mark comes ahead of the promotion: whoever looks from then on knows.
    first, second, *_ = writes_of_cluster(sides.servers[TWO])
    assert LOST_SIDE in str(first)
    assert second[1]["spec"]["replica"] == {"self": SECOND, "primary": SECOND, "source": FIRST}


def test_primary_and_lost_are_written_at_once(sides: TwoSides, monkeypatch: pytest.MonkeyPatch) -> None:
    lose(sides)
    before = (sides.root / "confs/admin/local/clients.yaml").read_text()
    versions: list[str] = []
    sides.on_step = lambda what: (
        versions.append((sides.root / "confs/admin/local/clients.yaml").read_text())
        if not versions or versions[-1] != (sides.root / "confs/admin/local/clients.yaml").read_text()
        else None
    )
    carried_out(planned(sides))
    assert versions[0] == before
    assert len(versions) == 2
    assert "primaryDatacenter: local2" in versions[1]
    assert "lostDatacenters: [local1]" in versions[1]


def test_a_half_dead_side_is_fenced_before_the_other_is_promoted(sides: TwoSides) -> None:
    half_dead(sides)
    plan = planned(sides)
    assert plan.forced
    carried_out(plan)
    assert sides.wrong == []
    assert notes(sides, ONE) == {HIBERNATION: "on"}
    assert not [path for path in sides.servers[ONE].objects if "/pods/" in path]
    journal = [step for step in sides.journal if "PATCH local-ic1-local" in step][:3]
    assert journal == [f"local2 PATCH {SECOND}", f"local1 PATCH {FIRST}", f"local2 PATCH {SECOND}"]


def test_a_side_that_cannot_be_fenced_keeps_the_other_from_being_promoted(
    sides: TwoSides, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pgaas.operations.fence.GONE_SECONDS", 0.02)
    half_dead(sides)
    sides.servers[ONE].pace.asleep = True
    with pytest.raises(TimedOut) as caught:
        carried_out(planned(sides))
    assert caught.value.exit_code == 7
    assert "see whether the operator runs there" in caught.value.next_step
    assert sides.servers[TWO].replica["primary"] == FIRST


@pytest.mark.parametrize(("reachable", "steps"), [(False, 12), (True, 15)])
def test_there_is_a_test_for_each_step(sides: TwoSides, reachable: bool, steps: int) -> None:
    (half_dead if reachable else lose)(sides)
    carried_out(planned(sides))
    assert len(sides.journal) == steps


@pytest.mark.parametrize(
    ("step", "reachable"),
    [*((step, False) for step in range(1, 13)), *((step, True) for step in range(1, 16))],
)
def test_forced_and_killed_after_any_step_and_run_again(sides: TwoSides, step: int, reachable: bool) -> None:
    (half_dead if reachable else lose)(sides)
    sides.last_step = step
    with pytest.raises(Killed):
        carried_out(planned(sides))
    sides.next_life()
    done = carried_out(planned(sides))
    assert done.lost == ONE
    assert not sides.servers[TWO].postgres.recovering
    assert (sides.clients()["primaryDatacenter"], sides.clients()["lostDatacenters"]) == (TWO, [ONE])
    assert notes(sides, TWO) == {LOST_SIDE: ONE}
    assert sides.wrong == []
    if reachable:
        assert notes(sides, ONE) == {HIBERNATION: "on"}


def test_a_lost_side_is_not_promoted(sides: TwoSides) -> None:
    lose(sides)
    carried_out(planned(sides))
    sides.down.clear()
    sides.servers[ONE].pace.asleep = True
    sides.down.add(TWO)
    with pytest.raises(RefusedAsUnsafe) as caught:
        planned(sides, dc=ONE)
    assert f"{FIRST} was given up by a promotion without a token" in caught.value.what
    assert "pgaas rebuild --ins ic1 --env local --dc local1" in caught.value.next_step


def test_a_side_that_somebody_fenced_is_not_promoted(sides: TwoSides) -> None:
    fence(sides.root, "ic1", "local", TWO, progress=Silent())
    sides.down.add(ONE)
    with pytest.raises(NotHealthy, match=f"{SECOND} is fenced, and has no instances"):
        planned(sides)


CHANGES: dict[str, tuple[Callable[[TwoSides], Any], str]] = {
    "the other side is back and writes": (
        lambda sides: sides.down.clear(),
        "is the primary and takes writes",
    ),
    "somebody promoted this one, and the other is the primary again": (
        lambda sides: (
            sides.down.clear(),
            switchover(sides.root, "ic1", "local", TWO, Choices(timeout=5), Silent()),
            switchover(sides.root, "ic1", "local", ONE, Choices(timeout=5), Silent()),
        ),
        "is the primary and takes writes",
    ),
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_happened_while_the_name_was_typed_counts(sides: TwoSides, what: str) -> None:
    change, reason = CHANGES[what]
    sides.down.add(ONE)
    plan = planned(sides)
    check_confirmation(plan, SECOND)
    change(sides)
    with pytest.raises(RefusedAsUnsafe, match=reason):
        carried_out(plan)
    assert sides.primary() == ONE
    assert sides.wrong == []


def test_a_plan_with_a_token_does_not_become_one_with_a_loss(sides: TwoSides) -> None:
    demoted(sides)
    plan = planned(sides)
    assert not plan.forced
    # Found in what was seen of local1; given by hand it would do.
    sides.servers[ONE].cluster["status"]["demotionToken"] = ""
    plan = replace(plan, token=None)
    with pytest.raises(RefusedAsUnsafe, match="only be promoted with a loss by now"):
        carried_out(plan)
    assert sides.servers[TWO].replica["primary"] == FIRST


def test_a_token_that_appeared_meanwhile_saves_from_the_loss(sides: TwoSides) -> None:
    sides.down.add(ONE)
    plan = planned(sides)
    assert plan.forced
    sides.down.clear()
    demoted(sides)
    done = carried_out(plan)
    assert (done.forced, done.lost) == (False, None)
    assert "lostDatacenters" not in sides.clients()
