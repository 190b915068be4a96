"""`pgaas validate`, in the clients' own repository and in a root."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.support import REPOSITORY, Ran

Run = Callable[..., Ran]
FILE = "ic1/prod/databases.yaml"
# Wrong by itself, and wrong by what the platform team's files say.
WRONG = ("owner: app_user", "owner: ap_user")
OWNER = (
    "databases.0.owner: 'ap_user' is not in roles (known: app_readonly, app_user, report_user)"
    "; did you mean app_user?"
)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the clients' own repository, far from any root, and make it the current folder."""
    folder = tmp_path / "values"
    shutil.copytree(REPOSITORY / "confs/users", folder)
    monkeypatch.chdir(folder)
    for name in ("PGAAS_ROOT", "PGAAS_USERS", "PGAAS_USERS_REVISION"):
        monkeypatch.delenv(name, raising=False)
    return folder


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def line_of(path: Path, text: str) -> int:
    return next(number for number, line in enumerate(path.read_text().splitlines(), 1) if text in line)


def test_files_by_themselves_and_what_that_leaves_out(repository: Path, pgaas: Run):
    ran = pgaas("validate")
    assert (ran.code, ran.out) == (0, "8 files are valid\n")
    assert (
        "note: not checked: that the client is registered (hp, local, perf, pprod, prod: no plat" in ran.err
    )
    ran = pgaas("validate", FILE, "is1/hp/pic/databases.yaml")
    assert (ran.code, ran.out) == (0, "2 files are valid\n")


@pytest.mark.parametrize(
    ("paths", "count"),
    [(["."], 8), (["ic1"], 6), (["ic1/hp"], 2), (["ic1/prod"], 1), (["ic1/prod/", FILE, "ic1"], 6)],
)
def test_folders_stand_for_the_files_below_them(repository: Path, pgaas: Run, paths: list[str], count: int):
    found = json.loads(pgaas("validate", *paths, "-o", "json").out)
    assert len(found["files"]) == len(set(found["files"])) == count
    assert all((repository / name).is_file() for name in found["files"])


def test_every_issue_with_its_file_and_line(repository: Path, pgaas: Run):
    replace(repository / FILE, *WRONG)
    (repository / "is1/hp/pic/databases.yaml").write_text("roles: [\n")
    ran = pgaas("validate", FILE, "is1/hp/pic/databases.yaml")
    assert (ran.code, ran.out) == (3, "")
    line = line_of(repository / FILE, WRONG[1])
    assert f"  {FILE}:{line}: {OWNER}\n" in ran.err
    assert "  is1/hp/pic/databases.yaml:2: is not valid YAML: " in ran.err


def test_in_json_and_for_gitlab(repository: Path, pgaas: Run):
    replace(repository / FILE, *WRONG)
    line = line_of(repository / FILE, WRONG[1])
    ran = pgaas("validate", FILE, "-o", "json")
    assert ran.code == 3
    found = json.loads(ran.out)
    path, _, message = OWNER.partition(": ")
    assert found["issues"] == [{"file": FILE, "line": line, "path": path, "message": message}]
    assert len(found["unchecked"]) == 3
    ran = pgaas("validate", FILE, "-o", "gitlab")
    assert ran.code == 3
    (entry,) = json.loads(ran.out)
    assert entry["description"] == OWNER
    assert entry["location"] == {"path": FILE, "lines": {"begin": line}}
    (repository / FILE).write_text("# a line more\n" + (repository / FILE).read_text())
    (moved,) = json.loads(pgaas("validate", FILE, "-o", "gitlab").out)
    assert moved["location"]["lines"]["begin"] == line + 1
    assert moved["fingerprint"] == entry["fingerprint"]
    assert json.loads(pgaas("validate", "is1", "-o", "gitlab").out) == []


# What a file alone can't be blamed for, and what the platform team's files say of it.
TOGETHER = {
    "a version": ("majorVersion: 17", "majorVersion: 19", "19 is not in the image catalog"),
    "a parameter": ("work_mem: 16MB", "archive_timeout: 30s", "is not among the parameters left to clients"),
    "a plugin": ("barman-cloud.cloudnative-pg.io", "other.example.com", "is not offered in plugins.yaml"),
    "a right": ("superuser: false", "superuser: true", "does not allow superuser"),
    "a parent": ("pg_read_all_data", "pg_read_server_files", "gives away the server"),
}


@pytest.mark.parametrize("what", TOGETHER)
def test_with_the_platform_teams_files_all_is_checked(repository: Path, root: Path, pgaas: Run, what: str):
    old, new, said = TOGETHER[what]
    replace(repository / FILE, old, new)
    # `root` made the root the current folder.
    alone = pgaas("validate", f"../values/{FILE}", "-o", "json", "--users", "../values")
    assert said in json.loads(alone.out)["issues"][0]["message"]
    assert json.loads(alone.out)["unchecked"] == []
    assert alone.code == 3


