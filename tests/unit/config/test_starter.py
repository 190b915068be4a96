from __future__ import annotations

import pytest
from tests.unit.config.support import Confs

from pgaas.config.environments import resolve_environment
from pgaas.config.load import parse_document
from pgaas.config.naming import Target
from pgaas.config.resolve import resolve_client
from pgaas.config.starter import starter_databases


@pytest.mark.parametrize(
    ("env", "dc"), [("local", "local1"), ("prod", "dc2"), ("dev1", "dc1"), ("perf", "dc1")]
)
def test_a_client_can_begin_with_it_in_every_environment(confs: Confs, env: str, dc: str):
    file = resolve_environment(env).user_file("ic1").as_posix()
    confs.write(file, starter_databases("ic1", env, major=17, schemas="schemas"))
    resolved = resolve_client(confs.root, Target("ic1", env, dc))
    assert [database.name for database in resolved.merged.databases] == ["app_db"]
    assert [role.name for role in resolved.merged.roles] == ["app_user"]


@pytest.mark.parametrize("env", ["local", "prod", "dev1"])
def test_the_schema_is_found_from_where_the_file_lies(confs: Confs, env: str):
    text = starter_databases("ic1", env, major=17, schemas="schemas")
    first = text.splitlines()[0]
    reference = first.removeprefix("# yaml-language-server: $schema=")
    assert reference != first
    users = confs.root / "confs/users"
    file = confs.root / resolve_environment(env).user_file("ic1")
    assert (file.parent / reference).resolve() == (users / "schemas/databases.schema.json").resolve()


def test_no_schema_is_named_where_there_is_none():
    text = starter_databases("ic1", "prod", major=16)
    assert "$schema" not in text
    assert parse_document("x", text.encode()).data["postgresql"] == {"majorVersion": 16}
