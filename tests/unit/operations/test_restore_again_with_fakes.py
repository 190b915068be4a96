"""Restoring what was begun before: run again, killed, not waited for, or begun by somebody else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tests.unit.kube.fakes import path_of
from tests.unit.operations.restores import FIRST, NEW, SECOND, RestoreWorld, restore_world
from tests.unit.operations.told import Told
from tests.unit.operations.worlds import SPACE, World
from tests.unit.tools.archives import NOW

from pgaas.errors import RefusedAsUnsafe
from pgaas.kube.resources import SECRET
from pgaas.operations import restore as module
from pgaas.operations import restore_trust
from pgaas.operations.exclusive import exclusive
from pgaas.operations.restore import Choices

BUNDLE = f"{NEW}-client-ca-bundle"


@pytest.fixture
def made(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[RestoreWorld]:
    with restore_world(world, monkeypatch) as found:
        yield found


def test_run_again_it_goes_on_and_deploys_nothing(made: RestoreWorld) -> None:
    made.restore()
    commands = list(made.world.commands)
    again = made.restore()
    assert again.resumed
    assert again.checked
    assert made.world.commands == commands
    assert made.restore(name=NEW).request == "time 2026-11-24T11:30:00.000000Z"


@pytest.mark.parametrize("other", [{"latest": True}, {"moment": NOW}, {"backup_id": FIRST}])
def test_another_restore_under_a_name_that_is_there_is_refused(
    made: RestoreWorld, other: dict[str, Any]
) -> None:
    made.restore()
    with pytest.raises(RefusedAsUnsafe, match="is there already, restored to time 2026-11-24T11:30"):
        made.restore(**other)


def test_what_another_command_began_meanwhile_is_not_overwritten(
    made: RestoreWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.restore(latest=True)
    objects = made.world.server.objects
    begun = {path: objects.pop(path) for path in list(objects) if NEW in path}
    made.world.commands.clear()

    @contextmanager
    def late(*arguments: Any) -> Iterator[Any]:
        with exclusive(*arguments) as held:
            objects.update(begun)
            yield held

    monkeypatch.setattr(module, "exclusive", late)
    with pytest.raises(RefusedAsUnsafe, match="is there already, restored to latest"):
        made.restore()
    for path in begun:
        del objects[path]
    with pytest.raises(RefusedAsUnsafe, match="begun by another command meanwhile"):
        made.restore(latest=True)
    assert made.world.commands == []
    assert made.values["restore"]["request"].startswith("latest")


def test_without_waiting_it_still_gets_the_bundle_that_it_waits_for(
    made: RestoreWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.restore(Choices(wait=False))
    assert path_of(SECRET, SPACE, BUNDLE) in made.world.server.objects
    del made.world.server.objects[path_of(SECRET, SPACE, BUNDLE)]
    assert made.restore(Choices(wait=False)).resumed
    assert path_of(SECRET, SPACE, BUNDLE) in made.world.server.objects
    # What cert-manager has not made yet cannot be written: it is said.
    del made.world.server.objects[path_of(SECRET, SPACE, BUNDLE)]
    del made.world.server.objects[path_of(SECRET, SPACE, f"{NEW}-client-ca")]
    monkeypatch.setattr(restore_trust, "OWN_SECONDS", 0.0)
    told = Told()
    made.restore(Choices(wait=False), told)
    assert "waits for its bundle of client CAs" in told.text


def test_a_helm_that_was_killed_is_taken_up_with_the_backup_that_was_chosen(made: RestoreWorld) -> None:
    made.restore(latest=True)
    made.make(NEW, status="failed")
    for key in [key for key in made.world.s3.objects if f"base/{SECOND}" in key]:
        made.world.s3.objects[key.replace(SECOND, "20261124T113000")] = made.world.s3.objects[key]
        made.world.s3.written[key.replace(SECOND, "20261124T113000")] = NOW
    done = made.restore(latest=True)
    assert done.resumed
    assert made.values["restore"]["backupID"] == SECOND
