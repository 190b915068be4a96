"""A promotion by hand: with a token, found or given, and without one; what it refuses, and its second try."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.unit.operations.operators import text_of, token
from tests.unit.operations.told import Told
from tests.unit.operations.two_sides import (
    FIRST,
    ONE,
    SECOND,
    TWO,
    Killed,
    TwoSides,
    replica_of,
    writes_of_cluster,
)

from pgaas.errors import (
    KubernetesError,
    NotHealthy,
    PgaasError,
    RefusedAsUnsafe,
    TimedOut,
    ToolFailed,
    UsageError,
)
from pgaas.kube.promotion import HIBERNATION, LOST_SIDE, MARKER
from pgaas.kube.resources import dig
from pgaas.operations import promote as operation
from pgaas.operations.demote import demote
from pgaas.operations.fence import fence
from pgaas.operations.progress import Silent
from pgaas.operations.promote import Plan, Promotion, check_confirmation, plan_promotion, promote
from pgaas.operations.switchover import Choices, switchover
from pgaas.tools.archive import Archive, Chain
from pgaas.tools.archived_wal import Stored

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
LAST = Stored("000000010000000000000004", NOW - timedelta(seconds=100), 20_000)
ARCHIVE = Archive(
    "s3://b/x/", FIRST, NOW, backup_count=1, newest_wal=LAST, rate=1048576.0, chain=Chain(reached=LAST)
)
LOST = "local1 cannot be reached"


@pytest.fixture(autouse=True)
def archive(sides: TwoSides, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return whose archives were read."""
    read: list[str] = []

    def archive_of(_subject: Any, _api: Any, cluster: str, **_: Any) -> Archive:
        read.append(cluster)
        return ARCHIVE

    monkeypatch.setattr(operation, "archive_of", archive_of)
    return read


def planned(sides: TwoSides, given: str | None = None, dc: str = TWO) -> Plan:
    return plan_promotion(sides.root, "ic1", "local", dc, given)


def carried_out(plan: Plan, told: Told | None = None, *, timeout: float = 5.0) -> Promotion:
    return promote(plan, timeout=timeout, progress=told or Told())


def demoted(sides: TwoSides) -> str:
    return demote(sides.root, "ic1", "local", ONE, TWO, timeout=5, progress=Silent()).token.text


def notes(sides: TwoSides, dc: str) -> Any:
    return dig(sides.servers[dc].cluster, "metadata", "annotations", default={})


def moves(sides: TwoSides) -> int:
    return sum(len(writes_of_cluster(server)) for server in sides.servers.values())


def lose(sides: TwoSides) -> None:
    """Lose local1, and the row that had not got to its archive."""
    sides.servers[ONE].archive()
    sides.write("lost")
    sides.servers[ONE].postgres.up = False
    sides.down.add(ONE)


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


def half_dead(sides: TwoSides) -> None:
    """Let local1's PostgreSQL be down, and its API server answer."""
    sides.servers[ONE].archive()
    sides.servers[ONE].postgres.up = False


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
