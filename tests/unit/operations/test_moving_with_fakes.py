"""The two steps of a move: each knows when it is done, asks for the right first, and hides its token."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import httpx2
import pytest
from tests.unit.kube.fakes import failure
from tests.unit.operations.operators import CHECKPOINT, SYSTEM, text_of, token
from tests.unit.operations.told import Told
from tests.unit.operations.two_sides import FIRST, ONE, SECOND, TWO, TwoSides, replica_of, writes_of_cluster

from pgaas.errors import KubernetesError, NotHealthy, RefusedAsUnsafe, TimedOut
from pgaas.kube.promotion import Token, parse_token
from pgaas.operations.exclusive import Exclusive
from pgaas.operations.moving import (
    catch_up,
    check_token,
    demote_side,
    promote_side,
    topology,
    wait_promoted,
)
from pgaas.operations.pair import Pair, look, look_at
from pgaas.operations.progress import Silent


class Right(Exclusive):
    """The right to act; `left` says how many times it may be asked for before it is lost."""

    def __init__(self, left: int = 1000) -> None:
        super().__init__()
        self.left = left
        self.asked = 0

    def check(self) -> None:
        """Count."""
        self.asked += 1
        if self.asked > self.left:
            raise RefusedAsUnsafe("the Lease is lost")


@pytest.fixture
def right() -> Right:
    return Right()


def seen(sides: TwoSides) -> Pair:
    return look({dc: sides.subject(dc) for dc in (ONE, TWO)})


def demoted(
    sides: TwoSides, right: Exclusive | None = None, *, timeout: float = 5.0, told: Any = None
) -> Token:
    found = right or Right()
    return demote_side(seen(sides), ONE, SECOND, found, timeout=timeout, progress=told or Silent())


def promoted(
    sides: TwoSides,
    given: Token | None,
    right: Exclusive | None = None,
    *,
    timeout: float = 5.0,
    told: Any = None,
) -> Any:
    found = right or Right()
    return promote_side(seen(sides), TWO, given, found, timeout=timeout, progress=told or Silent())


def moves(sides: TwoSides) -> int:
    return sum(len(writes_of_cluster(server)) for server in sides.servers.values())


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


def test_a_promotion_ends_when_writes_are_taken(sides: TwoSides, right: Right, told: Told) -> None:
    sides.write("a")
    given = demoted(sides)
    reached: list[str] = []
    promote_side(
        seen(sides),
        TWO,
        given,
        right,
        timeout=5,
        progress=told,
        on_reached=lambda: reached.append(sides.servers[TWO].postgres.rows[-1]),
    )
    assert reached == ["a"]
    assert sides.primary() == TWO
    assert right.asked == 1
    assert given.text not in told.text
    wait_promoted(look_at(sides.subject(TWO)), timeout=5, progress=told)
    assert sides.servers[TWO].cluster["status"]["lastPromotionToken"] == given.text


def test_promoted_twice_it_writes_nothing(sides: TwoSides) -> None:
    given = demoted(sides)
    promoted(sides, given)
    before, reached = moves(sides), threading.Event()
    done = promote_side(
        seen(sides), TWO, given, Right(left=0), timeout=5, progress=Silent(), on_reached=reached.set
    )
    assert done.already
    assert reached.is_set()
    assert moves(sides) == before


def test_a_promotion_that_sleeps_is_nudged_with_the_right(sides: TwoSides, right: Right) -> None:
    given = demoted(sides)
    sides.servers[TWO].pace.lazy = True
    promoted(sides, given, right)
    first, *nudges = [body for _, body in writes_of_cluster(sides.servers[TWO])]
    assert first["spec"]["replica"]["promotionToken"] == given.text
    assert nudges[0]["metadata"]["annotations"] == {"pgaas.io/nudge": "1"}
    assert nudges[0]["spec"] == first["spec"]
    assert right.asked == 1 + len(nudges)


def test_a_terminal_that_lost_the_right_does_not_promote_again_behind_the_back_of_the_one_that_has_it(
    sides: TwoSides,
) -> None:
    """Without the right asked again, its next nudge would take the topology back by force: two primaries."""
    given = demoted(sides)
    sides.servers[TWO].pace.lazy = True
    with pytest.raises(RefusedAsUnsafe, match="Lease"):
        promoted(sides, given, Right(left=1))
    assert len(writes_of_cluster(sides.servers[TWO])) == 1
    assert not [
        each for each in threading.enumerate() if type(each).__name__ == "_Watch" and not each.stop.is_set()
    ]  # type: ignore[attr-defined]


def test_without_the_right_nothing_is_promoted(sides: TwoSides) -> None:
    given = demoted(sides)
    with pytest.raises(RefusedAsUnsafe, match="Lease"):
        promoted(sides, given, Right(left=0))
    assert writes_of_cluster(sides.servers[TWO]) == []


def test_a_promotion_that_does_not_end_times_out(sides: TwoSides, told: Told) -> None:
    given = demoted(sides)
    sides.servers[TWO].pace.never_promotes = True
    with pytest.raises(TimedOut) as caught:
        promoted(sides, given, timeout=0.1, told=told)
    assert "all WAL is applied, PostgreSQL promotes" in caught.value.what
    assert "run the same command again" in caught.value.next_step
    assert given.text not in told.text + caught.value.what
    sides.servers[TWO].pace.never_promotes = False
    promoted(sides, given)
    assert sides.primary() == TWO


def test_a_promotion_whose_instance_cannot_be_asked_says_so(sides: TwoSides) -> None:
    given, pair = demoted(sides), seen(sides)
    sides.servers[TWO].pace.never_promotes = True
    sides.mute.add(TWO)
    with pytest.raises(TimedOut, match="cannot be asked: exec"):
        promote_side(pair, TWO, given, Right(), timeout=0.05, progress=Silent())


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "of another system": ({"system": "8"}, f"it is of system 8, {SECOND} is {SYSTEM}"),
    "of an earlier timeline": ({"timeline": 1}, f"it is of timeline 1, {SECOND} is on 2 already"),
    "of an end that is passed": ({"lsn": 0x4000000}, f"{SECOND} is at 0/5000000, beyond the end"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_token_for_something_else_is_refused_before_it_is_sent(sides: TwoSides, what: str) -> None:
    changes, reason = WRONG[what]
    sides.servers[TWO].postgres.timeline = 2
    text = token(**{"timeline": 2, "lsn": 0x5000000, **changes})
    with pytest.raises(RefusedAsUnsafe) as caught:
        promoted(sides, parse_token(text))
    assert reason in caught.value.what
    assert text not in f"{caught.value!r} {caught.value.what} {caught.value.next_step}"
    assert moves(sides) == 0


def test_the_shutdown_checkpoint_is_not_beyond_the_token(sides: TwoSides) -> None:
    side = seen(sides)[TWO]
    there = sides.servers[TWO].postgres.lsn
    check_token(side, parse_token(token(1, there - CHECKPOINT)))
    check_token(side, parse_token(token(1, there - 8192)))
    with pytest.raises(RefusedAsUnsafe):
        check_token(side, parse_token(token(1, there - 8193)))


def test_a_side_that_cannot_be_asked_is_not_promoted_with_a_token(sides: TwoSides) -> None:
    sides.mute.add(TWO)
    with pytest.raises(NotHealthy, match="cannot be asked where it is: exec"):
        promoted(sides, parse_token(token(1, 5)))
    assert moves(sides) == 0


def test_a_side_on_its_way_up_may_take_its_own_token_back(sides: TwoSides) -> None:
    own = demoted(sides)
    sides.mute.add(ONE)
    side = seen(sides)[ONE]
    assert side.position is None
    check_token(side, own)
    with pytest.raises(NotHealthy, match="cannot be asked where it is"):
        check_token(side, parse_token(token(1, own.lsn + 8)))


def test_a_token_that_the_operator_finds_wrong_is_taken_back(sides: TwoSides) -> None:
    """It came past the check: the replica moved on in between."""
    given, right, pair = demoted(sides), Right(), seen(sides)
    sides.servers[TWO].postgres.timeline = 2
    sides.archives[ONE] = replace(sides.archives[ONE], system="none")
    with pytest.raises(RefusedAsUnsafe) as caught:
        promote_side(pair, TWO, given, right, timeout=5, progress=Silent())
    assert "Promotion token content is not correct" in caught.value.what
    assert "it is a replica again" in caught.value.what
    assert given.text not in f"{caught.value!r} {caught.value.what} {caught.value.next_step}"
    assert sides.servers[TWO].replica == {"self": SECOND, "primary": FIRST, "source": FIRST}
    assert right.asked == 2
    # The old side takes its own token back.
    own = demoted(sides)
    promote_side(seen(sides), ONE, own, Right(), timeout=5, progress=Silent())
    assert sides.primary() == ONE
    assert sides.wrong == []


def test_a_wrong_token_stays_where_it_is_when_somebody_else_has_the_right(sides: TwoSides) -> None:
    given, pair = demoted(sides), seen(sides)
    sides.servers[TWO].postgres.timeline = 2
    sides.archives[ONE] = replace(sides.archives[ONE], system="none")
    with pytest.raises(RefusedAsUnsafe, match="Lease"):
        promote_side(pair, TWO, given, Right(left=1), timeout=5, progress=Silent())
    assert len(writes_of_cluster(sides.servers[TWO])) == 1


def test_a_primary_that_is_broken_is_not_demoted_for_it(sides: TwoSides) -> None:
    """Unrecoverable has other causes too; without a token there is nothing to take back."""
    server = sides.servers[ONE]
    server.pace.asleep = True
    server.cluster["status"] |= {"phase": "Cluster is unrecoverable and needs manual intervention"}
    sides.mute.add(ONE)
    with pytest.raises(NotHealthy, match="will not: Cluster is unrecoverable"):
        promote_side(seen(sides), ONE, None, Right(), timeout=5, progress=Silent())
    assert replica_of(server) == {"self": FIRST, "primary": FIRST, "source": SECOND}


def test_a_cluster_that_is_never_healthy_times_out(sides: TwoSides) -> None:
    sides.servers[ONE].pace.asleep = True
    sides.servers[ONE].cluster["status"]["phase"] = "Waiting for instances"
    with pytest.raises(TimedOut) as caught:
        wait_promoted(seen(sides)[ONE], timeout=0.01, progress=Silent())
    assert "takes writes, but is not healthy" in caught.value.what
    assert "Waiting for instances" in caught.value.what
    assert "pgaas wait" in caught.value.next_step
