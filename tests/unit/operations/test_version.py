from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version as Pep440
from tests.cli.support import run_process
from tests.unit.tools.checkouts import Checkout, new_checkout

from pgaas.errors import UsageError
from pgaas.operations import version as operation
from pgaas.operations.version import TREE_BUILT, Version, dump_built, short, tree_version

# The expression that semver.org gives.
SEMVER = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"
    r"(?:-((?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?"
    r"(?:\+([0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*))?",
    re.ASCII,
)
NOTHING: dict[str, str] = {}


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """Give a repository on branch main with one commit."""
    made = new_checkout(tmp_path / "tree")
    made.write("file")
    made.commit()
    return made


def spelled(root: Path, **environ: str) -> tuple[str, str]:
    found = tree_version(root, environ)
    return found.text, found.python


def test_a_tag_is_its_version(checkout: Checkout):
    checkout.git("tag", "v1.2.3")
    found = tree_version(checkout.root, NOTHING)
    assert (found.text, found.python, found.is_release) == ("1.2.3", "1.2.3", True)
    assert found.source == "tag v1.2.3 (git)"


def test_an_annotated_tag_is_its_version(checkout: Checkout):
    checkout.git("tag", "-a", "v1.2.3", "-m", "Release")
    assert spelled(checkout.root) == ("1.2.3", "1.2.3")


def test_a_branch_is_a_snapshot(checkout: Checkout):
    commit = checkout.git("rev-parse", "HEAD")
    found = tree_version(checkout.root, NOTHING)
    sha = short(commit)
    assert (found.text, found.python) == (f"0.0.0-main.{sha}", f"0.0.0+main.{sha}")
    assert (found.commit, found.branch, found.is_release) == (commit, "main", False)


@pytest.mark.parametrize(
    ("branch", "text", "python"),
    [
        ("feature/x", "feature-x", "feature.x"),
        ("Fix_Ünï--2", "fix-n-2", "fix.n.2"),
        ("007", "branch-007", "branch.7"),
        ("日本", "branch", "branch"),
        ("x" * 60, "x" * 40, "x" * 40),
        ("x" * 39 + "-y", "x" * 39, "x" * 39),
    ],
)
def test_another_branch_gives_a_valid_version(checkout: Checkout, branch: str, text: str, python: str):
    checkout.git("checkout", "--quiet", "-b", branch)
    sha = short(checkout.git("rev-parse", "HEAD"))
    assert spelled(checkout.root) == (f"0.0.0-{text}.{sha}", f"0.0.0+{python}.{sha}")


def test_a_detached_head_says_so(checkout: Checkout):
    checkout.git("checkout", "--quiet", "--detach")
    found = tree_version(checkout.root, NOTHING)
    assert found.text == f"0.0.0-detached.{short(found.commit)}"
    assert found.source == "a detached head (git)"


def test_a_changed_file_makes_a_tag_no_release(checkout: Checkout):
    checkout.git("tag", "v1.2.3")
    checkout.write("file", "changed\n")
    found = tree_version(checkout.root, NOTHING)
    assert found.text == f"0.0.0-main.{short(found.commit)}.dirty"
    assert (found.dirty, found.tag, found.is_release) == (True, "", False)


def test_what_git_does_not_track_changes_no_version(checkout: Checkout):
    checkout.git("tag", "v1.2.3")
    checkout.write("untracked")
    assert spelled(checkout.root) == ("1.2.3", "1.2.3")


@pytest.mark.parametrize(
    ("tags", "text", "python"),
    [
        (("v1.2.3", "v1.10.0", "v1.9.9"), "1.10.0", "1.10.0"),
        (("v1.2.3-rc.1", "v1.2.3-beta.2"), "1.2.3-rc.1", "1.2.3rc1"),
        (("v1.2.3-rc.10", "v1.2.3-rc.9"), "1.2.3-rc.10", "1.2.3rc10"),
        (("v1.2.3-rc.1", "v1.2.3"), "1.2.3", "1.2.3"),
        (("v1.2.3-alpha.0", "deployed"), "1.2.3-alpha.0", "1.2.3a0"),
    ],
)
def test_of_several_tags_the_latest_version_counts(
    checkout: Checkout, tags: tuple[str, ...], text: str, python: str
):
    for tag in tags:
        checkout.git("tag", tag)
    assert spelled(checkout.root) == (text, python)


