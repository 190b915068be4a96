"""`pgaas ci deploy`: one after the other, to the first failure, told and written down."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from tests.cli.conftest import root as root
from tests.unit.operations.conftest import shared_s3 as shared_s3
from tests.unit.operations.conftest import world as world
from tests.unit.operations.test_create_with_fakes import live_object, released
from tests.unit.operations.worlds import World

from pgaas.config.naming import Target
from pgaas.errors import (
    ConfigError,
    ConfigIssue,
    KubernetesError,
    NotHealthy,
    PgaasError,
    RefusedAsUnsafe,
    TimedOut,
    ToolFailed,
)
from pgaas.operations import create as create_module
from pgaas.operations import upgrade as upgrade_module
from pgaas.operations.create import Choices, Created
from pgaas.operations.upgrade import Upgraded
from pgaas.operations.version import own_version

CLIENTS = ("ic1", "is2", "is3")
DEPLOY = ("ci", "deploy", "--ins", "ic1,is2,is3", "--env", "perf", "--action", "create")


@pytest.fixture
def three(root: Path) -> Path:
    """Give a root with three clients in perf."""
    clients = root / "confs/admin/perf/clients.yaml"
    text = clients.read_text()
    block = text[text.index("  ic1:") :]
    clients.write_text(text.rstrip("\n") + "\n" + "".join(block.replace("ic1", ins) for ins in CLIENTS[1:]))
    for ins in CLIENTS[1:]:
        shutil.copytree(root / "confs/users/ic1/perf", root / f"confs/users/{ins}/perf")
        file = root / f"confs/users/{ins}/perf/databases.yaml"
        file.write_text(file.read_text().replace("ic1", ins))
    return root


class StubVerbs:
    """Stands in for create and upgrade: fails, or is interrupted, at a client; others are changed."""

    def __init__(self, **fates: BaseException) -> None:
        self.fates = fates
        self.calls: list[tuple[str, Target]] = []
        self.timeouts: list[float] = []

    def create(self, folder: Path, target: Target, choices: Choices, _: Any) -> Created:
        self._meet("create", target, choices.timeout)
        return Created(target, "c", "n", folder, (), target.ins != "is2", (), None, 1.0)

    def upgrade(self, _: Path, target: Target, *, force: bool, timeout: float, progress: Any) -> Upgraded:
        assert not force
        self._meet("upgrade", target, timeout)
        return Upgraded("c", "i", {}, True, (), 1.0)

    def _meet(self, verb: str, target: Target, timeout: float) -> None:
        self.calls.append((verb, target))
        self.timeouts.append(timeout)
        if target.ins in self.fates:
            raise self.fates[target.ins]


@pytest.fixture
def verbs(monkeypatch: pytest.MonkeyPatch) -> Callable[..., StubVerbs]:
    def stand_in(**fates: BaseException) -> StubVerbs:
        made = StubVerbs(**fates)
        monkeypatch.setattr(create_module, "create", made.create)
        monkeypatch.setattr(upgrade_module, "upgrade", made.upgrade)
        return made

    return stand_in


def states(report: Path) -> dict[str, str]:
    return {each["ins"]: each["state"] for each in clients(report)}


def clients(report: Path) -> list[dict[str, Any]]:
    return json.loads((report / "deploy.json").read_text())["clients"]


def test_clients_are_done_in_the_order_given_with_a_stub_create(three, pgaas, verbs, tmp_path: Path) -> None:
    made = verbs()
    done = pgaas(*DEPLOY, "--reports", str(tmp_path / "reports"), "-o", "json")
    assert done.code == 0, done.err
    assert made.calls == [("create", Target(ins, "perf", "dc1")) for ins in CLIENTS]
    assert made.timeouts == [600.0] * 3
    report = json.loads(done.out)
    assert (report["done"], report["failed"], report["notBegun"]) == (list(CLIENTS), [], [])
    assert [each["changed"] for each in report["clients"]] == [True, False, True]
    assert json.loads((tmp_path / "reports/deploy.json").read_text()) == report


def test_the_jobs_parameters_are_its_variables_with_a_stub_upgrade(
    three, pgaas, verbs, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = verbs()
    for name, value in {"INS": "ic1", "ENV": "prod", "ENV_OVERRIDE": "dev2", "ACTION": "upgrade"}.items():
        monkeypatch.setenv(name, value)
    assert pgaas("ci", "deploy").code == 0
    assert made.calls == [("upgrade", Target("ic1", "dev2", "dc1"))]
    assert made.timeouts == [1800.0]


@pytest.mark.parametrize(
    "error",
    [
        ToolFailed("helm said no", next_step="mend it"),
        KubernetesError("unreachable"),
        TimedOut("too late"),
        RefusedAsUnsafe("two primaries"),
        NotHealthy("not healthy"),
        ConfigError([ConfigIssue("confs/x.yaml", 7, "a.b", "is wrong")]),
    ],
    ids=lambda error: type(error).__name__,
)
def test_the_first_failure_ends_the_run_with_its_code_with_a_stub_create(
    three, pgaas, verbs, tmp_path: Path, error: PgaasError
) -> None:
    made = verbs(is2=error)
    done = pgaas(*DEPLOY, "--reports", str(tmp_path / "reports"))
    assert done.code == error.exit_code
    assert [target.ins for _, target in made.calls] == ["ic1", "is2"]
    assert "done: ic1; failed: is2; not begun: is3" in done.err
    assert error.what in done.err
    assert "run the same command again" in done.err
    assert states(tmp_path / "reports") == {"ic1": "done", "is2": "failed", "is3": "not begun"}
    if isinstance(error, ConfigError):
        assert "confs/x.yaml:7: a.b: is wrong" in done.err


def test_the_junit_report_tells_the_same_with_a_stub_create(three, pgaas, verbs, tmp_path: Path) -> None:
    verbs(is2=ToolFailed("helm said <no> & \x1b[31mstopped\x00", where="here", next_step="mend it"))
    assert pgaas(*DEPLOY, "--reports", str(tmp_path)).code == 5
    suite = ElementTree.parse(tmp_path / "deploy.junit.xml").getroot().find("testsuite")
    assert suite is not None
    assert {name: suite.get(name) for name in ("tests", "failures", "skipped")} == {
        "tests": "3",
        "failures": "1",
        "skipped": "1",
    }
    cases = {case.get("name"): [child.tag for child in case] for case in suite.iter("testcase")}
    assert cases == {"ic1": ["system-out"], "is2": ["failure"], "is3": ["skipped"]}
    failure = suite.find("testcase/failure")
    assert failure is not None
    assert (failure.get("message"), failure.get("type")) == ("helm said <no> & ?[31mstopped?", "exit 5")
    assert "next: mend it" in str(failure.text)


def test_run_again_it_goes_through_all_and_asks_the_live_cluster_with_a_stub_create(
    three, pgaas, verbs, tmp_path: Path
) -> None:
    verbs(is2=TimedOut("too late"))
    assert pgaas(*DEPLOY, "--reports", str(tmp_path)).code == 7
    made = verbs()
    assert pgaas(*DEPLOY, "--reports", str(tmp_path)).code == 0
    assert [target.ins for _, target in made.calls] == list(CLIENTS)
    assert set(states(tmp_path).values()) == {"done"}


def test_a_client_that_is_done_is_found_unchanged_and_nothing_is_applied(
    world: World, pgaas, monkeypatch: pytest.MonkeyPatch
) -> None:
    deploy = ("ci", "deploy", "--ins", "ic1", "--env", "local", "--dc", "local1", "--action", "create")
    deploy += ("--root", str(world.root), "--timeout", "5s", "-o", "json")
    first = pgaas(*deploy)
    assert first.code == 0, first.err
    assert json.loads(first.out)["clients"][0]["changed"] is True
    released(world)
    live_object(world, "new")
    world.commands.clear()
    again = pgaas(*deploy)
    assert again.code == 0, again.err
    assert json.loads(again.out)["clients"][0]["changed"] is False
    assert world.ran() == ["template"]


def test_every_configuration_is_checked_before_the_first_client_is_touched(
    three: Path, pgaas, verbs, tmp_path: Path
) -> None:
    made = verbs()
    for ins in ("is2", "is3"):
        file = three / f"confs/users/{ins}/perf/databases.yaml"
        file.write_text(file.read_text() + "nonsense: 1\n")
    done = pgaas(*DEPLOY, "--reports", str(tmp_path))
    assert done.code == 3
    assert made.calls == []
    assert "no client was touched" in done.err
    assert "confs/users/is2/perf/databases.yaml:" in done.err
    assert "confs/users/is3/perf/databases.yaml:" in done.err
    assert states(tmp_path) == {"ic1": "not begun", "is2": "failed", "is3": "failed"}


def test_a_client_or_datacenter_that_is_unknown_stops_it_before_anything(three, pgaas, verbs) -> None:
    made = verbs()
    arguments = ("--env", "perf", "--action", "create")
    # Its next step says "there".
    assert "confs/admin/perf/clients.yaml" in pgaas("ci", "deploy", "--ins", "ic1,zz9", *arguments).err
    assert pgaas("ci", "deploy", "--ins", "ic1,zz9", *arguments).code in (2, 3)
    assert pgaas("ci", "deploy", "--ins", "ic1", "--dc", "dc9", *arguments).code in (2, 3)
    assert made.calls == []


def test_ctrl_c_says_how_far_it_came_with_a_stub_create(three, pgaas, verbs, tmp_path: Path) -> None:
    verbs(is2=KeyboardInterrupt("perf-is2-dc1 may be deployed in part"))
    done = pgaas(*DEPLOY, "--reports", str(tmp_path))
    assert done.code == 130
    assert "perf-is2-dc1 may be deployed in part; done: ic1; interrupted: is2; not begun: is3" in done.err
    assert states(tmp_path) == {"ic1": "done", "is2": "interrupted", "is3": "not begun"}
    assert [each["exitCode"] for each in clients(tmp_path)] == [0, 130, 0]
    assert clients(tmp_path)[1]["nextStep"]


def test_a_run_that_is_killed_leaves_a_report_of_what_had_begun_with_a_stub_create(
    three, pgaas, verbs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = verbs()
    real, kept = made.create, tmp_path / "as-it-was"

    def keep_report(folder: Path, target: Target, *others: Any) -> Created:
        if target.ins == "is2":
            shutil.copytree(tmp_path / "reports", kept)
        return real(folder, target, *others)

    monkeypatch.setattr(create_module, "create", keep_report)
    assert pgaas(*DEPLOY, "--reports", str(tmp_path / "reports")).code == 0
    assert states(kept) == {"ic1": "done", "is2": "running", "is3": "not begun"}
    assert json.loads((kept / "deploy.json").read_text())["running"] == ["is2"]
    suite = ElementTree.parse(kept / "deploy.junit.xml").getroot().find("testsuite")
    assert suite is not None
    assert (suite.get("failures"), suite.get("skipped")) == ("1", "1")
    assert "the run was killed" in str(suite.find("testcase[@name='is2']/failure").get("message"))  # type: ignore[union-attr]
    assert [each["error"] for each in clients(tmp_path / "reports")] == [None] * 3


@pytest.mark.parametrize(("version", "told"), [("1.2.3", True), ("", False)])
def test_a_pgaas_of_another_version_than_the_release_says_so_with_a_stub_create(
    three: Path, pgaas, verbs, version: str, told: bool
) -> None:
    made = verbs()
    own = own_version().text
    parts = {name: {"version": version or own, "sha256": "a" * 64} for name in ("pgaas", "users")}
    (three / ".pgaas-release.json").write_text(json.dumps(parts))
    done = pgaas(*DEPLOY)
    assert done.code == 0
    assert len(made.calls) == 3
    assert (f"this pgaas is {own}, and the release" in done.err) == told


def test_a_full_disk_is_no_bug_and_names_the_clients_too_with_a_stub_create(
    three, pgaas, verbs, tmp_path: Path
) -> None:
    verbs(is2=OSError(errno.ENOSPC, "No space left on device", "/var/full"))
    done = pgaas(*DEPLOY, "--reports", str(tmp_path))
    assert done.code == clients(tmp_path)[1]["exitCode"] == 2
    assert "done: ic1; failed: is2; not begun: is3" in done.err
    assert (clients(tmp_path)[1]["error"], clients(tmp_path)[1]["where"]) == (
        "no space left on device",
        "/var/full",
    )


def test_a_bug_is_in_the_report_too_with_a_stub_create(three, pgaas, verbs, tmp_path: Path) -> None:
    verbs(is2=ZeroDivisionError("division by zero"))
    assert pgaas(*DEPLOY, "--reports", str(tmp_path / "reports")).code == 1
    assert states(tmp_path / "reports") == {"ic1": "done", "is2": "failed", "is3": "not begun"}


def test_reports_that_cannot_be_written_stop_it_before_anything_with_a_stub_create(
    three, pgaas, verbs, tmp_path: Path
) -> None:
    made = verbs()
    (tmp_path / "file").write_text("")
    assert pgaas(*DEPLOY, "--reports", str(tmp_path / "file/reports")).code == 2
    assert made.calls == []


def test_a_report_that_fails_on_the_way_hides_nothing_with_a_stub_create(
    three, pgaas, verbs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = verbs(is2=TimedOut("too late"))
    real = made.create

    def fill_disk(*arguments: Any) -> Created:
        shutil.rmtree(tmp_path / "reports", ignore_errors=True)
        (tmp_path / "reports").touch()
        return real(*arguments)

    monkeypatch.setattr(create_module, "create", fill_disk)
    done = pgaas(*DEPLOY, "--reports", str(tmp_path / "reports"))
    assert done.code == 7
    assert "the report is behind" in done.err
    assert "too late" in done.err


def test_a_signal_ends_a_run_and_leaves_a_report_of_it(three: Path, tmp_path: Path) -> None:
    """A real process against an API server that takes connections and never answers."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        kubeconfig = tmp_path / "kubeconfig"
        kubeconfig.write_text(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\n"
            f"clusters:\n- {{name: c, cluster: {{server: 'http://127.0.0.1:{port}'}}}}\n"
            "users:\n- {name: c, user: {token: t}}\n"
            "contexts:\n- {name: c, context: {cluster: c, user: c}}\n"
        )
        process = subprocess.Popen(
            [sys.executable, "-m", "pgaas", *DEPLOY, "--reports", str(tmp_path / "reports")],
            cwd=three,
            env={**os.environ, "KUBECONFIG": str(kubeconfig)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        server.settimeout(60)
        connection, _ = server.accept()
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
        connection.close()
    assert process.returncode == 143, err
    assert "interrupted: ic1; not begun: is2, is3" in err
    assert states(tmp_path / "reports") == {"ic1": "interrupted", "is2": "not begun", "is3": "not begun"}
    assert clients(tmp_path / "reports")[0]["exitCode"] == 143


def test_the_release_that_was_fetched_is_in_the_report_with_a_stub_create(
    three: Path, pgaas, verbs, tmp_path: Path
) -> None:
    verbs()
    parts = {name: {"version": "1.2.3", "sha256": "a" * 64} for name in ("pgaas", "users")}
    (three / ".pgaas-release.json").write_text(json.dumps(parts))
    assert pgaas(*DEPLOY, "--reports", str(tmp_path)).code == 0
    assert json.loads((tmp_path / "deploy.json").read_text())["release"] == parts
    assert 'name="pgaas.version" value="1.2.3"' in (tmp_path / "deploy.junit.xml").read_text()
