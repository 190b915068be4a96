"""A promotion by hand with a token, found or given: what it does, what it refuses, and its second try."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
from tests.unit.operations.operators import text_of, token
from tests.unit.operations.promotions import (
    carried_out,
    demoted,
    lose,
    moves,
    planned,
)
from tests.unit.operations.told import Told
from tests.unit.operations.two_sides import (
    FIRST,
    ONE,
    SECOND,
    TWO,
    TwoSides,
    replica_of,
)

from pgaas.errors import (
    KubernetesError,
    NotHealthy,
    PgaasError,
    RefusedAsUnsafe,
    TimedOut,
)
from pgaas.operations.demote import demote
from pgaas.operations.progress import Silent
from pgaas.operations.promote import check_confirmation, promote
from pgaas.operations.switchover import Choices, switchover

pytestmark = pytest.mark.usefixtures("archive")


def test_with_the_token_that_was_printed_nothing_is_lost(sides: TwoSides, told: Told) -> None:
    sides.write("a")
    text = demoted(sides)
    plan = planned(sides, text)
    assert (plan.forced, plan.already, plan.lost, plan.cluster) == (False, False, None, SECOND)
    check_confirmation(plan, None)
    done = carried_out(plan, told)
    assert (done.cluster, done.forced, done.lost) == (SECOND, False, None)
    assert 0 < done.writable_after <= done.seconds
    assert sides.primary() == TWO
    assert sides.wrong == []
    assert sides.servers[TWO].postgres.rows == ("a",)
    assert sides.clients()["primaryDatacenter"] == TWO
    assert "lostDatacenters" not in sides.clients()
    shown = f"{plan!r} {done!r} {told.text}"
    assert text not in shown


def test_the_token_of_a_demoted_side_that_can_be_seen_is_found(sides: TwoSides, archive: list[str]) -> None:
    text = demoted(sides)
    plan = planned(sides)
    assert plan.token is not None
    assert (plan.token.text, plan.forced) == (text, False)
    assert archive == []
    carried_out(plan)
    assert sides.primary() == TWO


def test_with_the_other_side_away_the_given_token_is_enough(sides: TwoSides) -> None:
    """The seed's way: one context at hand on each side."""
    text = demoted(sides)
    sides.down.add(ONE)
    with pytest.raises(NotHealthy) as caught:
        carried_out(planned(sides, text))
    # It writes; what the other side needs is left, and said.
    assert sides.primary() == TWO
    assert "is the primary and takes writes, but not all is done" in caught.value.what
    assert "release of local1" in caught.value.what
    assert sides.clients()["primaryDatacenter"] == TWO
    sides.down.clear()
    done = carried_out(planned(sides))
    assert done.already
    assert sides.servers[ONE].replica["primary"] == SECOND


def test_while_the_other_side_takes_writes_it_is_refused(sides: TwoSides) -> None:
    for given in (None, token(1, 0x5000000)):
        with pytest.raises(RefusedAsUnsafe) as caught:
            planned(sides, given)
        assert caught.value.exit_code == 8
        assert f"{FIRST} is the primary and takes writes" in caught.value.what
        assert "pgaas switchover --ins ic1 --env local --to local2" in caught.value.next_step
    assert moves(sides) == 0


def test_while_the_other_side_is_being_demoted_nothing_is_given_up(sides: TwoSides) -> None:
    sides.servers[ONE].pace.stale = 10**9
    with pytest.raises(TimedOut):
        demote(sides.root, "ic1", "local", ONE, TWO, timeout=0.02, progress=Silent())
    with pytest.raises(RefusedAsUnsafe, match="is being demoted and takes writes"):
        planned(sides)


def test_beside_a_primary_that_cannot_be_asked_no_token_is_good(sides: TwoSides) -> None:
    """It may have taken the same token itself, and be writing."""
    text = demoted(sides)
    promote(planned(sides, text, ONE), timeout=5, progress=Silent())
    sides.mute.add(ONE)
    with pytest.raises(RefusedAsUnsafe, match=f"{FIRST} is the primary: with {SECOND} there would be two"):
        planned(sides, text)


def test_a_token_of_its_own_is_not_trusted_beside_a_side_that_cannot_be_seen(sides: TwoSides) -> None:
    """Local2 was promoted with it and is away: local1 still shows it, and lacks what came after."""
    switchover(sides.root, "ic1", "local", TWO, Choices(timeout=5), Silent())
    stale = sides.servers[ONE].cluster["status"]["demotionToken"]
    assert stale
    # It had not even begun to follow the new timeline.
    sides.servers[ONE].postgres = replace(sides.servers[ONE].postgres, timeline=1, lsn=0x5000100)
    sides.servers[ONE].pace.asleep = True
    sides.down.add(TWO)
    sides.archives[TWO] = replace(sides.archives[TWO], system="gone")
    plan = planned(sides, dc=ONE)
    assert (plan.forced, plan.token, plan.lost) == (True, None, TWO)


