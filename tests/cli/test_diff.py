"""`pgaas diff` as it is typed: what it prints, and how it ends."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.support import Ran, run_process

from pgaas.cli.diff_markdown import LIMIT, markdown
from pgaas.config.naming import Target
from pgaas.operations.diff_values import Diff, ObjectChange, TargetDiff, ValueChange
from pgaas.render.marks import Mark

Pgaas = Callable[..., Ran]
ADMIN = "confs/admin/local/postgresql.yaml"


def commit(root: Path) -> None:
    who = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"]
    for arguments in (["init", "-q"], ["add", "confs", "helmfile.yaml"], ["commit", "-qm", "all"]):
        subprocess.run(["git", *who, *arguments], cwd=root, check=True, capture_output=True)


def edit(root: Path, old: str, new: str, file: str = ADMIN) -> None:
    text = (root / file).read_text()
    assert old in text
    (root / file).write_text(text.replace(old, new))


@pytest.fixture
def changed(root: Path) -> Path:
    """Give a root in which work_mem is new and max_connections higher than in the last commit."""
    commit(root)
    edit(root, 'max_connections: "50"', 'max_connections: "60"\n    work_mem: 8MB')
    return root


def test_text(changed: Path, pgaas: Pgaas) -> None:
    ran = pgaas("diff", "--ins", "ic1", "--env", "local", "--against", "HEAD")
    assert ran.code == 0, ran.err
    lines = [" ".join(line.split()) for line in ran.out.splitlines()]
    assert "ic1/local/local1: rolling restart" in lines
    assert f"cluster.parameters.max_connections 50 60 {ADMIN}:7" in lines
    assert f"cluster.parameters.work_mem - 8MB {ADMIN}:8" in lines
    assert lines[-1].startswith("2 clusters against HEAD (")
    assert lines[-1].endswith("): 2 rolling restart")


def test_json(changed: Path, pgaas: Pgaas) -> None:
    ran = pgaas("diff", "--all", "--against", "HEAD", "-o", "json")
    assert ran.code == 0, ran.err
    found = json.loads(ran.out)
    assert (found["mark"], found["live"]) == ("restart", False)
    target = next(each for each in found["targets"] if each["dc"] == "local1")
    assert (target["cluster"], target["state"], target["mark"]) == ("local-ic1-local1", "changed", "restart")
    value = next(each for each in target["values"] if each["path"] == "cluster.parameters.work_mem")
    assert (value["before"], value["after"], value["mark"]) == (None, "8MB", "reload")
    assert value["places"] == [
        {"file": ADMIN, "line": 8, "path": "postgresql.parameters.work_mem", "gone": False}
    ]


@pytest.mark.parametrize(
    ("limit", "code"), [("reload", 8), ("restart", 8), ("disruptive", 0), ("forbidden", 0)]
)
def test_failing_from_a_mark_on(changed: Path, pgaas: Pgaas, limit: str, code: int) -> None:
    ran = pgaas("diff", "--all", "--against", "HEAD", "--fail-on", limit)
    assert ran.code == code
    assert "11 clusters against HEAD" in ran.out
    assert ("--fail-on" in ran.err) == (code == 8)


def test_issues_are_told_after_the_rest(changed: Path, pgaas: Pgaas) -> None:
    edit(changed, "majorVersion: 17", "majorVersion: x", "confs/users/ic1/prod/databases.yaml")
    ran = pgaas("diff", "--all", "--against", "HEAD")
    assert ran.code == 3
    assert "ic1/prod/dc1: could not be compared" in ran.out
    assert "ic1/local/local1: rolling restart" in ran.out
    assert "confs/users/ic1/prod/databases.yaml:3" in ran.err
    ran = pgaas("diff", "--ins", "ic1", "--env", "prod", "--against", "HEAD", "-o", "json")
    target = json.loads(ran.out)["targets"][0]
    assert [(each["file"], each["line"]) for each in target["issues"]] == [
        ("confs/users/ic1/prod/databases.yaml", 3)
    ]


def test_folders_need_no_root(changed: Path, tmp_path: Path) -> None:
    folder = changed / "confs/_generated"
    assert run_process("generate", "--all", cwd=changed).code == 0
    shutil.move(folder, tmp_path / "after")
    edit(changed, 'max_connections: "60"', 'max_connections: "50"')
    assert run_process("generate", "--all", cwd=changed).code == 0
    shutil.move(folder, tmp_path / "before")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    ran = run_process("diff", "--all", "--before", "../before", "--after", "../after", cwd=elsewhere)
    assert ran.code == 0, ran.err
    assert "ic1/local/local2: rolling restart" in ran.out
    assert "2 rolling restart, 9 unchanged" in ran.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "nothing says which clusters"),
        (["--all", "--ins", "ic1"], "--all takes no"),
        (["--all", "--before", "x"], "belong together"),
        (["--all", "--against", "x", "--before", "x", "--after", "x"], "--against takes no"),
        (["--all", "--against", "nowhere"], "git knows no revision"),
        (["--all", "--fail-on", "nothing"], "fail-on"),
        (["--all", "--before", "nowhere", "--after", "nowhere"], "holds no generated values"),
        (["--ins", "ic9", "--against", "HEAD"], "there is no such cluster"),
    ],
)
def test_what_cannot_be_asked_for(changed: Path, pgaas: Pgaas, arguments: list[str], said: str) -> None:
    ran = pgaas("diff", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err


def test_without_git(changed: Path, pgaas: Pgaas, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    ran = pgaas("diff", "--all", "--against", "HEAD")
    assert ran.code == 4
    assert "git is not installed" in ran.err


def test_markdown(changed: Path, pgaas: Pgaas) -> None:
    ran = pgaas("diff", "--ins", "ic1", "--env", "local", "--against", "HEAD", "-o", "markdown")
    assert ran.code == 0, ran.err
    assert ran.out.startswith("### pgaas diff\n")
    assert (
        f"| 🟡 rolling restart | `cluster.parameters.max_connections` | `50` | `60` | `{ADMIN}:7` |"
        in ran.out
    )
    assert ran.out.count("<details>") == ran.out.count("</details>") == 2


def target(*values: ValueChange, objects: tuple[ObjectChange, ...] = (), dc: str = "dc1") -> TargetDiff:
    return TargetDiff(Target("ic1", "prod", dc), "changed", values, objects)


def value(path: str, before: str, after: str) -> ValueChange:
    return ValueChange(path, before, after, Mark.reload, "why <b>not</b> @all")


def test_nothing_in_a_value_is_markup() -> None:
    hostile = "x` | <img src=x onerror=alert(1)> ``` @all\n\n# heading"
    text = markdown(Diff("main", (target(value("cluster.parameters.a", hostile, "\\|")),)))
    [row] = [line for line in text.splitlines() if line.startswith("| 🔵")]
    # Its five cells' borders, and what is escaped.
    assert row.count("|") - row.count("\\|") == 6
    assert "````" in row  # a fence longer than what is in it
    assert "<b>" not in text
    assert "@all" not in text.replace(row, "")


def test_a_diff_that_closes_its_fence() -> None:
    lines = ("--- a", "+++ b", "+```", "+</details>", "+# heading")
    found = ObjectChange("ConfigMap", "x", "changed", Mark.reload, "", lines)
    text = markdown(Diff("main", (target(objects=(found,)),)))
    assert "````diff\n" in text
    assert text.index("+# heading") < text.rindex("````")


def test_a_comment_has_an_end() -> None:
    many = tuple(target(*(value(f"p.{n}", "a", "b") for n in range(40)), dc=f"dc{n}") for n in range(300))
    text = markdown(Diff("main", many))
    assert len(text) <= LIMIT
    assert "more clusters" in text
    assert text.count("<details>") == text.count("</details>")
