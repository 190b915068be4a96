"""A datacenter is lost: promote without a token, fence what comes back, make it anew, and move home."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from typing import Any

from tests.lab.outage import CONTROL, frozen, kill_instances
from tests.lab.pair import CLUSTERS, Pair, Side, running
from tests.lab.support import wait_until
from tests.lab.writer import Writer, rows_of

HIBERNATION = "cnpg.io/hibernation"


def archived_until_now(pair: Pair, side: Side) -> None:
    """Have the side archive what it has written, so that only what comes then can be lost."""
    segment, _, ended = side.sql("select pg_walfile_name(lsn), lsn from pg_switch_wal() lsn").partition("|")
    wait_until(
        f"{segment} in the archive",
        lambda: side.sql("select last_archived_wal from pg_stat_archiver") >= segment,
    )
    wait_until(
        f"the other side to have {ended}",
        lambda: pair.other(side).sql(f"select pg_last_wal_replay_lsn() >= '{ended}'::pg_lsn") == "t",
    )


def notes_on(side: Side) -> dict[str, str]:
    """Return the Cluster's annotations."""
    found: dict[str, str] = side.live()["metadata"].get("annotations", {})
    return found


def test_a_lost_datacenter(pair: Pair) -> None:
    # S3 is on the other one: what is lost here is a datacenter with its primary, not the archive.
    lost, survivor = pair.sides["local2"], pair.sides["local1"]
    if pair.primary() != lost:
        pair.move(lost)
    promote = ("promote", *survivor.target)
    with ExitStack() as watched, pair.writer() as writer:
        watched.enter_context(pair.witness())
        archived_until_now(pair, lost)
        written = len(writer.acknowledged)
        wait_until("rows that are in no archive", lambda: len(writer.acknowledged) > written + 200)
        with frozen(lost.lab.context, *CONTROL) as held:
            assert kill_instances(lost.lab, lost.cluster) > 2
            lost_at = time.monotonic()
            refused_without_the_name(pair, promote, survivor)
            # The time counts from here: what came before is a person who reads.
            asked_at = time.monotonic()
            promoted = pair.pgaas(*promote, "--confirm", survivor.cluster, "-o", "json")
            assert promoted.returncode == 0, promoted.stderr
            back = wait_until("the first write", lambda: writer.written_after(asked_at), timeout=60)
            told: dict[str, Any] = json.loads(promoted.stdout)
            print(
                f"{back - asked_at:.1f} s from the promotion to the first write"
                f" (told: {told['writable_after']} s), {back - lost_at:.1f} s from the loss"
            )
            assert told["lost"] == lost.dc
            seen = pair.status()
            assert {side["role"] for side in seen["sides"]} == {"primary", "unreachable"}
            measure_loss(writer, survivor, lost_at, asked_at, told)

            with running(pair.pgaas, "fence", *lost.target, "--wait-for-return", "10m") as fence:
                assert fence.wait_for(lambda line: line.startswith("wait for")), fence.said
                # The kubelet starts what was killed as soon as it is back: until the fence reaches that side,
                # for seconds, it takes writes of whoever still goes there.
                watched.close()
                held.let_on()
                assert fence.end(patience=300) == 0, fence.said
            assert notes_on(lost)[HIBERNATION] == "on"
    assert pair.status()["healthy"] is False

    two_primaries_are_loud(pair, lost)

    rebuilt = pair.pgaas("rebuild", *lost.target, "--confirm", lost.cluster)
    assert rebuilt.returncode == 0, rebuilt.stderr
    assert pair.status()["problems"] == []
    kept = rows_of(writer.login, survivor.address())
    home = pair.move(lost)
    assert "Traceback" not in home.stderr
    assert pair.status()["problems"] == []
    assert rows_of(writer.login, lost.address()) == kept


def refused_without_the_name(pair: Pair, promote: tuple[str, ...], survivor: Side) -> None:
    """See that nothing happens before the name is typed, and that the plan is shown."""
    before = survivor.live()["metadata"]["generation"]
    silent = pair.pgaas(*promote)
    wrong = pair.pgaas(*promote, "--confirm", "local-ic1-local2")
    for refused in (silent, wrong):
        assert refused.returncode == 2, refused.stderr
        assert "lost:" in refused.stderr
        assert "Traceback" not in refused.stderr
    assert survivor.live()["metadata"]["generation"] == before


def measure_loss(
    writer: Writer, survivor: Side, lost_at: float, asked_at: float, told: dict[str, Any]
) -> None:
    """Compare what is gone with what the plan said: never more, and always the end of what was written.

    Between the loss and the promotion nobody took writes: what was acknowledged by then, the lost side took.
    """
    rows = rows_of(writer.login, survivor.address())
    before = {number: at for number, at in writer.acknowledged.items() if at <= asked_at}
    gone = sorted(number for number in before if number not in rows)
    kept = [number for number in before if number in rows]
    assert kept
    assert all(number > max(kept) for number in gone), "a row is gone from the middle"
    seconds = lost_at - before[max(kept)]
    estimate = told["loss"]["seconds"]
    print(f"lost: {len(gone)} rows of {seconds:.1f} s; told: at most {estimate} s, {told['loss']['detail']}")
    assert gone, "nothing was lost: this proves nothing"
    assert estimate is not None
    assert seconds <= estimate
    after = {number for number in writer.acknowledged if number not in before}
    assert after <= rows.keys()
    assert max(rows.values()) == 1


def two_primaries_are_loud(pair: Pair, lost: Side) -> None:
    """Let the lost side up by hand, as somebody might, and see that nobody can miss it."""
    lost.lab.kubectl("-n", "ic1-local", "annotate", CLUSTERS, lost.cluster, f"{HIBERNATION}-")
    told = pair.pgaas("status", *pair.CLIENT)
    assert told.returncode == 9
    assert "TWO PRIMARIES" in told.stdout
    assert "TWO PRIMARIES" in told.stderr
    moving = pair.pgaas("switchover", *pair.CLIENT, "--to", lost.dc)
    assert moving.returncode == 8, moving.stderr
    fenced = pair.pgaas("fence", *lost.target)
    assert fenced.returncode == 0, fenced.stderr
    assert "TWO PRIMARIES" not in pair.pgaas("status", *pair.CLIENT).stdout
