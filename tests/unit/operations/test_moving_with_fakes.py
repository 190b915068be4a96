"""Catching up and a demotion: each knows when it is done, asks for the right first, and hides its token."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import httpx2
import pytest
from tests.unit.kube.fakes import failure
from tests.unit.operations.operators import SYSTEM, text_of, token
from tests.unit.operations.rights import Right, demoted, moves, promoted, seen
from tests.unit.operations.told import Told
from tests.unit.operations.two_sides import FIRST, ONE, SECOND, TWO, TwoSides, replica_of, writes_of_cluster

from pgaas.errors import KubernetesError, NotHealthy, RefusedAsUnsafe, TimedOut
from pgaas.operations.moving import (
    catch_up,
    demote_side,
    promote_side,
    topology,
)
from pgaas.operations.progress import Silent


@pytest.fixture
def right() -> Right:
    return Right()


def test_the_topology_of_both_roles(sides: TwoSides) -> None:
    pair = seen(sides)
    for primary, wanted in ((FIRST, (FIRST, FIRST, SECOND)), (SECOND, (FIRST, SECOND, SECOND))):
        found = topology(pair, ONE, primary)
        assert (found.self_name, found.primary, found.source) == wanted


def test_a_replica_that_applies_everything_has_caught_up(sides: TwoSides, told: Told) -> None:
    sides.write("a")
    pair = seen(sides)
    there = catch_up(pair[ONE], pair[TWO], timeout=1, progress=told)
    assert there.lsn == text_of(sides.servers[ONE].postgres.lsn)
    assert sides.servers[TWO].postgres.rows == ("a",)
    # The checkpoint comes ahead of the segment's end: it is to be in what is applied before the demotion.
    assert sides.journal == ["local1 checkpoint", "local1 select pg_switch_wal()", "local2 checkpoint"]


STUCK: dict[str, tuple[dict[str, Any], str]] = {
    "it applies nothing": ({}, "it is at 0/5000000 on timeline 1, the primary at 0/5000040 on 1"),
    "it is of another system": (
        {"system": "7"}, "it has another system id (7 instead of 7100000000000000001)"
    ),
    "it is further on a timeline of its own": (
        {"timeline": 2, "lsn": 0x9000000}, "it is at 0/9000000 on timeline 2, the primary at 0/5000040 on 1"
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", STUCK)
def test_a_replica_that_does_not_follow_is_told(sides: TwoSides, what: str) -> None:
    changes, reason = STUCK[what]
    sides.write("a")
    sides.servers[TWO].postgres = replace(sides.servers[TWO].postgres, **changes)
    sides.on_step = lambda _: sides.archives.update({ONE: replace(sides.archives[ONE], system="none")})
    pair = seen(sides)
    with pytest.raises(NotHealthy) as caught:
        catch_up(pair[ONE], pair[TWO], timeout=1, progress=Silent())
    assert reason in caught.value.what
    assert f"{SECOND} does not follow {FIRST}" in caught.value.what
    assert "pgaas rebuild --ins ic1 --env local --dc local2" in caught.value.next_step


def test_a_demotion_ends_with_its_token(sides: TwoSides, right: Right, told: Told) -> None:
    found = demoted(sides, right, told=told)
    [text] = sides.servers[ONE].tokens
    assert found.text == text
    assert (found.timeline, found.system_id) == (1, SYSTEM)
    assert right.asked == 1
    assert replica_of(sides.servers[ONE]) == {"self": FIRST, "primary": SECOND, "source": SECOND}
    assert text not in told.text


def test_demoted_twice_it_gives_the_same_token_and_writes_nothing(sides: TwoSides) -> None:
    first = demoted(sides)
    before = moves(sides)
    assert demoted(sides, Right(left=0)) == first
    assert moves(sides) == before


def test_a_used_token_is_not_taken_for_the_new_one(sides: TwoSides) -> None:
    """The condition of the round before is there for some looks after the patch."""
    first = demoted(sides)
    promoted(sides, first)
    pair = seen(sides)
    second = demote_side(pair, TWO, FIRST, Right(), timeout=5, progress=Silent())
    promote_side(seen(sides), ONE, second, Right(), timeout=5, progress=Silent())
    sides.servers[ONE].pace.stale = 5
    third = demoted(sides)
    assert [first.timeline, second.timeline, third.timeline] == [1, 2, 3]


def test_a_token_left_in_the_spec_by_somebody_else_does_not_keep_it_from_being_demoted(
    sides: TwoSides,
) -> None:
    server = sides.servers[ONE]
    body = {
        "apiVersion": "postgresql.cnpg.io/v1",
        "kind": "Cluster",
        "metadata": {"name": FIRST, "namespace": "ic1-local"},
        "spec": {"replica": {"promotionToken": token(1, 5)}},
    }
    server.apply_as(server.path, "kubectl", body, force=False, dry=False)
    demoted(sides)
    assert "promotionToken" not in server.replica


def test_a_demotion_that_sleeps_is_nudged(sides: TwoSides, right: Right) -> None:
    sides.servers[ONE].pace.lazy = True
    found = demoted(sides, right)
    assert found.timeline == 1
    nudges = [body["metadata"]["annotations"] for _, body in writes_of_cluster(sides.servers[ONE])[1:]]
    assert nudges
    assert nudges[0] == {"pgaas.io/nudge": "demotion-1"}
    assert right.asked == 1 + len(nudges)


def test_a_nudge_is_not_given_once_the_right_is_lost(sides: TwoSides) -> None:
    sides.servers[ONE].pace.lazy = True
    with pytest.raises(RefusedAsUnsafe, match="Lease"):
        demoted(sides, Right(left=1))
    assert len(writes_of_cluster(sides.servers[ONE])) == 1


def test_a_demotion_that_does_not_end_times_out_and_goes_on_later(sides: TwoSides) -> None:
    sides.servers[ONE].pace.demotion = 10**9
    with pytest.raises(TimedOut) as caught:
        demoted(sides, timeout=0.05)
    assert caught.value.exit_code == 7
    assert "run the same command again" in caught.value.next_step
    assert "pgaas status --ins ic1 --env local --dc local1" in caught.value.next_step
    sides.servers[ONE].pace.demotion = 1
    assert demoted(sides).timeline == 1


def test_turning_round_in_the_middle_waits_until_the_operator_allows_it(sides: TwoSides) -> None:
    sides.servers[ONE].pace.demotion = 10**9
    with pytest.raises(TimedOut):
        demoted(sides, timeout=0.05)
    with pytest.raises(TimedOut) as caught:
        promote_side(seen(sides), ONE, None, Right(), timeout=0.05, progress=Silent())
    assert "ongoing operation" in caught.value.what
    assert "run the same command again" in caught.value.next_step
    sides.servers[ONE].pace.demotion = 3
    looks = threading.Timer(0.05, sides.time_passes)
    looks.start()
    done = promote_side(seen(sides), ONE, None, Right(), timeout=5, progress=Silent())
    looks.join()
    assert not done.already
    assert sides.primary() == ONE


def test_an_api_server_that_does_not_take_the_change_times_out(sides: TwoSides) -> None:
    pair = seen(sides)
    server = sides.servers[ONE]
    server.answers[f"PATCH {server.path}"] = httpx2.ReadTimeout("slow")
    with pytest.raises(TimedOut) as caught:
        demote_side(pair, ONE, SECOND, Right(), timeout=0.01, progress=Silent())
    assert "did not answer in time" in caught.value.what
    assert "run the same command again" in caught.value.next_step


def test_any_other_refusal_is_told_at_once(sides: TwoSides) -> None:
    server = sides.servers[ONE]
    server.answers[f"PATCH {server.path}"] = failure(403, "Forbidden", "no right to patch clusters")
    with pytest.raises(KubernetesError, match="no right to patch clusters"):
        demoted(sides)


def test_without_the_right_nothing_is_demoted(sides: TwoSides) -> None:
    sides.servers[ONE].cluster["spec"]["replica"]["promotionToken"] = token(1, 5)
    with pytest.raises(RefusedAsUnsafe, match="Lease"):
        demoted(sides, Right(left=0))
    assert moves(sides) == 0
