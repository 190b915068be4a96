"""A client comes into the files: whole, checked first, and nothing else moves."""

from __future__ import annotations

import difflib
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.unit.config.support import REPOSITORY, Confs

from pgaas.config.naming import Target
from pgaas.config.onboarding import Wish
from pgaas.config.resolve import resolve_client
from pgaas.config.users import Users, place_users
from pgaas.errors import ConfigError, UsageError
from pgaas.operations.client_add import Added, add_client
from pgaas.operations.client_todo import Todo
from pgaas.operations.subject import load_subject
from pgaas.render.build import build_values

LOCAL = Wish(profile="S", datacenters=("local1", "local2"))
PROD = Wish(profile="M", datacenters=("dc1", "dc2"), cidrs=("10.0.0.0/8",))
CLIENTS = "confs/admin/{}/clients.yaml"


@pytest.fixture
def confs(tmp_path: Path) -> Confs:
    shutil.copytree(REPOSITORY / "confs", tmp_path / "confs", ignore=shutil.ignore_patterns("_generated"))
    (tmp_path / "charts").symlink_to(REPOSITORY / "charts")
    return Confs(tmp_path)


def files_of(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in (root / "confs").rglob("*")
        if path.is_file()
    }


def lines_added(confs: Confs, file: str, before: str) -> list[str]:
    rows = list(difflib.ndiff(before.splitlines(), confs.read(file).splitlines()))
    assert [row for row in rows if row.startswith("- ")] == []
    return [row[2:] for row in rows if row.startswith("+ ")]


def names(added: Added, what: str) -> list[str]:
    return [each.name for each in added.todo if each.what == what]


def test_a_local_client_gets_keys_of_its_own_and_works_in_both_datacenters(confs: Confs) -> None:
    before = confs.read(CLIENTS.format("local"))
    added = add_client(confs.root, "ic7", "local", LOCAL)
    assert lines_added(confs, CLIENTS.format("local"), before) == [
        "  ic7:",
        "    datacenters: [local1, local2]",
        "    primaryDatacenter: local1",
        "    s3Bucket: ic7-backups",
        "    storageProfile: S",
        "    s3Credentials:",
        "      accessKey: ic7",
        "      secretKey: ic7-local-secret",
        "    ldapCredentials:",
        '      bindDn: "cn=pgadmin-ic7,ou=services,dc=pgaas,dc=local"',
        "      bindPassword: pgadmin-ic7",
        "    replication:",
        "      enabled: true",
    ]
    for dc in ("local1", "local2"):
        values = build_values(resolve_client(confs.root, Target("ic7", "local", dc)))
        assert (values.replication.primary, values.databases[0].name) == ("local-ic7-local1", "app_db")
    assert added.next_steps[1:] == [
        "pgaas infra install",
        "pgaas create --ins ic7 --env local --dc local1",
        "pgaas create --ins ic7 --env local --dc local2",
    ]
    assert all("pgaas infra install" in each.detail for each in added.todo)


def test_what_a_person_must_see_to_has_the_names_that_the_values_have(confs: Confs) -> None:
    added = add_client(confs.root, "ic7", "prod", PROD)
    values = build_values(resolve_client(confs.root, Target("ic7", "prod", "dc2")))
    assert f"ic7-prod/{values.s3.secret_name}" in names(added, "Secret")
    pgadmin: Any = values.pgadmin4
    assert f"ic7-prod/{pgadmin.ldap.bind_password.secret_name}" in names(added, "Secret")
    assert f"ic7-prod/{pgadmin.default_password.secret_name}" in names(added, "Secret")
    assert names(added, "namespace") == ["ic7-prod"] * 2
    assert names(added, "S3 bucket") == ["ic7-prod-backups"] * 2
    assert names(added, "LDAP entry") == ["cn=pgadmin-ic7,ou=services,dc=example,dc=com"]
    assert names(added, "DNS name") == [
        "primary.ic7-prod.example.com", "ro-dc1.ic7-prod.example.com", "ro-dc2.ic7-prod.example.com",
    ]  # fmt: skip
    assert names(added, "networks") == []
    assert "pgaas infra install" not in added.next_steps


def test_who_may_reach_it_is_to_be_decided_when_nobody_was_named(confs: Confs) -> None:
    added = add_client(confs.root, "ic7", "dev1", Wish(profile="S"))
    assert names(added, "networks") == ["networkPolicy.allowedCIDRs"]
    assert names(added, "Kubernetes group") == ["pgaas-ic7"]


def test_a_dry_run_shows_both_files_without_a_secret_and_writes_neither(confs: Confs) -> None:
    before = files_of(confs.root)
    added = add_client(confs.root, "ic7", "local", LOCAL, dry_run=True)
    assert files_of(confs.root) == before
    shown = "\n".join(added.diff)
    assert "+++ b/confs/users/ic7/local/databases.yaml" in shown
    assert "+    storageProfile: S" in shown
    secrets = ("ic7-local-secret", "ic1-local-secret", "bindPassword: pgadmin")
    assert [secret for secret in secrets if secret in shown] == []


