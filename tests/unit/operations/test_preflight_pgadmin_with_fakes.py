"""What pgAdmin needs and nobody made yet is said before anything is deployed."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.kube.fakes import FakeServer, fake_api, use_kubeconfig

from pgaas.config.naming import Target
from pgaas.kube.resources import CONFIG_MAP, SECRET, Kind
from pgaas.operations.preflight_pgadmin import given
from pgaas.operations.rows import Row
from pgaas.operations.subject import load_subject

REPOSITORY = Path(__file__).resolve().parents[3]
PROD, LOCAL = Target("ic1", "prod", "dc1"), Target("ic1", "local", "local1")


@pytest.fixture(autouse=True)
def kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_kubeconfig(tmp_path, monkeypatch)


def rows(target: Target, *there: tuple[Kind, str]) -> list[Row]:
    subject, server = load_subject(REPOSITORY, target), FakeServer()
    for kind, name in there:
        server.put(kind, {"metadata": {"name": name, "namespace": subject.namespace}})
    return list(given(subject, fake_api(server)))


def needed() -> list[tuple[Kind, str]]:
    pgadmin = load_subject(REPOSITORY, PROD).values.pgadmin4
    assert pgadmin.enabled
    secrets = [(SECRET, each.secret_name) for each in (pgadmin.ldap.bind_password, pgadmin.default_password)]
    return secrets + ([(CONFIG_MAP, pgadmin.ldap.ca_config_map)] if pgadmin.ldap.ca_config_map else [])


def test_what_is_missing_is_named_and_stops_nothing() -> None:
    [row] = rows(PROD)
    assert row.state == "warning"
    for _, name in needed():
        assert name in row.detail
    [row] = rows(PROD, *needed()[1:])
    assert needed()[0][1] in row.detail
    assert needed()[1][1] not in row.detail


def test_nothing_is_missing() -> None:
    [row] = rows(PROD, *needed())
    assert row.state == "ok"


def test_in_local_the_chart_makes_all_of_it() -> None:
    assert rows(LOCAL) == []
