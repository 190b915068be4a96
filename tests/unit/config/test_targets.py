from __future__ import annotations

import shutil

import pytest
from tests.unit.config.support import CLIENTS, Confs

from pgaas.config.targets import default_datacenter, list_targets, user_environments
from pgaas.errors import ConfigError, UsageError


def shown(confs: Confs, env: str | None = None) -> list[str]:
    return [str(target) for target in list_targets(confs.root, env)]


def issues(confs: Confs, env: str | None = None) -> list[str]:
    with pytest.raises(ConfigError) as error:
        list_targets(confs.root, env)
    return [str(issue) for issue in error.value.issues]


def test_the_targets_of_one_environment(confs: Confs) -> None:
    assert shown(confs, "prod") == ["ic1/prod/dc1", "ic1/prod/dc2"]
    assert shown(confs, "pic") == ["is1/pic/dc1"]
    assert len(shown(confs)) == 11


def test_an_environment_that_nobody_has(confs: Confs) -> None:
    with pytest.raises(
        UsageError, match=r"no client has a file for the environment 'dev3'; did you mean dev"
    ) as error:
        list_targets(confs.root, "dev3")
    assert "known: dev1, dev2, local, perf, pic, pprod, prod, staging" in error.value.next_step
    with pytest.raises(UsageError, match="hp is a group"):
        list_targets(confs.root, "hp")


def test_no_users_at_all(confs: Confs) -> None:
    shutil.rmtree(confs.root / "confs/users")
    assert shown(confs) == []


def test_a_root_without_local_has_no_targets_there_unless_it_is_asked_for(confs: Confs) -> None:
    everywhere = shown(confs)
    shutil.rmtree(confs.root / "confs/admin/local")
    assert shown(confs) == [target for target in everywhere if "/local/" not in target]
    assert issues(confs, "local")
    shutil.rmtree(confs.root / "confs/admin/perf")
    assert issues(confs)


def test_what_is_no_clients_folder_is_passed_over(confs: Confs) -> None:
    confs.write("confs/users/README.md", "")
    confs.write("confs/users/.git/config", "")
    confs.write("confs/users/ic1/hp/empty/README.md", "")
    confs.write("confs/users/ic1/.hidden/databases.yaml", "")
    assert len(shown(confs)) == 11


def test_folders_that_stand_for_nothing(confs: Confs) -> None:
    confs.write("confs/users/ic2/prod/databases.yaml", "")
    confs.write("confs/users/ic1/dev1/databases.yaml", "")
    confs.write("confs/users/ic1/hp/prod/databases.yaml", "")
    confs.write("confs/users/ic1/hp/Dev/databases.yaml", "")
    confs.write("confs/users/IC/prod/databases.yaml", "")
    code = "it takes lower-case letters and digits, and begins with a letter"
    assert issues(confs) == [
        f"confs/users/IC: 'IC' is not a code: {code}",
        "confs/users/ic1/dev1: is not an environment:"
        " a sub-environment of hp belongs in confs/users/ic1/hp/dev1",
        f"confs/users/ic1/hp/Dev: 'Dev' is not a code: {code}",
        "confs/users/ic1/hp/prod: prod is no sub-environment of hp",
        "confs/users/ic2/prod/databases.yaml: ic2 is not in confs/admin/prod/clients.yaml",
    ]


def test_admin_issues_are_reported_once(confs: Confs) -> None:
    confs.replace(CLIENTS.format("hp"), "storageProfile: M", "storageProfile: MM")
    assert len(issues(confs)) == 1
    assert shown(confs, "prod") == ["ic1/prod/dc1", "ic1/prod/dc2"]


def test_a_link_to_a_file_is_a_target(confs: Confs) -> None:
    # Resolving it says what is wrong with it; passing it over would hide that.
    file = confs.root / "confs/users/ic1/prod/databases.yaml"
    file.unlink()
    file.symlink_to("nowhere")
    assert len(shown(confs)) == 11


def test_the_default_datacenter(confs: Confs) -> None:
    assert default_datacenter(confs.root, "ic1", "prod") == "dc1"
    confs.replace(CLIENTS.format("prod"), "[dc1, dc2]", "[dc2, dc1]")
    assert default_datacenter(confs.root, "ic1", "prod") == "dc2"
    with pytest.raises(UsageError, match=r"unknown client 'ix1' in hp; did you mean i"):
        default_datacenter(confs.root, "ix1", "dev1")
    with pytest.raises(UsageError, match=r"--ins '\.\./x'"):
        default_datacenter(confs.root, "../x", "dev1")
    confs.replace(CLIENTS.format("prod"), "ic1:", "ic1: x")
    with pytest.raises(ConfigError):
        default_datacenter(confs.root, "ic1", "prod")


def test_the_environments_of_a_client(confs: Confs) -> None:
    assert user_environments(confs.root, "is1") == ["pic", "staging"]
    assert user_environments(confs.root, "nobody") == []