def test_hp_needs_the_block_once_and_a_file_for_each_sub_environment(confs: Confs) -> None:
    add_client(confs.root, "ic7", "dev1", Wish(profile="S"))
    before = confs.read(CLIENTS.format("hp"))
    added = add_client(confs.root, "ic7", "dev2", Wish())
    assert confs.read(CLIENTS.format("hp")) == before
    assert added.files == ["confs/users/ic7/hp/dev2/databases.yaml"]
    for wish, key in ((Wish(profile="M"), "storageProfile"), (Wish(pgadmin=False), "ldapCredentials")):
        with pytest.raises(UsageError, match=f"another {key}"):
            add_client(confs.root, "ic7", "pic", wish)


def test_a_file_that_the_client_wrote_before_is_kept(confs: Confs) -> None:
    theirs = confs.read("confs/users/ic1/local/databases.yaml").replace(".ic1.", ".ic7.")
    confs.write("confs/users/ic7/local/databases.yaml", theirs)
    added = add_client(confs.root, "ic7", "local", LOCAL)
    assert (added.kept, added.files) == (
        "confs/users/ic7/local/databases.yaml",
        [CLIENTS.format("local")],
    )
    assert confs.read("confs/users/ic7/local/databases.yaml") == theirs


def test_the_major_version_is_the_newest_or_the_one_asked_for(confs: Confs) -> None:
    add_client(confs.root, "ic7", "local", LOCAL)
    assert "majorVersion: 18" in confs.read("confs/users/ic7/local/databases.yaml")
    add_client(confs.root, "ic8", "local", Wish(profile="S", datacenters=("local2",), major=16))
    assert "majorVersion: 16" in confs.read("confs/users/ic8/local/databases.yaml")
    with pytest.raises(UsageError, match="no PostgreSQL 9"):
        add_client(confs.root, "ic9", "local", Wish(profile="S", datacenters=("local1",), major=9))


@pytest.mark.parametrize(
    ("ins", "env", "wish", "says"),
    [
        ("../../etc", "local", LOCAL, "is not a code"),
        ("ic7\n  x", "local", LOCAL, "is not a code"),
        ("IC7", "local", LOCAL, "is not a code"),
        ("a-b", "local", LOCAL, "is not a code"),
        ("", "local", LOCAL, "is not a code"),
        ("kube", "local", LOCAL, "is reserved"),
        ("admins", "prod", PROD, "is reserved"),
        ("hp", "prod", PROD, "is reserved"),
        ("prod", "local", LOCAL, "is reserved"),
        ("i" * 60, "local", LOCAL, "may have 50"),
        ("ic1", "local", LOCAL, "is a client in local already"),
        ("ic7", "hp", LOCAL, "hp is a group"),
        ("ic7", "../x", LOCAL, "is not a code"),
        ("ic7", "prd", PROD, "no client has an environment 'prd'; did you mean prod"),
        ("ic7", "local", Wish(profile="Z", datacenters=("local1",)), "no profile 'Z'"),
        ("ic7", "local", Wish(datacenters=("local1",)), "missing option --profile"),
        ("ic7", "local", Wish(profile="S"), "missing option --dc"),
        ("ic7", "local", Wish(profile="S", datacenters=("local3",)), "no datacenter 'local3'"),
        ("ic7", "local", Wish(profile="S", datacenters=("local1", "local1")), "is there twice"),
        ("ic7", "local", Wish(profile="S", datacenters=("local1",), bucket="ic1-backups"), "is ic1's"),
    ],
)
def test_what_is_refused_changes_nothing_and_says_what_next(
    confs: Confs, ins: str, env: str, wish: Wish, says: str
) -> None:
    before = files_of(confs.root)
    with pytest.raises(UsageError) as refused:
        add_client(confs.root, ins, env, wish)
    assert says in refused.value.what
    assert files_of(confs.root) == before


@pytest.mark.parametrize(
    ("wish", "says"),
    [
        (Wish(profile="S", datacenters=("dc1",), bucket="Not A Bucket"), "not a bucket name"),
        (Wish(profile="S", datacenters=("dc1",), cidrs=("10.0.0.1/8",)), "must be written as 10.0.0.0/8"),
        (Wish(profile="S", datacenters=("dc1",), cidrs=("x: {}\ny",)), "is not a network"),
    ],
)
def test_a_value_that_no_file_may_hold_is_not_written(confs: Confs, wish: Wish, says: str) -> None:
    before = files_of(confs.root)
    with pytest.raises(ConfigError) as refused:
        add_client(confs.root, "ic7", "prod", wish)
    assert says in str(refused.value.issues[0])
    assert files_of(confs.root) == before


