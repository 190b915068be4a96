"""`pgaas status` of a pair and of one side, once and watched."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from tests.cli.support import Ran
from tests.unit.operations.pair_worlds import HERE, THERE, Answers, PairWorld

from pgaas.cli import watch
from pgaas.cli.edge import Terminated

Run = Callable[..., Ran]
Steps = list[Callable[[], object]]


@pytest.fixture
def between(monkeypatch: pytest.MonkeyPatch) -> Steps:
    """Give the list of what happens between two looks; behind its end somebody presses Ctrl-C."""
    steps: Steps = []

    def pause(_seconds: float) -> None:
        if not steps:
            raise KeyboardInterrupt
        steps.pop(0)()

    monkeypatch.setattr(watch, "pause", pause)
    return steps


ASKED = ("status", "--ins", "ic1", "--env", "local")


def rows(text: str) -> dict[str, str]:
    """Return the table's rows by their first words, blanks made one."""
    found = {}
    for line in text.splitlines():
        name, _, rest = line.partition("  ")
        found[name.strip()] = " ".join(rest.split())
    return found


def test_without_a_datacenter_both_are_shown(world: PairWorld, pgaas: Run) -> None:
    world.answers["local-ic1-local1-1"] = Answers(False, lsn="0/6000100", transaction=705)
    ran = pgaas(*ASKED)
    assert (ran.code, ran.err) == (0, "")
    assert "\x1b" not in ran.out
    assert ran.out.startswith("ic1 in local: healthy (")
    shown = rows(ran.out)
    assert shown["role"] == "primary replica"
    assert shown["position"] == "timeline 1, 0/6000100 timeline 1, 0/6000000"
    assert shown["behind"] == "- 35 s at most, 260 B of WAL"
    assert shown["newest WAL"] == "000000010000000000000005, 30 s ago 000000010000000000000005, 30 s ago"
    assert shown["trust"].startswith("ok, ")
    assert shown["confs"] == "primaryDatacenter: local1; as it is live"
    assert shown["DNS"] == "primary.ic1-local.pgaas.local: 192.0.2.1 (local1)"
    assert shown["estimated RPO"].startswith("35 s at most, about ")
    assert shown["at work"] == "no command"


def test_one_command_at_work_in_both_is_told_once(world: PairWorld, pgaas: Run) -> None:
    world.lease(HERE, "switchover")
    world.lease(THERE, "switchover")
    shown = rows(pgaas(*ASKED).out)
    assert shown["at work"] == "ann@host runs `pgaas switchover` since then (local1, local2)"


def test_with_a_datacenter_one_side_is_shown(world: PairWorld, pgaas: Run) -> None:
    ran = pgaas(*ASKED, "--dc", THERE)
    assert ran.code == 0, ran.err
    assert rows(ran.out)["cluster"] == "local-ic1-local2 (replica)"
    assert rows(ran.out)["pgadmin"].startswith("local-ic1-local2-pgadmin: NOT READY: not there")
    assert json.loads(pgaas(*ASKED, "--dc", HERE, "-o", "json").out)["cluster"] == "local-ic1-local1"


def test_the_commit_that_a_cluster_was_deployed_from_is_shown(world: PairWorld, pgaas: Run) -> None:
    assert rows(pgaas(*ASKED, "--dc", THERE).out)["users revision"] == "not recorded"
    commit = "0123456789abcdef" * 2 + "01234567-dirty"
    world.cluster(THERE)["metadata"].setdefault("annotations", {})["pgaas.io/users-revision"] = commit
    assert rows(pgaas(*ASKED, "--dc", THERE).out)["users revision"] == commit
    assert rows(pgaas(*ASKED).out)["users revision"] == "- 0123456789ab-dirty"
    sides = json.loads(pgaas(*ASKED, "-o", "json").out)["sides"]
    assert [side["users_revision"] for side in sides] == ["", commit]


def test_a_client_that_does_not_replicate_has_one_cluster(world: PairWorld, pgaas: Run) -> None:
    world.edit("admin/local/clients.yaml", "enabled: true", "enabled: false")
    assert rows(pgaas(*ASKED).out)["cluster"] == "local-ic1-local1 (primary)"


def test_the_reasons_are_in_the_error_and_in_the_document(world: PairWorld, pgaas: Run) -> None:
    world.down = {THERE}
    world.leads = THERE
    ran = pgaas(*ASKED, "-o", "json")
    assert ran.code == 9
    first, second, third, *_ = ran.err.splitlines()
    assert first == "error: ic1 in local is not healthy:"
    assert second == "  local2 cannot be reached: the API server of local2 did not answer in time"
    assert third.startswith("  DNS: primary.ic1-local.pgaas.local is: 192.0.2.2")
    assert "next: pgaas update-dns --ins ic1 --env local --to local1" in ran.err
    seen = json.loads(ran.out)
    assert (seen["healthy"], len(seen["problems"])) == (False, 2)
    assert [side["role"] for side in seen["sides"]] == ["primary", "unreachable"]
    shown = rows(pgaas(*ASKED).out)
    assert shown["role"] == "primary unreachable"
    assert shown["instances"] == "1 ready of 1 -"


def test_the_first_of_many_problems_stands_in_the_table(world: PairWorld, pgaas: Run) -> None:
    world.cluster(HERE)["status"] |= {"phase": "Failing over", "readyInstances": 0}
    ran = pgaas(*ASKED)
    assert rows(ran.out)["state"] == "cluster: Failing over and 1 more healthy"
    assert "local1: instances: 0 ready of 1" in ran.err


