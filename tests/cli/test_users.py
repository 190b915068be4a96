"""The clients' files from a clone of their own repository, at a commit; git is real."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from tests.charts.support import of_kind, render_plain
from tests.cli.support import Ran, fake_tool, run_process

from pgaas.cli import registry
from pgaas.cli.app import load

Run = Callable[..., Ran]
PROD = ("--ins", "ic1", "--env", "prod")
FILE = "ic1/prod/databases.yaml"
VALUES = "confs/_generated/ic1-prod/dc1/values.yaml"
NAMED = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.com"}
NAMED |= {name.replace("AUTHOR", "COMMITTER"): value for name, value in NAMED.items()}


def git(folder: Path, *arguments: str) -> str:
    """Run git, and return what it says; nothing of this machine's settings counts."""
    env = {**os.environ, **NAMED, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    argv = ["git", "-C", str(folder), "-c", "protocol.file.allow=always", *arguments]
    return subprocess.run(
        argv, env=env, check=True, capture_output=True, text=True, timeout=60
    ).stdout.strip()


@pytest.fixture
def clone(root: Path, tmp_path: Path) -> Path:
    """Give a clone of the clients' repository with a tag at each of two commits; the root has none."""
    folder = tmp_path / "values"
    (root / "confs/users").rename(folder)
    git(folder, "init", "--quiet", "--initial-branch", "main")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "Begin")
    git(folder, "tag", "v1")
    (folder / "README.md").write_text("ours\n")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "Say whose this is")
    git(folder, "tag", "-a", "v2", "-m", "two")
    return folder


def head(folder: Path) -> str:
    return git(folder, "rev-parse", "HEAD")


def recorded(root: Path) -> str:
    """Return the commit in the values that were generated."""
    return str(yaml.safe_load((root / VALUES).read_text())["cluster"]["usersRevision"])


def test_a_clone_stands_for_the_roots_own_files(root: Path, clone: Path, pgaas: Run):
    assert pgaas("generate", *PROD).code == 2
    ran = pgaas("generate", *PROD, "--users", "../values")
    assert (ran.code, ran.out) == (0, f"{VALUES}\n"), ran.err
    assert ran.err == f"note: the clients' files are those of ../values at {head(clone)[:12]}\n"
    assert recorded(root) == head(clone)
    source = (root / VALUES).read_text().splitlines()[1]
    assert source == f"# From confs/admin/prod/*.yaml and confs/users/{FILE} at {head(clone)}"


