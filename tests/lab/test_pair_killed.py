"""pgaas killed without warning at every step of a move, again and again: the next run goes on from there."""

from __future__ import annotations

import pytest
from tests.lab.pair import Pair, running
from tests.lab.support import LONG, wait_until

# No move has so many steps: what comes after is a run that never ends well.
RUNS = 40


def step_at(line: str, moment: str) -> str:
    """Return the step whose beginning or end a line tells, or nothing."""
    if moment == "begins":
        return line.removesuffix(" …") if line.endswith(" …") and not line.startswith(("[", " ")) else ""
    return line.removeprefix("[ok] ").rpartition(" (")[0] or line if line.startswith("[ok] ") else ""


# Killed with its children once a step has ended, or alone as one begins.
MOMENTS = [("ends", True), ("begins", False)]
ASKED = MOMENTS if LONG else MOMENTS[:1]


@pytest.mark.parametrize(("moment", "children"), ASKED, ids=[moment for moment, _ in ASKED])
def test_a_move_that_is_killed_at_every_step_ends_well(pair: Pair, moment: str, children: bool) -> None:
    to = pair.other(pair.primary())
    killed: list[str] = []
    with pair.witness(), pair.writer() as writer:
        for _ in range(RUNS):
            with running(pair.pgaas, "switchover", *pair.CLIENT, "--to", to.dc) as run:
                line = run.wait_for(
                    lambda line: bool(name := step_at(line, moment)) and name not in killed, patience=600
                )
                if line is None:
                    assert run.end() == 0, run.said
                    break
                run.kill(children=children)
                killed.append(step_at(line, moment))
        else:
            raise AssertionError(f"no end after {RUNS} runs; killed at: {killed}")
        last = max(writer.acknowledged.values())
        wait_until("the next row", lambda: writer.written_after(last), timeout=60)
    print(f"killed {len(killed)} times: {'; '.join(killed)}; {writer.gap():.1f} s between two writes")
    # Each of them was met, or this test would prove less than it says.
    for step in ("preflight", "catch up", "demote", "promote", "write down", "primary's name", "release of"):
        assert any(name.startswith(step) for name in killed), step
    assert pair.primary() == to
    assert pair.confs_primary() == to.dc
    seen = pair.status()
    assert seen["problems"] == []
    verdict = pair.verdict(writer)
    assert (verdict.lost, verdict.doubled) == ([], [])