def test_two_primaries_come_first_and_in_red(
    world: PairWorld, pgaas: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.deploy(THERE, THERE)
    ran = pgaas(*ASKED)
    assert ran.code == 9
    assert ran.out.startswith("TWO PRIMARIES: local-ic1-local1 and local-ic1-local2 both take writes")
    assert ran.err.startswith("error: TWO PRIMARIES: ")
    assert "pgaas fence --ins ic1 --env local --dc local2" in ran.err
    assert rows(ran.out)["role"] == "TWO PRIMARIES TWO PRIMARIES"
    assert rows(ran.out)["primary"] == "TWO"
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert pgaas(*ASKED).out.startswith("\x1b[1;31mTWO PRIMARIES")


def test_watched_each_change_is_one_line(world: PairWorld, between: Steps, pgaas: Run) -> None:
    def switch() -> None:
        world.deploy(HERE, THERE)

    def done() -> None:
        world.deploy(THERE, THERE)
        world.confs(primaryDatacenter=THERE)
        world.leads = THERE

    def write() -> None:
        world.answers["local-ic1-local1-1"] = Answers(False, lsn="0/6000100", transaction=705)

    between += [write, switch, done]
    ran = pgaas(*ASKED, "--watch")
    assert (ran.code, ran.err) == (0, "")
    lines = [line[9:] for line in ran.out.splitlines()]
    assert lines[0] == "healthy; local1 primary on timeline 1; local2 replica on timeline 1; DNS local1"
    assert "; no side is the primary: a move is under way" in lines[1]
    assert lines[2] == "healthy; local1 replica on timeline 1; local2 primary on timeline 1; DNS local2"
    assert len(lines) == 3


def test_watched_the_last_look_decides(world: PairWorld, between: Steps, pgaas: Run) -> None:
    between += [lambda: world.down.add(THERE)]
    ran = pgaas(*ASKED, "--watch", "0.5")
    assert ran.code == 9
    assert "local2 cannot be reached" in ran.err
    between += [world.down.clear]
    assert pgaas(*ASKED, "--watch").code == 0


def test_watched_as_json_each_look_is_one_line(world: PairWorld, between: Steps, pgaas: Run) -> None:
    between += [lambda: world.down.add(HERE)]
    ran = pgaas(*ASKED, "--watch", "-o", "json")
    first, second = map(json.loads, ran.out.splitlines())
    assert (first["healthy"], second["healthy"], second["primary"]) == (True, False, "")


def test_one_side_is_watched_through_the_loss_of_its_api_server(
    world: PairWorld, between: Steps, pgaas: Run
) -> None:
    between += [lambda: world.down.add(HERE), world.down.clear]
    ran = pgaas(*ASKED, "--dc", HERE, "--watch")
    assert ran.code == 0
    assert [line[9:] for line in ran.out.splitlines()] == [
        "local-ic1-local1 (primary): healthy; Cluster in healthy state; 1 ready of 1",
        "error: the API server of local1 did not answer in time",
        "local-ic1-local1 (primary): healthy; Cluster in healthy state; 1 ready of 1",
    ]
    between += [lambda: world.down.add(HERE)]
    ran = pgaas(*ASKED, "--dc", HERE, "--watch", "-o", "json")
    assert ran.code == 6
    assert json.loads(ran.out.splitlines()[1]) == {
        "healthy": False,
        "error": "the API server of local1 did not answer in time",
    }


def test_on_a_terminal_it_is_redrawn_with_its_reasons(
    world: PairWorld, between: Steps, pgaas: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "wants_live", lambda _: True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    between += [lambda: world.down.add(THERE)]
    ran = pgaas(*ASKED, "--watch", "3")
    assert ran.code == 9
    _, first, second = ran.out.split("\x1b[2J\x1b[H")
    assert first.startswith("ic1 in local: healthy")
    assert second.startswith("ic1 in local: NOT HEALTHY")
    assert "again every 3 s; Ctrl-C ends" in second
    # Once beneath what was drawn, and once at the end.
    assert ran.err.count("local2 cannot be reached") == 2


def test_ctrl_c_before_the_first_look_and_sigterm_say_nothing_of_health(
    world: PairWorld, between: Steps, pgaas: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def terminate() -> None:
        raise Terminated(15)

    between += [terminate]
    assert pgaas(*ASKED, "--watch").code == 143

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pgaas.operations.status_pair.load_pair", interrupted)
    assert pgaas(*ASKED, "--watch").code == 130


def test_a_wrong_call_is_not_watched(world: PairWorld, between: Steps, pgaas: Run) -> None:
    for wrong in (
        ("--watch", "0"),
        ("--watch", "often"),
        ("--watch", "inf"),
        ("5",),
        ("--dc", "x", "--watch"),
    ):
        ran = pgaas(*ASKED, *wrong)
        assert (ran.code, ran.out) == (2, ""), wrong
    assert "write --watch 5" in pgaas(*ASKED, "5").err
    assert pgaas(*ASKED, "--watch", "1m").code == 0


def test_the_configuration_may_break_while_it_is_watched(
    world: PairWorld, between: Steps, pgaas: Run
) -> None:
    path = world.root / "confs/admin/local/clients.yaml"
    text = path.read_text()
    between += [lambda: path.write_text("clients: ["), lambda: path.write_text(text)]
    ran = pgaas(*ASKED, "--watch")
    assert ran.code == 0
    assert ran.out.splitlines()[1][9:].startswith("error: 1 error in the configuration; confs/admin/local/")