def test_the_environment_can_name_it_and_json_says_the_commit(
    root: Path, clone: Path, pgaas: Run, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PGAAS_USERS", str(clone))
    monkeypatch.setenv("PGAAS_USERS_REVISION", "v2")
    ran = pgaas("generate", "--all", "-o", "json")
    assert ran.code == 0, ran.err
    found = json.loads(ran.out)
    assert (found["usersRevision"], len(found["targets"])) == (head(clone), 11)


def test_issues_name_the_file_as_one_can_type_it(root: Path, clone: Path, pgaas: Run):
    (clone / FILE).write_text("roles: []\n")
    ran = pgaas("explain", *PROD, "--users", "../values")
    assert ran.code == 3
    assert f"../values/{FILE}: postgresql: is required" in ran.err
    ran = pgaas("explain", "--ins", "ic1", "--env", "nowhere", "--users", "../values")
    assert "where: ../values/ic1/hp/nowhere/databases.yaml" in ran.err
    assert "known: dev1, dev2, local, perf, pprod, prod" in ran.err


def test_without_a_word_of_it_git_is_not_asked_and_nothing_is_recorded(
    root: Path, tmp_path: Path, clone: Path
):
    clone.rename(root / "confs/users")
    asked = tmp_path / "asked"
    fake_tool(tmp_path / "bin", "git", f"touch {asked}; exit 1")
    env = {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
    ran = run_process("generate", *PROD, cwd=root, env=env)
    assert (ran.code, ran.err) == (0, "")
    assert recorded(root) == ""
    assert not asked.exists()
    assert run_process("generate", *PROD, "--users", "confs/users", cwd=root, env=env).code == 5
    assert asked.exists()


def test_a_link_at_confs_users_is_held_to_a_commit_too(root: Path, clone: Path, pgaas: Run):
    (root / "confs/users").symlink_to(clone)
    ran = pgaas("generate", *PROD, "--users-revision", "v2")
    assert ran.code == 0, ran.err
    assert recorded(root) == head(clone)
    assert pgaas("generate", *PROD, "--users-revision", "v1").code == 8


def test_a_submodule_at_confs_users_is_held_to_its_own_commit(root: Path, clone: Path, pgaas: Run):
    git(root, "init", "--quiet")
    git(root, "submodule", "--quiet", "add", str(clone), "confs/users")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "-m", "Begin")
    assert head(root) != head(clone)
    ran = pgaas("generate", *PROD, "--users-revision", head(clone))
    assert ran.code == 0, ran.err
    assert recorded(root) == head(clone)
    ran = pgaas("generate", *PROD, "--users-revision", head(root))
    assert ran.code == 8
    assert "knows no commit and no tag" in ran.err


@pytest.mark.parametrize("name", ["v2", "whole", "begin"])
def test_a_commit_or_a_tag_is_a_revision(clone: Path, pgaas: Run, name: str):
    revision = {"whole": head(clone), "begin": head(clone)[:8]}.get(name, name)
    ran = pgaas("generate", *PROD, "--users", str(clone), "--users-revision", revision)
    assert ran.code == 0, ran.err


def exclude(clone: Path) -> None:
    """Have git ignore a client's file that no commit holds."""
    (clone / "ic1/hp/dev9").mkdir()
    (clone / "ic1/hp/dev9/databases.yaml").write_text("postgresql: {majorVersion: 17}\n")
    (clone / ".git/info/exclude").write_text("dev9\n")


def hide(clone: Path, *flag: str) -> None:
    """Change a client's file, and tell git not to look."""
    git(clone, "update-index", *flag, FILE)
    (clone / FILE).write_text("postgresql: {majorVersion: 17}\n")


CHANGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a changed file": (lambda clone: (clone / FILE).write_text("a: b\n"), FILE),
    "a removed file": (lambda clone: (clone / FILE).unlink(), FILE),
    "a file that is staged": (
        lambda clone: ((clone / FILE).write_text("a: b\n"), git(clone, "add", ".")),
        FILE,
    ),
    "a file that git does not know": (lambda clone: (clone / "new\nfile").write_text(""), "new\\nfile"),
    "a client's file that git ignores": (exclude, "ic1/hp/dev9/databases.yaml"),
    "a file that is assumed to be unchanged": (lambda clone: hide(clone, "--assume-unchanged"), FILE),
    "a file that is left out of the work tree": (lambda clone: hide(clone, "--skip-worktree"), FILE),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_clone_that_was_changed_is_said_and_is_at_no_revision(
    root: Path, clone: Path, pgaas: Run, what: str
):
    change, path = CHANGES[what]
    change(clone)
    commit = head(clone)
    ran = pgaas("generate", *PROD, "--users", "../values", "--users-revision", "v2")
    assert (ran.code, ran.out) == (8, "")
    assert (
        f"error: ../values is at v2, but changed since: {path}" in ran.err.replace("\n", "\\x0a", 1) + ran.err
    )
    assert not (root / VALUES).exists()
    ran = pgaas("generate", "--ins", "ic1", "--env", "perf", "--users", "../values", "-o", "json")
    assert ran.code == 0, ran.err
    assert f"at {commit[:12]}-dirty: changed since, and not committed: " in ran.err
    assert json.loads(ran.out)["usersRevision"] == f"{commit}-dirty"


@pytest.mark.parametrize(
    ("revision", "said"),
    [
        ("v1", "../values is at {head}, not at v1 ("),
        ("main", "../values knows no commit and no tag 'main'; it is at {head}"),
        ("HEAD", "../values knows no commit and no tag 'HEAD'; it is at {head}"),
        ("0123456789", "../values knows no commit and no tag '0123456789'"),
        ("--all", "../values knows no commit and no tag '--all'"),
        ("", "../values knows no commit and no tag ''"),
    ],
)
def test_another_commit_a_branch_or_none_is_refused(
    root: Path, clone: Path, pgaas: Run, revision: str, said: str
):
    ran = pgaas("generate", *PROD, "--users", "../values", f"--users-revision={revision}")
    assert (ran.code, ran.out) == (8, "")
    assert said.format(head=head(clone)[:12]) in ran.err
    assert not (root / VALUES).exists()


def test_a_branch_called_like_a_commit_is_none(clone: Path, pgaas: Run):
    git(clone, "branch", "deadbeef")
    ran = pgaas("generate", *PROD, "--users", "../values", "--users-revision", "deadbeef")
    assert ran.code == 8


def test_a_folder_that_is_no_clone_has_no_revision(root: Path, clone: Path, tmp_path: Path, pgaas: Run):
    (clone / ".git").rename(tmp_path / "away")
    ran = pgaas("generate", *PROD, "--users", "../values")
    assert ran.code == 0
    assert "no git clone with a commit: none is recorded" in ran.err
    assert recorded(root) == ""
    ran = pgaas("generate", *PROD, "--users", "../values", "--users-revision", "v2")
    assert ran.code == 8
    assert "is no git clone" in ran.err


def test_a_repository_without_a_commit_has_no_revision_yet(
    root: Path, clone: Path, tmp_path: Path, pgaas: Run
):
    (clone / ".git").rename(tmp_path / "away")
    git(clone, "init", "--quiet")
    ran = pgaas("validate", "--users", "../values")
    assert ran.code == 0, ran.err
    assert pgaas("generate", *PROD, "--users", "../values").code == 0
    assert recorded(root) == ""
    assert pgaas("generate", *PROD, "--users", "../values", "--users-revision", "v2").code == 8


def test_no_folder_and_no_git_are_said(root: Path, clone: Path, tmp_path: Path):
    ran = run_process("generate", *PROD, "--users", "../valeus", cwd=root)
    assert ran.code == 2
    assert "error: ../valeus is no folder" in ran.err
    (tmp_path / "bin").mkdir()
    ran = run_process(
        "generate", *PROD, "--users", "../values", cwd=root, env={"PATH": str(tmp_path / "bin")}
    )
    assert ran.code == 4
    assert "git is not installed" in ran.err


def test_a_hooks_own_variables_lead_nowhere_else(root: Path, clone: Path, tmp_path: Path):
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "--quiet")
    env = {"GIT_DIR": str(other / ".git"), "GIT_WORK_TREE": str(other), "GIT_INDEX_FILE": "nowhere"}
    ran = run_process("generate", *PROD, "--users", "../values", "--users-revision", "v2", cwd=root, env=env)
    assert ran.code == 0, ran.err
    assert recorded(root) == head(clone)


