"""`client add`, `client remove`, `client list` and `list`, as they are typed and printed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.cli.support import run_process
from tests.unit.operations.fleet_worlds import FleetWorld, make_fleet

from pgaas.operations import client_remove, fleet

FILE = "confs/admin/local/clients.yaml"
ADD = ("client", "add", "ic7", "--env", "local", "--profile", "S", "--dc", "local1", "--dc", "local2")


@pytest.fixture
def live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FleetWorld:
    """Give two clients that live in two datacenters, and make their files those that commands work in."""
    world = make_fleet(tmp_path, ["ic1", "ic2"], monkeypatch)
    monkeypatch.setattr(fleet, "api_for", world.api)
    monkeypatch.setattr(client_remove, "api_for", world.api)
    monkeypatch.setenv("PGAAS_ROOT", str(world.root))
    return world


def rows(out: str) -> list[list[str]]:
    return [line.split() for line in out.splitlines()]


def test_a_client_is_added_and_the_rest_is_said(root: Path, pgaas):
    ran = pgaas(*ADD)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("ic7 in local: registered\n")
    assert "pgaas infra install" in ran.out
    assert "ic7-local-secret" not in ran.out
    assert pgaas("generate", "--ins", "ic7", "--env", "local", "--dc", "local2").code == 0
    again = pgaas(*ADD)
    assert (again.code, "is a client in local already" in again.err) == (2, True)


def test_a_dry_run_shows_a_diff_and_writes_nothing(root: Path, pgaas):
    before = (root / FILE).read_text()
    ran = pgaas(*ADD, "--dry-run")
    assert ran.code == 0
    assert "+  ic7:" in ran.out.splitlines()
    assert "would be registered" in ran.out
    assert (root / FILE).read_text() == before
    assert not (root / "confs/users/ic7").exists()


def test_what_was_added_as_json(root: Path, pgaas):
    shown = json.loads(pgaas(*ADD, "-o", "json").out)
    assert shown["clusters"] == ["local-ic7-local1", "local-ic7-local2"]
    assert shown["namespace"] == "ic7-local"
    assert {"what", "name", "where", "detail"} == set(shown["todo"][0])
    assert "ic7-local-secret" not in json.dumps(shown)


@pytest.mark.parametrize("ins", ["$(touch x)", "ic7;ls", "é", "--", "\x1b[31m", "a" * 300])
def test_a_hostile_code_is_bad_input_and_nothing_else(root: Path, pgaas, ins: str):
    before = (root / FILE).read_text()
    ran = pgaas("client", "add", "--env", "local", "--profile", "S", "--dc", "local1", "--", ins)
    assert ran.code == 2
    assert "Traceback" not in ran.err
    assert "\x1b" not in ran.err
    assert (root / FILE).read_text() == before


def test_a_disk_that_is_full_leaves_both_files_alone(root: Path):
    before = (root / FILE).read_text()
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (600, 600))"
    code = f"{limit}; import sys; from pgaas.__main__ import main; sys.exit(main(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-B", "-c", code, *ADD], cwd=root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2, done.stderr
    assert "nothing was changed" in done.stderr
    assert (root / FILE).read_text() == before
    assert not (root / "confs/users/ic7").exists()


def test_ctrl_c_while_it_waits_for_its_turn_changes_nothing(root: Path):
    import fcntl

    before = (root / FILE).read_text()
    folder = os.open((root / FILE).parent, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    started = subprocess.Popen(
        [sys.executable, "-m", "pgaas", *ADD], cwd=root, stderr=subprocess.PIPE, text=True
    )
    try:
        wait_for_lock(started.pid)
        started.send_signal(signal.SIGINT)
        _, err = started.communicate(timeout=60)
    finally:
        started.kill()
        os.close(folder)
    assert (started.returncode, "Traceback" in err) == (130, False)
    assert (root / FILE).read_text() == before
    assert not (root / "confs/users/ic7").exists()


def wait_for_lock(pid: int) -> None:
    """Wait until a process waits for a lock that somebody else has: /proc/locks marks it so."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        waiting = [line for line in Path("/proc/locks").read_text().splitlines() if "->" in line]
        if any(str(pid) in line.split() for line in waiting):
            return
        time.sleep(0.05)
    raise AssertionError("the process does not wait for the lock")


