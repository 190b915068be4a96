"""`delete`: what it says was done. The operation itself is tested with fakes below tests/unit/operations."""

from __future__ import annotations

import json

import pytest

from pgaas.operations import delete as operation
from pgaas.operations.delete import Deleted
from pgaas.operations.removal import Removed

NAME = "local-ic1-local1"
ARGUMENTS = ("delete", "--ins", "ic1", "--env", "local", "--confirm", NAME)


def deleted(*, was_there: bool) -> Deleted:
    removed = Removed(("Backup/last",) if was_there else ())
    return Deleted(NAME, was_there, "", removed, True, (), 2, "clients.yaml", 3.21)


@pytest.fixture
def done(root, monkeypatch):
    """Give a function that says what the operation returns, so that no cluster is asked."""

    def set_done(result: Deleted) -> None:
        monkeypatch.setattr(operation, "plan_deletion", lambda *_: None)
        monkeypatch.setattr("pgaas.cli.delete.show_plan", lambda *_, **__: None)
        monkeypatch.setattr(operation, "check_confirmation", lambda *_: None)
        monkeypatch.setattr(operation, "delete", lambda *_, **__: result)

    return set_done


def test_a_cluster_that_was_there_is_deleted(pgaas, done):
    done(deleted(was_there=True))
    ran = pgaas(*ARGUMENTS)
    assert (ran.code, ran.out.splitlines()[0]) == (0, f"{NAME}: deleted (3 s)")
    assert "generation 2: commit clients.yaml" in ran.out
    shown = json.loads(pgaas(*ARGUMENTS, "-o", "json").out)
    assert shown["was_there"] is True
    assert shown["removed"] == ["Backup/last"]


def test_a_cluster_that_is_gone_already_was_not_there(pgaas, done):
    done(deleted(was_there=False))
    ran = pgaas(*ARGUMENTS)
    assert (ran.code, ran.out.splitlines()[0]) == (0, f"{NAME}: was not there")
    assert "deleted" not in ran.out
    ran = pgaas(*ARGUMENTS, "-o", "json")
    assert (ran.code, json.loads(ran.out)["was_there"]) == (0, False)