def test_no_program_that_a_clone_names_is_run(root: Path, clone: Path, tmp_path: Path, pgaas: Run):
    git(clone, "config", "core.fsmonitor", f"touch {tmp_path}/ran; false")
    assert pgaas("generate", *PROD, "--users", "../values").code == 0
    assert not (tmp_path / "ran").exists()
    git(clone, "status")
    assert (tmp_path / "ran").exists()


def test_the_chart_writes_the_commit_on_the_cluster(root: Path, clone: Path, pgaas: Run):
    assert pgaas("generate", *PROD, "--users", "../values").code == 0
    values = yaml.safe_load((root / VALUES).read_text())
    (cluster,) = of_kind(render_plain(values), "Cluster")
    assert cluster["metadata"]["annotations"] == {"pgaas.io/users-revision": head(clone)}
    values["cluster"]["usersRevision"] = ""
    (cluster,) = of_kind(render_plain(values), "Cluster")
    assert "annotations" not in cluster["metadata"]


def test_the_shell_completes_clients_of_a_clone(root: Path, clone: Path):
    for words in ("pgaas preview --users ../values --ins ", "pgaas preview --ins "):
        position = str(len(words.split()))
        request = {"_PGAAS_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": position}
        ran = run_process(cwd=root, env=request | {"PGAAS_USERS": "" if "--users" in words else "../values"})
        assert ran.out.split() == ["ic1", "is1"], words
    words = "pgaas psql --users ../values --ins ic1 --env prod --role "
    request = {"_PGAAS_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split()))}
    assert "report_user" in run_process(cwd=root, env=request).out.split()


def options_of(name: str) -> set[str]:
    return {option for parameter in load(name).params for option in parameter.opts}


def test_every_command_that_reads_confs_takes_a_clone():
    names = registry.runnable(registry.SUMMARIES)
    takers = {name for name in names if "--root" in options_of(name)}
    assert {"create", "status", "generate", "infra install", "trust show"} <= takers
    both = {name for name in names if {"--users", "--users-revision"} <= options_of(name)}
    assert both == takers - registry.WITHOUT_USERS
