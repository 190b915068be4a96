# ruff: noqa: E501 - in a table, one row a line reads better than short lines

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.config.support import CLIENTS, DEV1, LOCAL, PROD, USER, Confs

from pgaas.config import load
from pgaas.config.admin import ConfigCache
from pgaas.config.models.merged import MergedConfig
from pgaas.config.naming import Target
from pgaas.config.resolve import resolve_client
from pgaas.errors import ConfigError, UsageError

USERS = Path("confs/users")


@pytest.mark.parametrize(
    ("target", "what", "where", "next_step"),
    [
        (Target("ic2", "prod", "dc1"), "unknown client 'ic2' in prod; did you mean ic1?", CLIENTS.format("prod"), "known: ic1"),
        (Target("ic1", "prod", "dc3"), "ic1 has no datacenter 'dc3' in prod; did you mean dc", f"{CLIENTS.format('prod')}:5",
         "known: dc1, dc2"),
        (Target("ic1", "dev3", "dc1"), "ic1 has no environment 'dev3'; did you mean dev",
         "confs/users/ic1/hp/dev3/databases.yaml", "known: dev1, dev2, local, perf, pprod, prod"),
        (Target("is1", "dev1", "dc1"), "is1 has no environment 'dev1'", "confs/users/is1/hp/dev1/databases.yaml",
         "known: pic, staging"),
    ],
)  # fmt: skip
def test_what_is_not_known(confs: Confs, target: Target, what: str, where: str, next_step: str) -> None:
    with pytest.raises(UsageError) as error:
        resolve_client(confs.root, target)
    assert what in error.value.what
    assert error.value.where == where
    assert next_step in error.value.next_step


def test_a_namespace_that_a_datacenter_uses_itself(confs: Confs) -> None:
    confs.replace("confs/admin/prod/datacenters.yaml", "[monitoring]", "[monitoring, ic1-prod]")
    with pytest.raises(UsageError, match="the namespace ic1-prod belongs to the platform"):
        resolve_client(confs.root, PROD)
    confs.replace("confs/admin/hp/datacenters.yaml", "cnpg-system", "ic1-dev1")
    with pytest.raises(UsageError, match="the namespace ic1-dev1 belongs to the platform"):
        resolve_client(confs.root, DEV1)
    assert confs.issues(Target("ic1", "dev2", "dc1")) == []


def test_a_folder_without_the_file_is_a_missing_file(confs: Confs) -> None:
    (confs.root / USER).unlink()
    assert confs.issues() == [f"{USER}: is missing"]


def test_a_file_that_is_a_folder_or_has_no_text(confs: Confs) -> None:
    (confs.root / USER).unlink()
    (confs.root / USER).mkdir()
    assert confs.issues() == [f"{USER}: is a folder, not a file"]
    (confs.root / USER).rmdir()
    confs.write(USER, b"\xff\xfe")
    assert confs.issues() == [f"{USER}: is not UTF-8 text"] or confs.issues() == [
        f"{USER}:1: is not UTF-8 text"
    ]


def test_a_client_can_not_exhaust_the_machine(confs: Confs) -> None:
    confs.write(USER, "a: " + "[" * 500_000)
    assert confs.issues() == [f"{USER}:1: is nested more than 32 deep"]
    confs.write(USER, b"#" * (2 * 1024 * 1024))
    assert confs.issues() == [f"{USER}: has more than 1024 KiB: no such file is that long"]


@pytest.mark.parametrize("link", ["file", "environment", "client"])
def test_a_link_out_of_a_clients_folder_is_refused(confs: Confs, tmp_path: Path, link: str) -> None:
    outside = tmp_path / "outside"
    place = {"file": USER, "environment": "confs/users/ic1/local", "client": "confs/users/ic1"}[link]
    (confs.root / place).rename(outside)
    (confs.root / place).symlink_to(outside)
    assert confs.issues() == [f"{USER}: is a link that leads out of confs/users/ic1"]


def test_a_link_into_another_clients_folder_is_refused(confs: Confs) -> None:
    file = confs.root / "confs/users/ic1/hp/dev1/databases.yaml"
    file.unlink()
    file.symlink_to(confs.root / "confs/users/is1/hp/pic/databases.yaml")
    (issue,) = confs.issues(DEV1)
    assert issue.endswith("is a link that leads out of confs/users/ic1")


def test_links_that_stay_are_taken(confs: Confs, tmp_path: Path) -> None:
    # The clients' files may be a checkout of their own, linked to from confs/users.
    users = confs.root / USERS
    users.rename(tmp_path / "users")
    users.symlink_to(tmp_path / "users")
    shared = users / "ic1" / "hp" / "dev2" / "databases.yaml"
    shared.unlink()
    shared.symlink_to("../../prod/databases.yaml")
    assert confs.issues() == []
    (issue, *_) = confs.issues(Target("ic1", "dev2", "dc1"))
    assert "must end in .ic1.dev2" in issue