def test_the_replica_of_a_lost_primary_that_has_a_token_of_an_earlier_round_can_be_forced(
    sides: TwoSides,
) -> None:
    switchover(sides.root, "ic1", "local", TWO, Choices(timeout=5), Silent())
    sides.down.add(TWO)
    plan = planned(sides, dc=ONE)
    assert (plan.forced, plan.lost) == (True, TWO)


@pytest.mark.parametrize("text", ["", "AAAA", token(1, 0x5000000)[:-8]])
def test_a_token_that_is_none_is_refused(sides: TwoSides, text: str) -> None:
    lose(sides)
    if not text:
        assert planned(sides, text).forced
        return
    with pytest.raises(RefusedAsUnsafe) as caught:
        planned(sides, text)
    assert text not in f"{caught.value!r}{caught.value.what}{caught.value.next_step}"


def test_a_token_of_another_end_is_refused(sides: TwoSides) -> None:
    lose(sides)
    with pytest.raises(RefusedAsUnsafe, match="of system 9"):
        planned(sides, token(1, 0x5000000, "9"))
    with pytest.raises(RefusedAsUnsafe, match="beyond the end"):
        planned(sides, token(1, 0x1000000))


def test_a_used_token_is_refused(sides: TwoSides) -> None:
    text = demoted(sides)
    carried_out(planned(sides, text))
    second = demote(sides.root, "ic1", "local", TWO, ONE, timeout=5, progress=Silent()).token.text
    for dc in (ONE, TWO):
        with pytest.raises(RefusedAsUnsafe, match="of timeline 1"):
            planned(sides, text, dc)
    carried_out(planned(sides, second, ONE))
    assert sides.primary() == ONE


def test_a_side_that_is_not_there_cannot_be_promoted(sides: TwoSides) -> None:
    del sides.servers[TWO].objects[sides.servers[TWO].path]
    with pytest.raises(NotHealthy) as caught:
        planned(sides)
    assert caught.value.next_step == "pgaas create --ins ic1 --env local --dc local2"


def test_a_side_that_cannot_be_reached_cannot_be_promoted(sides: TwoSides) -> None:
    sides.down.add(TWO)
    with pytest.raises(KubernetesError, match="local2 cannot be reached"):
        planned(sides)


def test_two_primaries_are_refused(sides: TwoSides) -> None:
    sides.servers[TWO].pace.asleep = True
    sides.servers[TWO].cluster["spec"]["replica"]["primary"] = SECOND
    with pytest.raises(RefusedAsUnsafe, match="TWO PRIMARIES"):
        planned(sides)


def test_done_already_it_only_finishes(sides: TwoSides) -> None:
    carried_out(planned(sides, demoted(sides)))
    before = moves(sides)
    done = carried_out(planned(sides))
    assert done.already
    assert moves(sides) == before


def test_a_promotion_that_was_begun_goes_on_with_its_token(sides: TwoSides) -> None:
    text = demoted(sides)
    sides.servers[TWO].pace.never_promotes = True
    with pytest.raises(TimedOut) as caught:
        carried_out(planned(sides, text), timeout=0.05)
    assert text not in f"{caught.value!r} {caught.value.next_step}"
    plan = planned(sides)
    assert plan.token is not None
    assert (plan.token.text, plan.already, plan.forced) == (text, False, False)
    sides.servers[TWO].pace.never_promotes = False
    carried_out(plan)
    assert sides.primary() == TWO
    assert replica_of(sides.servers[TWO])["primary"] == SECOND


@pytest.mark.parametrize("step", range(1, 12))
def test_interrupted_anywhere_it_names_the_command(sides: TwoSides, step: int) -> None:
    text = demoted(sides)
    sides.journal.clear()
    plan, due = planned(sides, text), threading.Event()

    def interrupt(_: str) -> None:
        due.set() if len(sides.journal) == step else None
        if due.is_set() and threading.current_thread() is threading.main_thread():
            due.clear()
            raise KeyboardInterrupt

    sides.on_step = interrupt
    with pytest.raises(KeyboardInterrupt) as caught:
        carried_out(plan)
    assert "pgaas promote --ins ic1 --env local --dc local2" in str(caught.value)
    assert text not in str(caught.value)
    sides.on_step = lambda _: None
    carried_out(planned(sides))
    assert sides.primary() == TWO


def test_no_token_is_in_any_error_of_a_promotion(sides: TwoSides, told: Told) -> None:
    """The webhook repeats what it refuses."""
    text = demoted(sides)
    server = sides.servers[TWO]
    refusal = server._denied(f'spec.replica.token: Invalid value: "{text}": no')
    server.answers[f"PATCH {server.path}"] = refusal
    with pytest.raises(PgaasError) as caught:
        carried_out(planned(sides, text), told)
    assert "Invalid value" in caught.value.what
    assert text not in f"{caught.value!r} {caught.value.what} {caught.value.next_step} {told.text}"
    assert text_of(5) not in text