@pytest.mark.parametrize(
    "tag", ["deployed", "1.2.3", "v1.2", "v1.2.3.4", "v01.2.3", "v1.2.3-foo", "v1.2.3-rc1", "v١.٢.٣"]
)
def test_another_tag_is_no_version(checkout: Checkout, tag: str):
    checkout.git("tag", tag)
    assert spelled(checkout.root)[0].startswith("0.0.0-main.")


GITLAB = {"GITLAB_CI": "true"}
JENKINS = {"JENKINS_URL": "https://jenkins.example.com/"}


@pytest.mark.parametrize(
    "said",
    [
        {**GITLAB, "CI_COMMIT_TAG": "v1.2.3", "CI_COMMIT_SHA": "HEAD"},
        {**JENKINS, "TAG_NAME": "v1.2.3", "BRANCH_NAME": "v1.2.3", "GIT_COMMIT": "HEAD"},
        {**JENKINS, "TAG_NAME": "v1.2.3", "BRANCH_NAME": "v1.2.3"},
        {"PGAAS_BUILD_TAG": "v1.2.3"},
    ],
)
def test_a_pipelines_tag_counts_where_the_checkout_has_none(checkout: Checkout, said: dict[str, str]):
    checkout.git("checkout", "--quiet", "--detach")
    commit = checkout.git("rev-parse", "HEAD")
    said = {name: commit if value == "HEAD" else value for name, value in said.items()}
    found = tree_version(checkout.root, said)
    assert (found.text, found.tag, found.commit) == ("1.2.3", "v1.2.3", commit)


@pytest.mark.parametrize(
    "said",
    [
        {**GITLAB, "CI_COMMIT_BRANCH": "main"},
        {**GITLAB, "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME": "main"},
        {**JENKINS, "BRANCH_NAME": "main"},
        {"PGAAS_BUILD_BRANCH": "main"},
    ],
)
def test_a_pipelines_branch_counts_though_the_head_is_detached_and_tagged(
    checkout: Checkout, said: dict[str, str]
):
    checkout.git("tag", "v1.2.3")
    checkout.git("checkout", "--quiet", "--detach")
    assert spelled(checkout.root, **said)[0].startswith("0.0.0-main.")


@pytest.mark.parametrize(
    "said",
    [
        {"CI_COMMIT_TAG": "v1.2.3", "TAG_NAME": "v1.2.3", "BRANCH_NAME": "other"},
        {**GITLAB, "CI_COMMIT_TAG": "v1.2.3", "CI_COMMIT_SHA": "1" * 40},
        {**JENKINS, "TAG_NAME": "v1.2.3", "GIT_COMMIT": "1" * 40},
        GITLAB,
        {"PGAAS_VERSION": "1.2.3"},
    ],
)
def test_what_is_said_outside_a_pipeline_or_of_another_commit_does_not_count(
    checkout: Checkout, said: dict[str, str]
):
    assert spelled(checkout.root, **said)[0].startswith("0.0.0-main.")


def test_a_pipeline_on_a_changed_tree_makes_no_release(checkout: Checkout):
    checkout.write("file", "changed\n")
    text, _ = spelled(checkout.root, **GITLAB, CI_COMMIT_TAG="v1.2.3")
    assert text.startswith("0.0.0-v1-2-3.")
    assert text.endswith(".dirty")


@pytest.mark.parametrize("tag", ["v1.2", "v1.2.3-foo", "v1.2.3; rm -rf /"])
def test_a_pipelines_tag_that_only_looks_like_a_version_is_refused(checkout: Checkout, tag: str):
    with pytest.raises(UsageError, match="is no version"):
        tree_version(checkout.root, {**GITLAB, "CI_COMMIT_TAG": tag})


def test_a_pipelines_other_tag_names_a_snapshot(checkout: Checkout):
    assert spelled(checkout.root, **GITLAB, CI_COMMIT_TAG="nightly")[0].startswith("0.0.0-nightly.")


