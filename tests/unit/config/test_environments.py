from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgaas.config.environments import (
    Environment,
    check_target,
    datacenter_problem,
    nearest,
    resolve_environment,
)
from pgaas.config.naming import Target, cluster_name, namespace
from pgaas.errors import UsageError


@pytest.mark.parametrize(
    ("env", "team_env", "parts"),
    [
        ("local", "local", ("local",)),
        ("perf", "perf", ("perf",)),
        ("pprod", "pprod", ("pprod",)),
        ("prod", "prod", ("prod",)),
        ("dev1", "hp", ("hp", "dev1")),
        ("pic", "hp", ("hp", "pic")),
        ("staging", "hp", ("hp", "staging")),
    ],
)
def test_what_an_environment_stands_for(env: str, team_env: str, parts: tuple[str, ...]) -> None:
    found = resolve_environment(env)
    assert found == Environment(env, team_env, parts)
    assert found.user_file("ic1").as_posix() == f"confs/users/ic1/{'/'.join(parts)}/databases.yaml"
    assert found.admin_folder.as_posix() == f"confs/admin/{team_env}"


@pytest.mark.parametrize(
    "env", ["", "hp", "HP", "Dev1", "dev-1", "1dev", "dev 1", "dev1\n", "../prod", "a/b", "é"]
)
def test_what_is_no_environment(env: str) -> None:
    with pytest.raises(UsageError) as error:
        resolve_environment(env)
    assert error.value.exit_code == 2


@pytest.mark.parametrize(
    ("ins", "env", "dc", "part"),
    [
        ("IC1", "prod", "dc1", "--ins"),
        ("", "prod", "dc1", "--ins"),
        ("ic-1", "prod", "dc1", "--ins"),
        ("ic1\n", "prod", "dc1", "--ins"),
        ("../ic1", "prod", "dc1", "--ins"),
        ("ic1", "hp", "dc1", "hp is a group"),
        ("ic1", "prod", "DC1", "--dc"),
        ("ic1", "prod", "dc1\n", "--dc"),
        ("ic1", "prod", "dc1-", "--dc"),
        ("ic1", "prod", "d--c", "--dc"),
        ("ic1", "prod", "dc1-g2", "generation"),
        ("ic1", "prod", "d" * 42, "51 characters"),
        ("kube", "system", "dc1", "is reserved"),
        ("admins", "prod", "dc1", "is reserved"),
        ("cnpg", "system", "dc1", "belongs to the platform"),
        ("local", "infra", "dc1", "belongs to the platform"),
    ],
)
def test_targets_that_can_not_be(ins: str, env: str, dc: str, part: str) -> None:
    with pytest.raises(UsageError, match=part):
        check_target(Target(ins, env, dc))


def test_a_cluster_name_of_fifty_characters_is_taken() -> None:
    target = Target("ic1", "prod", "d" * 41)
    assert len(cluster_name(target)) == 50
    assert check_target(target).team_env == "prod"


@given(st.text(max_size=12), st.text(max_size=12), st.text(max_size=12))
def test_any_text_is_taken_or_refused_as_usage(ins: str, env: str, dc: str) -> None:
    target = Target(ins, env, dc)
    try:
        check_target(target)
    except UsageError:
        return
    # What is taken is a DNS label and stays inside its folder.
    assert set(cluster_name(target) + namespace(target)) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")


CODES = st.from_regex(r"[a-c]{1,3}", fullmatch=True)


@given(CODES, CODES, CODES, CODES)
def test_no_two_clients_share_a_namespace(ins: str, env: str, other_ins: str, other_env: str) -> None:
    if (ins, env) != (other_ins, other_env):
        assert namespace(Target(ins, env, "dc1")) != namespace(Target(other_ins, other_env, "dc1"))


def test_a_datacenter_may_hold_single_dashes() -> None:
    assert datacenter_problem("eu-west-1") == ""


def test_nearest() -> None:
    assert nearest("pord", ["prod", "perf"]) == "; did you mean prod?"
    assert nearest("zzz", ["prod", "perf"]) == ""
