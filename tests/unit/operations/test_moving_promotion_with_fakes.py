"""A promotion as a step: when it is done, which token is for it, and the right that it needs all along."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.operations.operators import CHECKPOINT, SYSTEM, token
from tests.unit.operations.rights import Right, demoted, moves, promoted, seen
from tests.unit.operations.told import Told
from tests.unit.operations.two_sides import FIRST, ONE, SECOND, TWO, TwoSides, replica_of, writes_of_cluster

from pgaas.errors import NotHealthy, RefusedAsUnsafe, TimedOut
from pgaas.kube.promotion import parse_token
from pgaas.operations.moving import (
    check_token,
    promote_side,
    wait_promoted,
)
from pgaas.operations.pair import look_at
from pgaas.operations.progress import Silent


@pytest.fixture
def right() -> Right:
    return Right()


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


def test_a_promotion_is_not_over_while_a_restart_is_ahead(sides: TwoSides) -> None:
    sides.servers[ONE].restarts_for = "archive_mode"
    with pytest.raises(TimedOut, match="restarts for archive_mode"):
        wait_promoted(seen(sides)[ONE], timeout=0.01, progress=Silent())
    sides.servers[ONE].restarts_for = ""
    wait_promoted(seen(sides)[ONE], timeout=5, progress=Silent())
