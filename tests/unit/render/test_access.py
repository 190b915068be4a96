from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.render.support import Tree, built

REJECT = "host all all all reject"


def role(name: str, **special: Any) -> Tree:
    return {"name": name, **special}


def access(*roles: Tree, databases: list[Tree] | None = None, **merged: Any) -> Any:
    return built(merged={"databases": databases or [], "roles": list(roles), **merged})


def test_an_owner_a_guest_and_pgadmin_log_in_and_nobody_else() -> None:
    values = access(
        role("app_user"),
        role("reader", databases=["app_db", "report_db"]),
        databases=[
            {"name": "app_db", "owner": "app_user"},
            {"name": "report_db", "owner": "app_user"},
        ],
    )
    assert values.cluster.pg_hba == [
        "hostssl app_db app_user all cert map=pgaas",
        "hostssl report_db app_user all cert map=pgaas",
        "hostssl app_db reader all cert map=pgaas",
        "hostssl report_db reader all cert map=pgaas",
        "hostssl all pgadmin_readonly all cert map=pgaas",
        REJECT,
    ]
    assert values.cluster.pg_ident == [
        "pgaas app_user.ic1.prod app_user",
        "pgaas reader.ic1.prod reader",
        "pgaas pgadmin_readonly.ic1.prod pgadmin_readonly",
    ]


def test_a_database_that_its_owner_also_lists_is_there_once() -> None:
    values = access(
        role("app_user", databases=["app_db"]), databases=[{"name": "app_db", "owner": "app_user"}]
    )
    assert values.cluster.pg_hba.count("hostssl app_db app_user all cert map=pgaas") == 1


@pytest.mark.parametrize("special", [{"login": False}, {"ensure": "absent"}])
def test_a_role_that_may_not_log_in_has_no_rule_no_map_and_no_certificate(special: Tree) -> None:
    values = access(role("app_user", **special), databases=[{"name": "app_db", "owner": "app_user"}])
    assert not [rule for rule in values.cluster.pg_hba if "app_user" in rule]
    assert not [rule for rule in values.cluster.pg_ident if "app_user" in rule]
    assert [each.role for each in values.certificates.clients] == ["pgadmin_readonly"]
    # The operator still keeps it, as the file says.
    found = next(each for each in values.cluster.roles if each.name == "app_user")
    assert (found.login, found.ensure) == (special.get("login", True), special.get("ensure", "present"))


def test_a_role_without_a_database_has_no_certificate() -> None:
    values = access(role("group_role"))
    assert [each.role for each in values.certificates.clients] == ["pgadmin_readonly"]


def test_the_common_name_is_the_owners_pattern_or_its_name() -> None:
    values = access(
        role("app_user"),
        role("report_user"),
        databases=[
            {"name": "app_db", "owner": "app_user", "cnPattern": "shop.ic1.prod"},
            {"name": "report_db", "owner": "report_user"},
        ],
    )
    names = {each.role: each.common_name for each in values.certificates.clients}
    assert names == {
        "app_user": "shop.ic1.prod",
        "report_user": "report_user.ic1.prod",
        "pgadmin_readonly": "pgadmin_readonly.ic1.prod",
    }
    assert "pgaas shop.ic1.prod app_user" in values.cluster.pg_ident


def test_pgadmins_role_reads_and_can_do_nothing_else() -> None:
    found = built(merged={"pgadminUser": {"name": "looker", "roles": ["pg_read_all_data"]}}).cluster.roles[-1]
    assert found.name == "looker"
    assert found.login
    assert found.in_roles == ["pg_read_all_data"]
    able = (found.superuser, found.createdb, found.createrole, found.replication, found.bypassrls)
    assert not any(able)


def test_a_roles_attributes_reach_the_operator_as_written() -> None:
    special = {
        "login": False,
        "createdb": True,
        "inherit": False,
        "connectionLimit": 7,
        "inRoles": ["pg_monitor"],
    }
    found = access(role("app_user", **special)).cluster.roles[0]
    assert found.plain().items() >= special.items()


names = st.from_regex(r"[a-z]([a-z0-9_]{0,8}[a-z0-9])?", fullmatch=True).filter(
    lambda name: (
        not name.startswith(("pg_", "cnpg_"))
        and name not in {"all", "ca", "user", "public", "none", "pgaas", "postgres", "replication"}
    )
)


@given(
    roles=st.lists(names, min_size=1, max_size=5, unique=True),
    databases=st.lists(names, max_size=5, unique=True),
    data=st.data(),
)
def test_whatever_the_file_says_every_rule_wants_a_certificate_and_the_last_rejects(
    roles: list[str], databases: list[str], data: st.DataObject
) -> None:
    owned = [{"name": name, "owner": data.draw(st.sampled_from(roles))} for name in databases]
    granted = st.lists(st.sampled_from(databases), unique=True) if databases else st.just([])
    values = access(*(role(name, databases=data.draw(granted)) for name in roles), databases=owned)
    rules = values.cluster.pg_hba
    assert rules[-1] == REJECT
    assert rules.count(REJECT) == 1
    assert all(rule.startswith("hostssl ") and rule.endswith(" all cert map=pgaas") for rule in rules[:-1])
    assert [rule for rule in rules if rule.split()[1] == "all"][:-1] == [
        "hostssl all pgadmin_readonly all cert map=pgaas"
    ]
    # Who has a rule has a map entry and a certificate of the same name, and the other way round.
    with_rule = {rule.split()[2] for rule in rules[:-1]}
    mapped = {line.split()[2]: line.split()[1] for line in values.cluster.pg_ident}
    certified = {each.role: each.common_name for each in values.certificates.clients}
    assert with_rule == set(mapped)
    assert mapped == certified
    assert all(name.endswith(".ic1.prod") for name in certified.values())
