"""What a restored database is looked at with, whatever its owner has set for it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator

import pytest
from tests.cli.daily import sign
from tests.unit.tools.postgres import OWNER, Postgres, running

from pgaas.errors import KubernetesError
from pgaas.kube.client import Api
from pgaas.operations.restore_check import CLIENTS_TABLES, RELATIONS, _Look


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    own = sign("CA")
    with running(certificate=own.pem, key=own.key_pem, clients=own.pem, hba=[], ident=[]) as found:
        yield found


@pytest.fixture
def look(server: Postgres, monkeypatch: pytest.MonkeyPatch) -> Iterator[_Look]:
    def execute(_: Api, _pod: str, _box: str, _space: str, argv: list[str], *, timeout: float) -> str:
        env = os.environ | {"PGHOST": str(server.folder), "PGUSER": OWNER}
        done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False, timeout=timeout)
        if done.returncode:
            raise KubernetesError(done.stderr)
        return done.stdout

    monkeypatch.setattr(Api, "execute", execute)
    server.sql("create database app_db")
    yield _Look(object.__new__(Api), "new-1", "ic1-local", deep=False)
    server.sql("drop database app_db")


def looked(look: _Look, *, deep: bool = False) -> tuple[str, ...]:
    look = _Look(look.api, look.instance, look.namespace, deep)
    relations = [int(oid) for oid in json.loads(look.ask_in("app_db", RELATIONS))]
    assert int(look.ask_in("app_db", CLIENTS_TABLES)) == 1
    assert look.dump("app_db") == ""
    return look.relations("app_db", relations)


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize(
    "setting",
    [
        "default_transaction_read_only to on",
        "statement_timeout to 1",
        "lock_timeout to 1",
        "search_path to evil",
    ],
)
def test_what_the_owner_has_set_does_not_count(
    server: Postgres, look: _Look, setting: str, deep: bool
) -> None:
    server.sql("create table t as select generate_series(1, 100000) n", database="app_db")
    server.sql(f"alter database app_db set {setting}")
    assert looked(look, deep=deep) == ()


def test_no_function_of_the_owner_s_is_run_as_the_superuser(server: Postgres, look: _Look) -> None:
    server.sql(
        # A sequence: what it counted stays, though the look is rolled back.
        "create schema evil; create table evil.t(); create sequence evil.ran",
        "create function evil.format(text, name, name) returns text language sql as "
        "$$ select nextval('evil.ran'); select pg_catalog.format($1, $2, $3) $$",
        "alter database app_db set search_path to evil, pg_catalog",
        database="app_db",
    )
    assert looked(look) == ()
    assert server.sql("select is_called from evil.ran", database="app_db") == "f"