def test_a_tag_that_was_moved_is_refused(checkout: Checkout):
    checkout.git("tag", "v1.2.3")
    checkout.commit("Next")
    with pytest.raises(UsageError, match=r"this is tag v1\.2\.3, which is commit"):
        tree_version(checkout.root, {**JENKINS, "TAG_NAME": "v1.2.3"})


def test_a_commit_that_was_handed_in_and_is_not_there_is_refused(checkout: Checkout):
    with pytest.raises(UsageError, match="PGAAS_BUILD_COMMIT"):
        tree_version(checkout.root, {"PGAAS_BUILD_TAG": "v1.2.3", "PGAAS_BUILD_COMMIT": "1" * 40})


@pytest.mark.parametrize("commit", ["abc", "main", "abcdef0; ls", "ABCDEF0"])
def test_a_commit_that_is_none_is_refused(tmp_path: Path, commit: str):
    with pytest.raises(UsageError, match="PGAAS_BUILD_COMMIT is"):
        tree_version(tmp_path, {"PGAAS_BUILD_COMMIT": commit})


def test_a_tree_without_git_has_a_version(tmp_path: Path):
    assert spelled(tmp_path) == ("0.0.0-unknown", "0.0.0+unknown")
    assert spelled(tmp_path, **GITLAB, CI_COMMIT_TAG="v1.2.3") == ("0.0.0-unknown", "0.0.0+unknown")
    handed = tree_version(tmp_path, {"PGAAS_BUILD_BRANCH": "main", "PGAAS_BUILD_COMMIT": "abcdef0123"})
    assert (handed.text, handed.commit) == ("0.0.0-main.abcdef0", "abcdef0123")
    assert spelled(tmp_path, PGAAS_BUILD_TAG="v1.2.3") == ("1.2.3", "1.2.3")
    assert spelled(tmp_path, PGAAS_BUILD_BRANCH="main")[0] == "0.0.0-unknown"


def test_a_folder_inside_somebody_elses_repository_is_not_that_repository(checkout: Checkout):
    checkout.git("tag", "v1.2.3")
    inner = checkout.root / "inner"
    (inner / ".git").mkdir(parents=True)
    assert spelled(inner)[0] == "0.0.0-unknown"
    assert spelled(checkout.write("other/file").parent)[0] == "0.0.0-unknown"


def test_a_repository_without_a_commit_has_a_version(tmp_path: Path):
    assert spelled(new_checkout(tmp_path).root)[0] == "0.0.0-unknown"


