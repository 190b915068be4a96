from __future__ import annotations

import pytest

from pgaas.config.settings import STANDBY_DEFAULTS as DEFAULTS
from pgaas.errors import RefusedAsUnsafe
from pgaas.kube.resources import Object
from pgaas.operations.preflight_standby import standby_settings

LABELS = {"pgaas.io/ins": "ic1", "pgaas.io/env": "prod", "pgaas.io/dc": "dc2"}


def cluster(parameters: dict[str, str] | None = None) -> Object:
    spec = {} if parameters is None else {"postgresql": {"parameters": parameters}}
    return {"metadata": {"name": "prod-ic1-dc2", "labels": LABELS}, "spec": spec}


def test_without_another_cluster_there_is_nothing_to_compare() -> None:
    assert standby_settings({"max_connections": "1"}, None, follows=True).state == "ok"


@pytest.mark.parametrize("name", DEFAULTS)
def test_a_replica_needs_what_its_primary_has(name: str) -> None:
    default = DEFAULTS[name]
    high, low = str(default + 7), str(default + 6)
    for parameters, primary, state in (
        ({name: high}, cluster({name: high}), "ok"),
        ({name: high}, cluster({name: low}), "ok"),
        ({name: low}, cluster({name: high}), "failed"),
        ({}, cluster({name: high}), "failed"),
        ({}, cluster({name: str(default)}), "ok"),
        ({}, cluster(), "ok"),
        ({name: low}, cluster({}), "ok"),
    ):
        row = standby_settings(parameters, primary, follows=True)
        assert row.state == state, (parameters, primary)
    row = standby_settings({name: low}, cluster({name: high}), follows=True)
    assert f"{name} {low} < {high}" in row.detail
    assert "prod-ic1-dc2" in row.detail
    assert row.error is RefusedAsUnsafe
    assert row.next_step.endswith("the primary first: pgaas create --ins ic1 --env prod --dc dc2")


@pytest.mark.parametrize("name", DEFAULTS)
def test_a_primary_does_not_outgrow_its_replica(name: str) -> None:
    default = DEFAULTS[name]
    assert standby_settings({name: str(default)}, cluster(), follows=False).state == "ok"
    row = standby_settings({name: str(default + 1)}, cluster(), follows=False)
    assert (row.state, row.error) == ("failed", RefusedAsUnsafe)
    assert f"{name} {default} < {default + 1}" in row.detail
    assert row.next_step == "raise the replica first: pgaas create --ins ic1 --env prod --dc dc2"
    assert standby_settings({name: "1"}, cluster({name: "1"}), follows=False).state == "ok"


def test_all_that_is_too_low_is_named_and_nothing_else() -> None:
    wanted = {"max_connections": "300", "max_wal_senders": "20", "work_mem": "1GB"}
    row = standby_settings(wanted, cluster({"max_connections": "99", "work_mem": "4MB"}), follows=False)
    assert row.detail.endswith("stop replaying: max_connections 99 < 300, max_wal_senders 10 < 20")


def test_the_defaults_are_those_of_postgresql_and_of_the_operator() -> None:
    # max_worker_processes is 8 in PostgreSQL, and 32 in every cluster of CloudNativePG 1.30.
    assert list(DEFAULTS.values()) == [100, 32, 10, 0, 64]


def test_numbers_are_compared_as_numbers() -> None:
    assert (
        standby_settings({"max_connections": "1000"}, cluster({"max_connections": "200"}), True).state == "ok"
    )


@pytest.mark.parametrize("follows", [True, False])
def test_what_can_not_be_compared_is_a_warning(follows: bool) -> None:
    row = standby_settings({}, cluster({"max_connections": "1e2"}), follows)
    assert (row.state, row.detail) == ("warning", "max_connections of prod-ic1-dc2 is '1e2'")
    assert standby_settings({"max_wal_senders": ""}, cluster(), follows).state == "warning"


def test_a_cluster_without_our_labels_is_named() -> None:
    live = {"metadata": {"name": "x"}, "spec": {}}
    assert standby_settings({"max_connections": "101"}, live, False).next_step.endswith("pgaas create for x")