def test_a_file_of_the_clients_that_would_not_resolve_is_found_before_anything_is_written(
    confs: Confs,
) -> None:
    confs.write("confs/users/ic7/local/databases.yaml", "postgresql: {majorVersion: 9}\n")
    before = files_of(confs.root)
    with pytest.raises(ConfigError, match="1 error"):
        add_client(confs.root, "ic7", "local", LOCAL)
    assert files_of(confs.root) == before


def test_a_bucket_that_is_anothers_is_refused_by_default_too(confs: Confs) -> None:
    confs.replace(CLIENTS.format("prod"), "s3Bucket: ic1-prod-backups", "s3Bucket: ic7-prod-backups")
    before = files_of(confs.root)
    with pytest.raises(UsageError, match="the bucket ic7-prod-backups is ic1's"):
        add_client(confs.root, "ic7", "prod", PROD)
    assert files_of(confs.root) == before


def test_files_that_have_issues_already_are_to_be_mended_first(confs: Confs) -> None:
    confs.replace(CLIENTS.format("prod"), "storageProfile: XXL", "storageProfile: Z9")
    with pytest.raises(ConfigError) as refused:
        add_client(confs.root, "ic7", "prod", PROD)
    assert "mend these first" in refused.value.next_step


def test_a_link_that_leads_out_of_the_clients_folder_is_not_followed(confs: Confs, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (confs.root / "confs/users/ic7").symlink_to(elsewhere)
    with pytest.raises(ConfigError, match="1 error"):
        add_client(confs.root, "ic7", "local", LOCAL)
    assert list(elsewhere.iterdir()) == []


def test_the_clients_may_be_a_repository_of_their_own(confs: Confs, tmp_path: Path) -> None:
    (confs.root / "confs/users").rename(tmp_path / "values")
    (confs.root / "confs/users").symlink_to(tmp_path / "values")
    add_client(confs.root, "ic7", "local", LOCAL)
    assert (tmp_path / "values/ic7/local/databases.yaml").is_file()


def test_next_steps_read_the_same_files(confs: Confs, tmp_path: Path) -> None:
    (confs.root / "confs/users").rename(tmp_path / "our values")
    place_users(confs.root, Users(tmp_path / "our values", "../our values"))
    try:
        added = add_client(confs.root, "ic7", "local", LOCAL)
        with pytest.raises(UsageError) as refused:
            add_client(confs.root, "ic7", "local", LOCAL)
        command = load_subject(confs.root, Target("ic7", "local", "local1")).command("create")
    finally:
        place_users(confs.root, None)
    assert added.next_steps[2] == command
    for step in (command, str(refused.value.next_step)):
        assert step.endswith(" --users '../our values'")


def test_a_new_sub_environment_must_be_meant(confs: Confs) -> None:
    with pytest.raises(UsageError) as refused:
        add_client(confs.root, "ic7", "qual3", Wish(profile="S"))
    assert "--new-env" in refused.value.next_step
    add_client(confs.root, "ic7", "qual3", Wish(profile="S", new_env=True))
    assert resolve_client(confs.root, Target("ic7", "qual3", "dc1")).client.storage_profile == "S"


def test_a_file_that_only_a_person_can_change_is_left_to_one(confs: Confs) -> None:
    file = CLIENTS.format("prod")
    text = confs.read(file).replace("clients:\n", "x: &all\n", 1)
    confs.write(file, text.replace("x: &all\n", "clients: &all\n") + "# the end\n")
    add_client(confs.root, "ic7", "prod", PROD)
    confs.write("confs/admin/prod/clients.yaml", "clients: !x {}\n")
    with pytest.raises(ConfigError):
        add_client(confs.root, "ic8", "prod", PROD)


def test_one_datacenter_replicates_with_none_and_pgadmin_can_be_left_out(confs: Confs) -> None:
    added = add_client(confs.root, "ic7", "prod", Wish(profile="S", datacenters=("dc2",), pgadmin=False))
    resolved = resolve_client(confs.root, Target("ic7", "prod", "dc2"))
    assert (resolved.client.replication.enabled, resolved.client.ldap_credentials) == (False, None)
    assert [each for each in added.todo if each.what.startswith("LDAP")] == []
    both = Wish(profile="S", datacenters=("dc1", "dc2"), replicated=False)
    add_client(confs.root, "ic8", "prod", both)
    assert resolve_client(confs.root, Target("ic8", "prod", "dc2")).client.replication.enabled is False


def test_each_thing_to_see_to_is_said_once(confs: Confs) -> None:
    todo = add_client(confs.root, "ic7", "prod", PROD).todo
    assert len(set(todo)) == len(todo)
    assert [each.name for each in todo if each.what == "metrics"] == ["monitoring/otel-collector"] * 2
    assert all(isinstance(each, Todo) and each.name and each.where for each in todo)