def test_remove_refuses_what_lives_then_asks_and_removes(live: FleetWorld, pgaas):
    ran = pgaas("client", "remove", "ic2", "--env", "local", "--confirm", "ic2-local")
    assert ran.code == 8
    assert "pgaas delete --ins ic2 --env local --dc local1" in ran.err
    for server in live.servers.values():
        server.objects.clear()
    assert pgaas("client", "remove", "ic2", "--env", "local", "--dry-run").out.count("-  ic2:") == 1
    silent = pgaas("client", "remove", "ic2", "--env", "local")
    assert (silent.code, "--confirm ic2-local" in silent.err) == (2, True)
    assert "ic2" in (live.root / FILE).read_text()
    ran = pgaas("client", "remove", "ic2", "--env", "local", "--confirm", "ic2-local", "-o", "json")
    assert ran.code == 0
    assert json.loads(ran.out)["files"] == [FILE, "confs/users/ic2/local/databases.yaml"]
    assert "ic2" not in (live.root / FILE).read_text()


def test_list_has_a_line_for_each_cluster_and_one_for_each_difference(live: FleetWorld, pgaas):
    ran = pgaas("list", "--env", "local")
    assert (ran.code, ran.err) == (0, "")
    assert ["ic1", "local", "local1", "live", "primary", "1/1", "17", "-"] in rows(ran.out)
    assert ran.out.splitlines()[-1] == "4 clusters: 4 live"
    live.edit("admin/local/postgresql.yaml", 'max_connections: "50"', 'max_connections: "51"')
    live.down.add("cluster2")
    ran = pgaas("list", "--env", "local")
    assert ran.code == 0
    assert ["ic1", "local", "local2", "unreachable", "-", "-", "17", "unreachable"] in rows(ran.out)
    assert "local-ic1-local1: values: confs say otherwise" in ran.out
    assert "context cluster2 (local2) cannot be asked" in ran.out


def test_list_as_json(live: FleetWorld, pgaas):
    shown = json.loads(pgaas("list", "--env", "local", "-o", "json").out)
    assert [each["cluster"] for each in shown["clusters"]][:2] == ["local-ic1-local1", "local-ic1-local2"]
    assert (shown["hidden"], shown["issues"], shown["clusters"][0]["findings"]) == (0, [], [])
    live.cluster("ic1")["status"]["phase"] = "Failing over"
    shown = json.loads(pgaas("list", "--env", "local", "-o", "json").out)
    assert shown["clusters"][0]["findings"] == [{"kind": "health", "text": "cluster: Failing over"}]


def test_client_list_has_a_line_for_each_client(live: FleetWorld, pgaas):
    live.servers["cluster2"].objects.clear()
    ran = pgaas("client", "list", "--env", "local")
    assert ran.code == 0
    assert ["ic2", "local", "S", "local1,", "local2", "1", "of", "2", "absent"] in rows(ran.out)
    shown = json.loads(pgaas("client", "list", "--env", "local", "-o", "json").out)
    assert [(each["ins"], len(each["clusters"])) for each in shown["clients"]] == [("ic1", 2), ("ic2", 2)]


def test_a_list_that_is_not_whole_is_printed_and_fails(live: FleetWorld, pgaas):
    (live.root / "confs/users/Bad").mkdir()
    ran = pgaas("list", "--env", "local")
    assert ran.code == 3
    assert "4 clusters" in ran.out
    assert "confs/users/Bad" in ran.err


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("pgaas client remove --env local ", ["ic1"]),
        ("pgaas client remove --env dev1 i", ["ic1", "is1"]),
        ("pgaas client add ic7 --env ", ["local", "perf", "pprod", "prod", "dev1", "dev2", "pic", "staging"]),
        ("pgaas client add ic7 --env local --profile ", ["S", "M", "L", "XXL"]),
        ("pgaas client add ic7 --env local --dc ", ["local1", "local2"]),
        ("pgaas client add ic7 --env prod --dc dc1 --dc ", ["dc1", "dc2"]),
        ("pgaas client remove ic1 --env prod --accept-unseen ", ["dc1", "dc2"]),
        ("pgaas list --env p", ["perf", "pprod", "prod", "pic"]),
    ],
)
def test_the_shell_completes(root: Path, words: str, expected: list[str]):
    position = len(words.split()) - (not words.endswith(" "))
    request = {"_PGAAS_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(position)}
    ran = run_process(cwd=root, env=request)
    assert (sorted(ran.out.split()), ran.err) == (sorted(expected), "")
