"""A demotion by hand: from the primary's own side, its token printed again, and what it refuses."""

from __future__ import annotations

import pytest
from tests.unit.operations.told import Told
from tests.unit.operations.two_sides import FIRST, ONE, SECOND, TWO, TwoSides, writes_of_cluster

from pgaas.errors import KubernetesError, NotHealthy, RefusedAsUnsafe, TimedOut, UsageError
from pgaas.kube.promotion import parse_token
from pgaas.operations.demote import Demoted, demote
from pgaas.operations.exclusive import Exclusive
from pgaas.operations.progress import Silent
from pgaas.operations.promote import plan_promotion, promote
from pgaas.operations.switchover import Choices, switchover


def demoted(
    sides: TwoSides, dc: str = ONE, new: str = TWO, told: Told | None = None, *, timeout: float = 5.0
) -> Demoted:
    return demote(sides.root, "ic1", "local", dc, new, timeout=timeout, progress=told or Silent())


def moves(sides: TwoSides) -> int:
    return sum(len(writes_of_cluster(server)) for server in sides.servers.values())


@pytest.mark.parametrize(("own", "new"), [(ONE, TWO), (FIRST, SECOND)])
def test_it_lets_the_other_side_catch_up_and_gives_the_token(
    sides: TwoSides, told: Told, own: str, new: str
) -> None:
    sides.write("a")
    done = demoted(sides, own, new, told)
    assert (done.cluster, done.new_primary, done.new_datacenter, done.already) == (FIRST, SECOND, TWO, False)
    assert done.token == parse_token(sides.servers[ONE].tokens[0])
    assert [step.name for step in done.steps] == ["catch up local2", "demote local1"]
    assert done.seconds > 0
    assert sides.servers[TWO].postgres.rows == ("a",)
    assert done.token.text not in f"{told.text} {done!r}"


def test_demoted_twice_it_gives_the_same_token(sides: TwoSides) -> None:
    first = demoted(sides)
    before = moves(sides)
    second = demoted(sides)
    assert (second.token, second.already) == (first.token, True)
    assert moves(sides) == before


def test_only_its_own_side_is_needed(sides: TwoSides, told: Told) -> None:
    sides.down.add(TWO)
    done = demoted(sides, told=told)
    assert done.token.timeline == 1
    assert "note local2 cannot be seen" in told.text
    assert "whether it follows is not known" in told.text
    assert demoted(sides).token == done.token


def test_its_own_side_must_be_reachable(sides: TwoSides) -> None:
    sides.down.add(ONE)
    with pytest.raises(KubernetesError, match="local1 cannot be reached"):
        demoted(sides)


def test_not_in_favour_of_itself(sides: TwoSides) -> None:
    with pytest.raises(UsageError, match="in favour of itself"):
        demoted(sides, ONE, FIRST)


def test_a_replica_is_not_demoted(sides: TwoSides) -> None:
    with pytest.raises(RefusedAsUnsafe) as caught:
        demoted(sides, TWO, ONE)
    assert f"{SECOND} is not the primary, and was not the last one" in caught.value.what
    assert caught.value.exit_code == 8
    assert moves(sides) == 0


def test_an_old_primary_is_not_demoted_again_while_the_new_one_is_there(sides: TwoSides) -> None:
    switchover(sides.root, "ic1", "local", TWO, Choices(timeout=5), Silent())
    with pytest.raises(RefusedAsUnsafe, match="was not the last one"):
        demoted(sides)


def test_a_side_with_a_used_token_is_not_the_one_that_was_demoted(sides: TwoSides) -> None:
    switchover(sides.root, "ic1", "local", TWO, Choices(timeout=5), Silent())
    demoted(sides, TWO, ONE)
    with pytest.raises(RefusedAsUnsafe, match="was not the last one"):
        demoted(sides, ONE, TWO)
    promote(plan_promotion(sides.root, "ic1", "local", ONE, None), timeout=5, progress=Silent())
    assert sides.primary() == ONE


def test_a_side_that_is_not_created_is_not_demoted(sides: TwoSides) -> None:
    del sides.servers[ONE].objects[sides.servers[ONE].path]
    with pytest.raises(NotHealthy) as caught:
        demoted(sides)
    assert "pgaas create" in caught.value.next_step


def test_a_replica_of_a_third_cluster_is_not_taken_for_demoted(sides: TwoSides) -> None:
    sides.servers[ONE].pace.asleep = True
    sides.servers[ONE].cluster["spec"]["replica"]["primary"] = "local-ic1-local3"
    with pytest.raises(RefusedAsUnsafe, match="is a replica of local-ic1-local3 already"):
        demoted(sides)


def test_nothing_is_demoted_in_favour_of_a_side_that_is_not_there(sides: TwoSides) -> None:
    del sides.servers[TWO].objects[sides.servers[TWO].path]
    with pytest.raises(NotHealthy, match="could not be promoted: it is not created"):
        demoted(sides)
    assert sides.primary() == ONE


def test_nothing_is_demoted_in_favour_of_a_side_that_cannot_be_asked(sides: TwoSides) -> None:
    sides.mute.add(TWO)
    with pytest.raises(NotHealthy, match="could not be promoted: exec"):
        demoted(sides)
    assert sides.primary() == ONE


def test_nothing_is_demoted_in_favour_of_a_side_that_has_diverged(sides: TwoSides) -> None:
    sides.servers[TWO].postgres.timeline = 4
    with pytest.raises(NotHealthy) as caught:
        demoted(sides)
    assert f"{SECOND} does not follow {FIRST}: diverged" in caught.value.what
    assert "pgaas rebuild" in caught.value.next_step
    assert sides.primary() == ONE


def test_two_primaries_are_refused(sides: TwoSides) -> None:
    sides.servers[TWO].pace.asleep = True
    sides.servers[TWO].cluster["spec"]["replica"]["primary"] = SECOND
    with pytest.raises(RefusedAsUnsafe, match="TWO PRIMARIES"):
        demoted(sides)


def test_a_lost_right_ends_it(sides: TwoSides, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(_: Exclusive) -> None:
        raise RefusedAsUnsafe("the Lease is lost")

    monkeypatch.setattr(Exclusive, "check", lost)
    with pytest.raises(RefusedAsUnsafe, match="Lease"):
        demoted(sides)
    assert moves(sides) == 0


def test_interrupted_it_names_the_command(sides: TwoSides) -> None:
    def interrupt(what: str) -> None:
        if f"PATCH {FIRST}" in what:
            raise KeyboardInterrupt

    sides.on_step = interrupt
    with pytest.raises(KeyboardInterrupt) as caught:
        demoted(sides)
    again = "pgaas demote --ins ic1 --env local --dc local1 --new-primary local2"
    assert again in str(caught.value)
    sides.on_step = lambda _: None
    assert demoted(sides).already


def test_a_demotion_that_does_not_end_times_out(sides: TwoSides) -> None:
    sides.servers[ONE].pace.demotion = 10**9
    with pytest.raises(TimedOut) as caught:
        demoted(sides, timeout=0.05)
    assert "run the same command again" in caught.value.next_step