def test_a_broken_admin_file_is_reported_before_an_unknown_client(confs: Confs) -> None:
    confs.write(CLIENTS.format("local"), "clients: [\n")
    (issue,) = confs.issues(Target("ic9", "local", "local1"))
    assert issue.startswith(f"{CLIENTS.format('local')}:2: is not valid YAML")


def test_the_cache_reads_each_environment_once(confs: Confs, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    read = load.read_bytes

    def counted(path: Path, limit: int) -> tuple[bytes, str]:
        opened.append(path.relative_to(confs.root).as_posix())
        return read(path, limit)

    monkeypatch.setattr(load, "read_bytes", counted)
    cache = ConfigCache()
    for target in (DEV1, Target("ic1", "dev2", "dc1"), Target("is1", "pic", "dc1"), PROD):
        resolve_client(confs.root, target, cache)
    assert len(opened) == len(set(opened)) == 7 + 7 + 4


def test_resolving_twice_gives_the_same(confs: Confs) -> None:
    cache = ConfigCache()
    first, second = resolve_client(confs.root, PROD, cache), resolve_client(confs.root, PROD, cache)
    assert first.merged == second.merged == resolve_client(confs.root, PROD).merged
    assert dict(first.origins) == dict(second.origins)


def test_the_merged_tree_is_the_same_as_validating_it_whole(confs: Confs) -> None:
    merged = resolve_client(confs.root, DEV1).merged
    assert MergedConfig.model_validate(merged.model_dump(by_alias=True)) == merged
    assert merged.postgresql.parameters["work_mem"] == "16MB"
    assert merged.postgresql.instances == 2


LINES = st.sampled_from(
    [
        "postgresql: {majorVersion: 17}", "postgresql:", "  majorVersion: 17", "  parameters: {work_mem: 1}", "roles:",
        "  - name: app_user", "    inRoles: [app_user]", "    databases: [app_db]", "    login: no", "databases:",
        "  - {name: app_db, owner: app_user}", "  - {name: [], owner: {}}", "plugins: [{}]", "plugins: null", "  - 1",
        "    superuser: true", "- x", "\t- x", "a: *b", "? ", "roles: {a: b}", "databases: [[]]", "postgresql: []",
        "    cnPattern: x.ic1.local", "    ensure: absent", "  - name: 'a b'", "    name: app_user", "    connectionLimit: 9999999",
    ]
)  # fmt: skip


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(LINES, max_size=12))
def test_any_clients_file_resolves_or_has_issues(confs: Confs, lines: list[str]) -> None:
    confs.write(USER, "\n".join(lines))
    for issue in confs.issues():
        assert issue.startswith("confs/")
        assert "\n" not in issue


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_admin_file_resolves_or_has_issues(confs: Confs, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(["clients", "postgresql", "datacenters", "plugins", "observability"]))
    file = f"confs/admin/local/{name}.yaml"
    before = confs.read(file)
    lines = before.splitlines()
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(lines) - 1))
        change = data.draw(st.sampled_from(["drop", "indent", "empty", "list", "number", "map"]))
        key = lines[at].partition(":")[0]
        lines[at] = {
            "drop": "", "indent": "  " + lines[at], "empty": f"{key}:", "list": f"{key}: [a, {{}}]",
            "number": f"{key}: 12", "map": f"{key}: {{a: {{b: []}}}}",
        }[change]  # fmt: skip
    confs.write(file, "\n".join(lines))
    try:
        issues = confs.issues()
    except UsageError:
        issues = []
    finally:
        confs.write(file, before)
    assert all(issue.startswith("confs/") and "\n" not in issue for issue in issues)


def test_an_unreadable_file(confs: Confs, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.open

    def refuse(path: str | Path, *rest: int, **more: int) -> int:
        if str(path).endswith("backup.yaml"):
            raise PermissionError(13, "Permission denied")
        return real(path, *rest, **more)

    monkeypatch.setattr(load.os, "open", refuse)
    assert confs.issues() == ["confs/admin/local/backup.yaml: can't be read: Permission denied"]


def test_all_issues_are_in_one_error(confs: Confs) -> None:
    confs.replace(CLIENTS.format("local"), "storageProfile: S", "storageProfile: T")
    confs.write(USER, "x: 1\n")
    with pytest.raises(ConfigError, match="3 errors in the configuration"):
        resolve_client(confs.root, LOCAL)
