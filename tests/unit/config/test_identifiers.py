# ruff: noqa: E501 - in a table, one row a line reads better than short lines

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgaas.config.identifiers import (
    DANGEROUS_PARENT_ROLES,
    HBA_KEYWORDS,
    SAFE_PARENT_ROLES,
    common_name_problem,
    database_problem,
    role_problem,
)

EVERYWHERE_REFUSED = [
    "", "A", "App", "app user", "app\tuser", "app\n", "app'", 'app"', "app,b", "app/b", "/app", "/.*", "+app", "@app",
    "app#", "app$", "app;", "a.b", "a\\1", "ä", "1app", "_app", "app_", "-app", "app-", "a" * 64, "a\0b", "all",
    "replication", "sameuser", "samerole", "samegroup", "samehost", "samenet", "postgres", "pgaas", "pg_app",
    "pg_read_all_data", "cnpg_pooler_pgbouncer", "cnpg_metrics_exporter", "${podselector:a}", "a\u2028b",
]  # fmt: skip
RESERVED_ROLES = [
    "streaming_replica",
    "pgaas_owner",
    "pgadmin_readonly",
    "public",
    "none",
    "ca",
    "current_user",
]


@pytest.mark.parametrize("name", [*EVERYWHERE_REFUSED, *RESERVED_ROLES])
def test_no_role_is_called(name: str) -> None:
    assert role_problem(name)


@pytest.mark.parametrize("name", [*EVERYWHERE_REFUSED, "template0", "template1"])
def test_no_database_is_called(name: str) -> None:
    assert database_problem(name)


@pytest.mark.parametrize("name", ["a", "app_user", "app-user", "a1", "a" * 63, "reporting_db", "pgapp"])
def test_names_that_are_taken(name: str) -> None:
    assert role_problem(name) == ""
    assert database_problem(name) == ""


@given(st.text(max_size=70) | st.from_regex(r"[a-z@+/_ '\",-]{1,6}", fullmatch=True))
def test_what_is_taken_can_be_written_everywhere(name: str) -> None:
    if not role_problem(name) or not database_problem(name):
        # One unquoted token of pg_hba.conf, and after the change of _ to - the end of a Kubernetes name.
        assert not re.search(r"[\s\"',#@+/$\\]", name)
        assert name not in HBA_KEYWORDS
        assert re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", name.replace("_", "-"))
        assert len(name) <= 63


@pytest.mark.parametrize(
    "name", ["app_user.ic1.dev1", "App-User.ic1.dev1", "a.b.ic1.dev1", "a" * 55 + ".ic1.dev1"]
)
def test_common_names_that_are_taken(name: str) -> None:
    assert common_name_problem(name, ".ic1.dev1", 64) == ""


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("/.*.ic1.dev1", "regular expression"),
        (".ic1.dev1", "is not a common name"),
        ("", "is not a common name"),
        ("app_user", "must end in .ic1.dev1"),
        ("app_user.ic1.dev2", "must end in .ic1.dev1"),
        ("app_userxic1.dev1", "must end in .ic1.dev1"),
        ("a" * 56 + ".ic1.dev1", "has 65 characters"),
        ("a b.ic1.dev1", "is not a common name"),
        ("a,b.ic1.dev1", "is not a common name"),
        ('a"b.ic1.dev1', "is not a common name"),
        ("a\nb.ic1.dev1", "is not a common name"),
        ("a.ic1.dev1\n", "is not a common name"),
        ("a/CN=x.ic1.dev1", "is not a common name"),
        ("a*.ic1.dev1", "is not a common name"),
        ("@a.ic1.dev1", "is not a common name"),
        ("ä.ic1.dev1", "is not a common name"),
    ],
)
def test_common_names_that_are_refused(name: str, part: str) -> None:
    assert part in common_name_problem(name, ".ic1.dev1", 64)


def test_what_gives_the_server_away_is_not_safe() -> None:
    assert not set(SAFE_PARENT_ROLES) & set(DANGEROUS_PARENT_ROLES)
    for role in ("pg_execute_server_program", "pg_read_server_files", "pg_write_server_files"):
        assert role in DANGEROUS_PARENT_ROLES