def test_without_git_on_the_path_a_checkout_still_has_a_version(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PATH", str(checkout.root))
    found = tree_version(checkout.root, NOTHING)
    assert (found.text, found.source) == (
        "0.0.0-unknown",
        "a source tree that git does not read: git is not installed",
    )


def test_the_whole_reason_is_told_when_git_refuses_a_checkout(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
):
    someone_elses(monkeypatch)
    found = tree_version(checkout.root, NOTHING)
    assert found.text == "0.0.0-unknown"
    assert "dubious ownership" in found.source
    assert f"safe.directory {checkout.root}" in found.source
    assert "\n" not in found.source


@pytest.mark.parametrize("output", ["text", "json"])
def test_the_command_says_on_stderr_why_it_does_not_know(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, output: str
):
    someone_elses(monkeypatch)
    ran = run_process("version", "-o", output, cwd=tmp_path)
    assert ran.code == 0
    assert "0.0.0-unknown" in ran.out
    assert "note: the version is not known: " in ran.err
    assert ran.out.count("\n") == 1 or json.loads(ran.out)


def someone_elses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let git take every checkout for another user's, as it does in many a container."""
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


def test_a_git_hooks_variables_lead_nowhere_else(
    checkout: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    other = new_checkout(tmp_path / "other")
    other.commit()
    other.git("tag", "v9.9.9")
    monkeypatch.setenv("GIT_DIR", str(other.root / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other.root))
    assert spelled(checkout.root)[0].startswith("0.0.0-main.")


def test_a_worktree_and_a_link_to_a_checkout_are_checkouts(checkout: Checkout, tmp_path: Path):
    checkout.git("worktree", "add", "--quiet", "-b", "other", str(tmp_path / "worktree"))
    assert spelled(tmp_path / "worktree")[0].startswith("0.0.0-other.")
    (tmp_path / "link").symlink_to(checkout.root)
    assert spelled(tmp_path / "link")[0].startswith("0.0.0-main.")


def test_looking_writes_nothing(checkout: Checkout):
    checkout.write("file", "text\n")
    index = checkout.root / ".git/index"
    before = (index.read_bytes(), index.stat().st_mtime_ns)
    tree_version(checkout.root, NOTHING)
    assert (index.read_bytes(), index.stat().st_mtime_ns) == before


def test_a_tree_that_was_taken_out_of_git_is_what_it_was_then_and_a_checkout_what_it_is(
    checkout: Checkout, tmp_path: Path
):
    built = Version("1.2.3", "1.2.3", "abc", "v1.2.3", "", dirty=False, source="tag v1.2.3 (git)")
    for root in (checkout.root, tmp_path / "taken"):
        Checkout(root).write(str(TREE_BUILT), dump_built(built))
    assert tree_version(tmp_path / "taken", {"PGAAS_BUILD_BRANCH": "main"}) == built
    assert spelled(checkout.root)[0].startswith("0.0.0-main.")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"text": "1.2.3"}'])
def test_a_broken_record_of_a_build_is_none(tmp_path: Path, text: str):
    Checkout(tmp_path).write(str(TREE_BUILT), text)
    assert spelled(tmp_path)[0] == "0.0.0-unknown"


def test_an_installed_package_asks_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    installed = tmp_path / "site-packages/pgaas/operations/version.py"
    shutil.copytree(Path(operation.__file__).parent, installed.parent)
    built = Version("1.2.3", "1.2.3", "abc", "v1.2.3", "", dirty=False, source="tag v1.2.3 (git)")
    (installed.parents[1] / "built.json").write_text(dump_built(built))
    monkeypatch.setattr(operation, "__file__", str(installed))
    monkeypatch.setenv("PATH", str(tmp_path))
    found = operation.own_version()
    assert (found.text, found.source) == ("1.2.3", "built from tag v1.2.3 (git)")


def test_no_digits_alone_name_a_commit():
    assert short("0123456789ab" + "0" * 28) == "0123456789a"
    assert short("a" * 40) == "a" * 7
    assert short("0123456") == "g0123456"


@given(st.text(min_size=1), st.from_regex(r"[0-9a-f]{40}", fullmatch=True), st.booleans())
def test_every_snapshot_is_valid_both_ways(branch: str, commit: str, dirty: bool):
    found = operation._snapshot(branch, commit, dirty=dirty, origin="git")
    assert SEMVER.fullmatch(found.text)
    assert str(Pep440(found.python)) == found.python
    assert re.fullmatch(r"[a-z0-9.+-]+", found.text)


def test_a_worktree_of_a_bare_repository_is_a_checkout_like_any_other(checkout: Checkout, tmp_path: Path):
    checkout.git("clone", "--quiet", "--bare", str(checkout.root), str(tmp_path / "bare.git"))
    bare = Checkout(tmp_path / "bare.git")
    bare.git("worktree", "add", "--quiet", "-b", "other", str(tmp_path / "worktree"))
    assert spelled(tmp_path / "worktree")[0].startswith("0.0.0-other.")


def test_no_program_of_the_repositorys_own_settings_is_run(checkout: Checkout, tmp_path: Path):
    hook = checkout.write(".git/own-hooks/post-index-change", f"#!/bin/sh\ntouch '{tmp_path}/ran'\n")
    hook.chmod(0o755)
    checkout.git("config", "core.hooksPath", ".git/own-hooks")
    checkout.git("config", "core.fsmonitor", f"touch '{tmp_path}/ran'; false")
    checkout.write("file", "changed\n")
    assert spelled(checkout.root)[0].endswith(".dirty")
    assert not (tmp_path / "ran").exists()
