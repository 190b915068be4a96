"""What is asked of an instance, and what its answers mean."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgaas.errors import KubernetesError
from pgaas.kube.client import Api
from pgaas.kube.postgres import (
    CONTAINER,
    POSITION,
    WATCH,
    Position,
    ask,
    parse_position,
    position,
    watch_positions,
)

REPLICA = "t|3|1/A0|7100000000000000001|2.5|000000030000000000000010|7.25|"
PRIMARY = (
    "f|3|1/A0|71|-1||-1|1 0/5000100 no recovery target specified; 2 0/6000000 after 2026-11-24 12:00:00+00"
)


class Exec:
    """An Api that only runs programs, and answers with what it is given."""

    def __init__(self, *lines: str) -> None:
        self.lines = lines
        self.ran: list[Any] = []
        self.ended_by: str = ""

    def execute(self, *place: str | list[str], timeout: float) -> str:
        self.ran.append((place, timeout))
        return "\n".join(self.lines) + "\n"

    def stream(self, *arguments: Any, timeout: float) -> None:
        *place, take = arguments
        self.ran.append((tuple(place), timeout))
        for line in self.lines:
            if take(line):
                self.ended_by = line
                return


def api(fake: Exec) -> Api:
    return fake  # type: ignore[return-value]


def test_the_position_of_a_replica() -> None:
    fake = Exec(REPLICA)
    found = position(api(fake), "x-1", "ns")
    assert found == Position(
        in_recovery=True,
        timeline=3,
        lsn="1/A0",
        system_id="7100000000000000001",
        replay_age=2.5,
        archived_wal="000000030000000000000010",
        archive_age=7.25,
    )
    [(place, timeout)] = fake.ran
    argv = ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", POSITION]
    assert place == ("x-1", CONTAINER, "ns", argv)
    assert timeout == 20


def test_the_position_of_a_primary_has_its_history() -> None:
    found = parse_position(PRIMARY)
    assert (found.in_recovery, found.replay_age, found.archive_age, found.archived_wal) == (
        False,
        None,
        None,
        "",
    )
    assert found.history == ((1, "0/5000100"), (2, "0/6000000"))


@pytest.mark.parametrize(
    ("history", "wanted"),
    [
        ("", ()),
        ("; ; ", ()),
        ("2 0/6000000", ((2, "0/6000000"),)),
        ("# a comment; 2 0/6000000 why", ((2, "0/6000000"),)),
        ("7", ()),
    ],
)
def test_a_history_file_is_for_people_too(history: str, wanted: Any) -> None:
    assert parse_position(f"f|3|1/A0|71|-1||-1|{history}").history == wanted


def test_a_timeline_that_is_not_known_is_zero() -> None:
    assert parse_position("t||0/0|71|-1||-1|").timeline == 0


BAD = ["", "psql: error", "t|1|0/0|71|-1||-1", "x|1|0/0|71|-1||-1|", "t|one|0/0|71|-1||-1|",
       "t|1|0/0|71|x||-1|", "t|1|0/0|71|-1||-1||", "t|1||71|-1||-1|", "t|1|nowhere|71|-1||-1|"]  # fmt: skip


@pytest.mark.parametrize("line", BAD)
def test_any_other_answer_is_an_error_with_what_it_was(line: str) -> None:
    with pytest.raises(KubernetesError) as caught:
        position(api(Exec(line)), "x-1", "ns")
    assert "x-1 answered something else than its position" in caught.value.what
    assert line[:200] in caught.value.what
    assert caught.value.next_step


@given(st.text(alphabet="tf|0123456789ABCDEF/;. -x"))
def test_no_answer_is_a_traceback(line: str) -> None:
    try:
        parse_position(line)
    except KubernetesError:
        return


def watched(fake: Exec, goal: int | None, **options: Any) -> list[Position]:
    seen: list[Position] = []
    watch_positions(api(fake), "x-1", "ns", seen.append, goal=goal, every=0.25, timeout=60.0, **options)
    return seen


def test_a_watch_hands_over_each_position_and_skips_noise() -> None:
    fake = Exec(REPLICA, "WARNING:  terminating connection", PRIMARY)
    assert [found.in_recovery for found in watched(fake, None)] == [True, False]
    [(place, timeout)] = fake.ran
    assert place[:3] == ("x-1", CONTAINER, "ns")
    bash, flag, script, name, query, every, seconds, wake = place[3]
    assert (bash, flag, script, name) == ("bash", "-c", WATCH, "watch")
    assert (every, seconds, wake) == ("0.25", "61", "0")
    # The program ends before nobody listens any more.
    assert timeout > 61
    assert query.startswith("select coalesce(not pg_is_in_recovery(), false), p.* from (")
    assert "\n" not in query


@pytest.mark.parametrize(("goal", "text"), [(0x1000000A0, "1/A0"), (0x5000000, "0/5000000"), (0, "0/0")])
def test_a_watch_with_a_goal_ends_there_too(goal: int, text: str) -> None:
    fake = Exec(REPLICA)
    watched(fake, goal, wake=True)
    query, wake = fake.ran[0][0][3][4], fake.ran[0][0][3][7]
    assert f"not pg_is_in_recovery() or pg_last_wal_replay_lsn() >= '{text}'::pg_lsn" in query
    assert wake == "1"


def test_a_watch_that_is_stopped_takes_no_more() -> None:
    fake = Exec(REPLICA, PRIMARY)
    assert len(watched(fake, None, stopped=lambda: True)) == 1
    assert fake.ended_by == REPLICA


def test_what_is_asked_comes_back_without_its_newline() -> None:
    fake = Exec("1|2")
    assert ask(api(fake), "x-1", "ns", "select 1, 2", timeout=3) == "1|2"
    assert fake.ran[0][1] == 3