@pytest.mark.parametrize("what", TOGETHER)
def test_without_them_a_client_is_not_blamed(repository: Path, pgaas: Run, what: str):
    old, new, _ = TOGETHER[what]
    replace(repository / FILE, old, new)
    assert pgaas("validate", FILE).code == 0


def test_in_a_root_its_own_files_are_the_default(root: Path, pgaas: Run):
    ran = pgaas("validate")
    assert (ran.code, ran.out) == (0, "8 files are valid\n")
    assert "not checked" not in ran.err
    (root / "confs/users/ic9/prod").mkdir(parents=True)
    shutil.copy(root / "confs/users" / FILE, root / "confs/users/ic9/prod")
    ran = pgaas("validate")
    assert ran.code == 3
    file = "confs/users/ic9/prod/databases.yaml"
    assert f"{file}: unknown client 'ic9' in prod" in ran.err
    line = line_of(root / file, "cnPattern:")
    assert f"{file}:{line}: databases.0.cnPattern: 'app_user.ic1.prod' must end in .ic9.prod" in ran.err


def test_an_environment_that_the_root_does_not_have_is_checked_by_itself(root: Path, pgaas: Run):
    # A package holds no confs/admin/local.
    shutil.rmtree(root / "confs/admin/local")
    ran = pgaas("validate")
    assert ran.code == 0, ran.err
    assert "(local: confs/admin has no folder for it)" in ran.err


def test_issues_of_the_platform_teams_files_are_told_once(root: Path, pgaas: Run):
    (root / "confs/admin/hp/clients.yaml").write_text("clients: []\n")
    found = json.loads(pgaas("validate", "-o", "json").out)["issues"]
    assert [issue["file"] for issue in found].count("confs/admin/hp/clients.yaml") == 1


NOWHERE = "lies where no environment is: a client's file is INS/ENV/databases.yaml, or INS/hp/ENV/"
NO_CLIENTS = {
    "ic1/prod/Databases.yaml": "ic1/prod/Databases.yaml: is not read: call it databases.yaml",
    "ic1/prod/databases.yml": "ic1/prod/databases.yml: is not read: call it databases.yaml",
    "ic1/dev1/databases.yaml": f"ic1/dev1/databases.yaml: {NOWHERE}",
    "databases.yaml": f"databases.yaml: {NOWHERE}",
    "ic1/hp/prod/databases.yaml": "ic1/hp/prod/databases.yaml: prod is no sub-environment of hp",
    "IC1/prod/databases.yaml": "IC1/prod/databases.yaml: 'IC1' is not a code",
    "ic1/prod/notes.yaml": "ic1/prod/notes.yaml: is not read: it is no client file",
    "kube/prod/databases.yaml": "kube/prod/databases.yaml: 'kube' is reserved",
    "perf/prod/databases.yaml": "perf/prod/databases.yaml: 'perf' is reserved",
}


@pytest.mark.parametrize("place", NO_CLIENTS)
def test_a_file_that_is_nobodys_is_an_issue(repository: Path, pgaas: Run, place: str):
    path = repository / place
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(REPOSITORY / "confs/users/is1/hp/pic/databases.yaml", path)
    ran = pgaas("validate", place)
    assert ran.code == 3
    assert NO_CLIENTS[place] in ran.err


def test_a_client_called_like_an_environment_hides_nobody_else(repository: Path, pgaas: Run):
    shutil.copytree(repository / "ic1/perf", repository / "hp/perf")
    (repository / "prod").mkdir()
    ran = pgaas("validate", ".", "-o", "json")
    assert ran.code == 3
    assert {"ic1/prod/databases.yaml", "is1/hp/pic/databases.yaml"} <= set(json.loads(ran.out)["files"])
    assert "hp/perf/databases.yaml: 'hp' is reserved" in ran.err


@pytest.mark.parametrize("link", ["file", "folder"])
def test_a_link_out_of_a_clients_folder_is_refused(repository: Path, pgaas: Run, link: str):
    if link == "file":
        (repository / FILE).unlink()
        (repository / FILE).symlink_to("../../is1/hp/pic/databases.yaml")
    else:
        shutil.rmtree(repository / "ic1/prod")
        (repository / "ic1/prod").symlink_to("../is1/hp/pic")
    ran = pgaas("validate", FILE)
    assert ran.code == 3
    assert f"{FILE}: is a link that leads out of ic1" in ran.err
    assert pgaas("validate").code == 3


def test_what_is_not_there_is_no_success(repository: Path, tmp_path: Path, pgaas: Run):
    ran = pgaas("validate", "ic1/prd/databases.yaml")
    assert ran.code == 2
    assert "ic1/prd/databases.yaml is not there" in ran.err
    empty = tmp_path / "empty"
    empty.mkdir()
    ran = pgaas("validate", str(empty))
    assert (ran.code, ran.out) == (2, "")
    assert "no client has a databases.yaml there" in ran.err


def test_a_revision_that_nobody_looks_at_is_refused(repository: Path, pgaas: Run):
    assert pgaas("validate", FILE, "--users-revision", "v1").code == 2
