"""`pgaas users init`: what it writes, and what it leaves alone."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from tests.cli.support import REPOSITORY, Ran

Run = Callable[..., Ran]
OWN = (
    "README.md",
    "CODEOWNERS",
    ".pre-commit-config.yaml",
    ".gitlab-ci.yml",
    ".vscode/settings.json",
    ".schemas/databases.schema.json",
)


@pytest.fixture
def made(root: Path, tmp_path: Path, pgaas: Run) -> Path:
    """Make the repository beside a root, which is the current folder."""
    ran = pgaas("users", "init", "../values")
    assert ran.code == 0, ran.err
    return tmp_path / "values"


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and ".git" not in path.parts
    }


def own(root: Path, env: str, *owners: str, ins: str = "ic1") -> None:
    """Give a client owners in one environment; for no client, the platform."""
    path = root / "confs/admin" / env / "clients.yaml"
    line = f"owners: {json.dumps(owners)}\n"
    text = path.read_text()
    new = f"  {ins}:\n    {line}" if ins else f"{line}clients:\n"
    path.write_text(text.replace(f"  {ins}:\n" if ins else "clients:\n", new, 1))


def test_a_new_repository_holds_what_runs_and_what_people_need(root: Path, made: Path, pgaas: Run):
    found = contents(made)
    assert set(OWN) <= found.keys()
    databases = {name: content for name, content in found.items() if name not in OWN}
    assert databases == contents(root / "confs/users")
    assert found[".schemas/databases.schema.json"] == _schema()
    shutil.rmtree(root / "confs/users")
    ran = pgaas("validate", "--users", "../values")
    assert (ran.code, ran.out) == (0, "8 files are valid\n")
    assert pgaas("generate", "--all", "--users", "../values").code == 0


def _schema() -> bytes:
    return (REPOSITORY / "schemas/databases.schema.json").read_bytes()


def test_clients_without_a_file_get_one_to_begin_with(root: Path, tmp_path: Path, pgaas: Run):
    shutil.rmtree(root / "confs/users")
    assert pgaas("users", "init", "../values", "--sub-environment", "qa").code == 0
    values = tmp_path / "values"
    databases = {name for name in contents(values) if name.endswith("databases.yaml")}
    fixed = {f"ic1/{env}/databases.yaml" for env in ("local", "perf", "pprod", "prod")}
    assert databases == fixed | {"ic1/hp/qa/databases.yaml", "is1/hp/qa/databases.yaml"}
    assert pgaas("validate", "--users", "../values").code == 0
    for name in databases:
        schema = (values / name).read_text().splitlines()[0].partition("$schema=")[2]
        assert ((values / name).parent / schema).resolve() == values / ".schemas/databases.schema.json"


def test_again_it_changes_nothing(made: Path, pgaas: Run):
    before = contents(made)
    ran = pgaas("users", "init", "../values", "-o", "json")
    assert {each["action"] for each in json.loads(ran.out)} == {"kept"}
    assert contents(made) == before


def test_what_a_person_wrote_stays(root: Path, tmp_path: Path, pgaas: Run):
    values = tmp_path / "values"
    mine = dict.fromkeys(OWN, b"mine\n") | {"ic1/prod/databases.yaml": b"roles: []\n", "docs.md": b"x"}
    for name, content in mine.items():
        (values / name).parent.mkdir(parents=True, exist_ok=True)
        (values / name).write_bytes(content)
    ran = pgaas("users", "init", "../values")
    assert ran.code == 0
    assert {name: content for name, content in contents(values).items() if name in mine} == mine
    assert "CODEOWNERS (has no lines # BEGIN pgaas and # END pgaas: with them, pgaas fills it in)" in ran.out


def test_an_old_schema_of_ours_is_refreshed(made: Path, pgaas: Run):
    schema = made / ".schemas/databases.schema.json"
    schema.write_bytes(schema.read_bytes().replace(b"PostgreSQL", b"Postgres"))
    ran = pgaas("users", "init", "../values")
    assert "updated: ../values/.schemas/databases.schema.json\n" in ran.out
    assert schema.read_bytes() == _schema()


def test_an_environment_that_a_client_made_is_enough(root: Path, made: Path, pgaas: Run):
    (made / "is1/hp/pic").rename(made / "is1/hp/mine")
    shutil.rmtree(made / "is1/hp/staging")
    shutil.rmtree(root / "confs/users/is1")
    assert pgaas("users", "init", "../values").code == 0
    assert [path.name for path in (made / "is1/hp").iterdir()] == ["mine"]


def test_codeowners_are_those_of_the_registry(root: Path, made: Path, pgaas: Run):
    for env in ("local", "perf", "pprod", "hp"):
        own(root, env, "@ic1-team")
    own(root, "prod", "@ic1-team", "ops@example.com")
    own(root, "hp", "@org/is1", ins="is1")
    own(root, "hp", "@org/platform", ins="")
    ran = pgaas("users", "init", "../values")
    assert "updated: ../values/CODEOWNERS\n" in ran.out
    assert (made / "CODEOWNERS").read_text().splitlines()[1:-1] == [
        "* @org/platform",
        "/ic1/ @ic1-team ops@example.com @org/platform",
        "/ic1/hp/ @ic1-team @org/platform",
        "/ic1/local/ @ic1-team @org/platform",
        "/ic1/perf/ @ic1-team @org/platform",
        "/ic1/pprod/ @ic1-team @org/platform",
        "/ic1/prod/ @ic1-team ops@example.com @org/platform",
        "/is1/ @org/is1 @org/platform",
    ]


def test_a_persons_lines_of_codeowners_stay_around_ours(root: Path, made: Path, pgaas: Run):
    path = made / "CODEOWNERS"
    path.write_text(f"# first\n* @me\n{path.read_text()}/ic1/prod/ @auditor\n")
    own(root, "hp", "@org/is1", ins="is1")
    assert pgaas("users", "init", "../values").code == 0
    lines = path.read_text().splitlines()
    assert (lines[:2], lines[-1]) == (["# first", "* @me"], "/ic1/prod/ @auditor")
    assert "/is1/ @org/is1" in lines
    assert sum(line.startswith("# BEGIN pgaas") for line in lines) == 1


@pytest.mark.parametrize("owner", ["team", "@a b", "@a\n* @evil", "@", "#x", "* @x", "@team # x"])
def test_an_owner_that_codeowners_would_misread_is_refused(root: Path, made: Path, pgaas: Run, owner: str):
    before = contents(made)
    own(root, "prod", owner)
    ran = pgaas("users", "init", "../values")
    assert ran.code == 3
    assert "clients.ic1.owners.0" in ran.err
    assert contents(made) == before


def test_nothing_is_written_through_a_link_out_of_a_clients_folder(root: Path, tmp_path: Path, pgaas: Run):
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "values/ic1").mkdir(parents=True)
    (tmp_path / "values/ic1/prod").symlink_to(outside)
    ran = pgaas("users", "init", "../values")
    assert ran.code == 3
    assert "has a link that leads out of it" in ran.err
    assert list(outside.iterdir()) == []
    assert not (tmp_path / "values/README.md").exists()


@pytest.mark.parametrize("name", [".schemas", ".vscode"])
def test_nothing_of_ours_is_written_through_a_link_out_of_the_repository(
    root: Path, tmp_path: Path, pgaas: Run, name: str
):
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "values").mkdir()
    (tmp_path / "values" / name).symlink_to(outside)
    ran = pgaas("users", "init", "../values")
    assert ran.code == 3
    assert f"{name}: is a link that leads out of the repository" in ran.err
    assert list(outside.iterdir()) == []
    assert not (tmp_path / "values/README.md").exists()


def test_what_can_not_be_is_refused_before_anything_is_written(root: Path, tmp_path: Path, pgaas: Run):
    (root / "confs/admin/prod/clients.yaml").write_text("clients: [\n")
    assert pgaas("users", "init", "../values").code == 3
    assert pgaas("users", "init", "../values", "--sub-environment", "prod").code == 2
    assert pgaas("users", "init", "helmfile.yaml").code == 2
    assert not (tmp_path / "values").exists()


def test_the_pipeline_and_the_hook_call_what_there_is(made: Path, monkeypatch, pgaas: Run):
    pipeline = yaml.safe_load((made / ".gitlab-ci.yml").read_text())
    (hook,) = yaml.safe_load((made / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    monkeypatch.chdir(made)
    (line,) = pipeline["validate"]["script"]
    command, _, report = line.partition(" > ")
    assert report == pipeline["validate"]["artifacts"]["reports"]["codequality"]
    ran = pgaas(*command.split()[1:])
    assert (ran.code, json.loads(ran.out)) == (0, [])
    assert pgaas(*hook["entry"].split()[1:], "ic1/prod/databases.yaml").code == 0


def test_a_client_comes_and_goes_in_the_clone(root: Path, made: Path, pgaas: Run):
    before, own_before = contents(made), contents(root / "confs/users")
    where = ("--env", "local", "--users", "../values")
    ran = pgaas("client", "add", "ic7", *where, "--profile", "S", "--dc", "local1")
    assert ran.code == 0, ran.err
    file = made / "ic7/local/databases.yaml"
    assert file.read_text().startswith(
        "# yaml-language-server: $schema=../../.schemas/databases.schema.json\n"
    )
    assert contents(root / "confs/users") == own_before
    assert pgaas("generate", "--ins", "ic7", *where).code == 0
    ran = pgaas("users", "init", "../values")
    assert "/ic7/ has no owners" in (made / "CODEOWNERS").read_text()
    file.unlink()
    file.symlink_to("/etc/hostname")
    assert "is a link that leads out of ../values/ic7" in pgaas("explain", "--ins", "ic7", *where).err
    assert contents(made).keys() >= before.keys()
