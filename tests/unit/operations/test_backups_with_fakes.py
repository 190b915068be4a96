"""Taking a base backup now, and listing what the archives hold, with or without a cluster."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.unit.kube.fakes import failure, path_of
from tests.unit.operations.restores import FIRST, ROOT, SECOND, RestoreWorld, restore_world
from tests.unit.operations.told import Told
from tests.unit.operations.worlds import NAME, SPACE, TARGET, World
from tests.unit.tools.archives import NOW, info_at, put_backup, put_wal

from pgaas.errors import KubernetesError, NotHealthy, TimedOut
from pgaas.kube.resources import BACKUP, CERTIFICATE, CLUSTER, OBJECT_STORE
from pgaas.operations import backup_now as module
from pgaas.operations.backup_now import Taken, backup_now
from pgaas.operations.backups import Backups, list_backups

THIRD = "20261124T115000"


@pytest.fixture
def made(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[RestoreWorld]:
    monkeypatch.setattr(module, "checkpoint", lambda *_: True)
    with restore_world(world, monkeypatch) as found:
        yield found


def taking(made: RestoreWorld, *, wait: bool = True, timeout: float = 3.0, told: Told | None = None) -> Taken:
    return backup_now(made.world.root, TARGET, wait=wait, timeout=timeout, progress=told or Told())


def ending(made: RestoreWorld, phase: str, **status: Any) -> list[dict[str, Any]]:
    """Let every Backup that is asked for end like this at once; return what is asked."""
    asked: list[dict[str, Any]] = []

    def answer(request: Any) -> Any:
        body = json.loads(request.content)
        asked.append(body)
        body["metadata"]["creationTimestamp"] = "2026-11-24T12:00:00Z"
        made.world.server.put(BACKUP, {**body, "status": {"phase": phase, **status}})
        return httpx2.Response(201, json=body)

    made.world.server.answers[f"POST {path_of(BACKUP, SPACE)}"] = answer
    return asked


def test_a_backup_is_followed_to_its_end_and_measured(made: RestoreWorld) -> None:
    asked = ending(made, "completed", backupId=SECOND, beginWal="A", endWal="B")
    taken = taking(made)
    [body] = asked
    assert body["spec"]["cluster"] == {"name": NAME}
    assert (taken.name, taken.joined, taken.done) == (body["metadata"]["name"], False, True)
    assert (taken.backup_id, taken.size, taken.took) == (SECOND, 31512680, 0.0)


def test_one_that_is_under_way_is_joined_and_no_second_one_begun(made: RestoreWorld) -> None:
    asked = ending(made, "completed")
    made.world.backup("begun", "running")
    path = path_of(BACKUP, SPACE, "begun")

    def answer(_: Any) -> Any:
        made.world.server.objects[path]["status"]["phase"] = "completed"
        return httpx2.Response(200, json=made.world.server.objects[path])

    made.world.server.answers[f"GET {path}"] = answer
    told = Told()
    taken = taking(made, told=told)
    assert (taken.name, taken.joined, asked) == ("begun", True, [])
    assert "no second one is begun" in told.text


def test_one_that_began_during_the_checkpoint_is_joined(
    made: RestoreWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ending(made, "completed")

    def slow(*_: object) -> bool:
        made.world.backup("scheduled", "running")
        return True

    monkeypatch.setattr(module, "checkpoint", slow)
    with pytest.raises(TimedOut, match="scheduled is not complete"):
        taking(made, timeout=0.0)
    assert asked == []


def test_one_that_was_asked_for_in_the_same_second_is_joined(made: RestoreWorld) -> None:
    def answer(_: Any) -> Any:
        made.world.backup("theirs", "pending")
        return failure(409, "AlreadyExists", 'backups.postgresql.cnpg.io "theirs" already exists')

    made.world.server.answers[f"POST {path_of(BACKUP, SPACE)}"] = answer
    taken = taking(made, wait=False)
    assert (taken.name, taken.joined) == ("theirs", True)


def test_what_the_archive_calls_failed_is_not_called_completed(made: RestoreWorld) -> None:
    put_backup(made.world.s3, ROOT, THIRD, info_at(1, 50, status="FAILED", error="no space"))
    ending(made, "completed", backupId=THIRD)
    with pytest.raises(NotHealthy, match=f"backup {THIRD} in the archive has not: it is failed, no space"):
        taking(made)


def test_without_waiting_it_is_only_asked_for(made: RestoreWorld) -> None:
    ending(made, "running")
    taken = taking(made, wait=False)
    assert (taken.done, taken.joined) == (False, False)
    assert taking(made, wait=False).joined


def test_one_that_fails_says_why(made: RestoreWorld) -> None:
    ending(made, "failed", error="no space left")
    with pytest.raises(NotHealthy, match="no space left"):
        taking(made)


def test_one_that_does_not_end_goes_on_by_itself(made: RestoreWorld) -> None:
    ending(made, "running")
    with pytest.raises(TimedOut) as caught:
        taking(made, timeout=0.0)
    assert "joins it again" in caught.value.next_step


@pytest.mark.parametrize(
    ("status", "annotations", "says"),
    [
        ({"readyInstances": 0}, {}, "none of its instances is ready"),
        ({}, {"cnpg.io/hibernation": "on"}, "hibernated"),
    ],
)
def test_a_cluster_that_cannot_be_backed_up_is_refused(
    made: RestoreWorld, status: dict[str, Any], annotations: dict[str, str], says: str
) -> None:
    made.world.cluster()["status"].update(status)
    made.world.cluster()["metadata"]["annotations"] = annotations
    with pytest.raises(NotHealthy, match=says):
        taking(made)
    assert made.world.server.writes() == []


def test_a_cluster_that_is_gone_cannot_be_backed_up(made: RestoreWorld) -> None:
    del made.world.server.objects[path_of(CLUSTER, SPACE, NAME)]
    with pytest.raises(NotHealthy) as caught:
        taking(made)
    assert "pgaas backups" in caught.value.next_step


def test_a_client_may_take_a_backup_who_may_see_neither_certificates_nor_secrets(made: RestoreWorld) -> None:
    ending(made, "completed", backupId=SECOND)
    for kind in (CERTIFICATE, OBJECT_STORE):
        made.world.server.answers[f"GET {path_of(kind, SPACE)}"] = httpx2.Response(403, json={})
    assert taking(made).done


def listing(made: RestoreWorld) -> Backups:
    return list_backups(made.world.root, TARGET, Told())


def test_each_backup_says_until_when_it_restores_and_which_objects_stand_for_it(made: RestoreWorld) -> None:
    made.world.backup("scheduled-1", "completed", status={"backupId": SECOND})
    made.world.backup("scheduled-2", "failed", status={"error": "boom"})
    found = listing(made)
    [archive] = found.archives
    assert (archive.server_name, archive.generation, archive.current) == (NAME, 1, True)
    assert [(each.backup.id, each.objects) for each in archive.backups] == [
        (SECOND, ("scheduled-1",)),
        (FIRST, ()),
    ]
    assert {each.reaches for each in archive.backups} == {NOW}
    [window] = archive.windows
    assert (window.first, window.last) == (NOW - timedelta(minutes=120), NOW)
    assert ("scheduled-2", "failed", "boom") in {
        (each.name, each.phase, each.error) for each in found.unarchived
    }


def test_holes_and_failed_backups_are_said(made: RestoreWorld) -> None:
    hole = next(key for key in made.world.s3.objects if key.endswith("000000010000000000000028.gz"))
    del made.world.s3.objects[hole]
    put_backup(made.world.s3, ROOT, THIRD, info_at(1, 50, status="FAILED", error="no space"))
    [archive] = listing(made).archives
    assert archive.problems == (
        "WAL 000000010000000000000028 is missing (1 segment)",
        f"backup {THIRD}: no space",
    )


def test_the_other_datacenters_archives_and_former_lives_are_listed_own_first(made: RestoreWorld) -> None:
    s3 = made.world.s3
    for root in (
        f"ic1-local-local1-backup/{NAME}-g2/",
        f"ic1-local-local1-backup/{NAME}-g10/",
        "ic1-local-local2-backup/local-ic1-local2/",
    ):
        put_backup(s3, root, THIRD, info_at(1, 5))
        put_wal(s3, root, 1, range(5, 7))
    made.world.edit(
        "admin/local/clients.yaml", "  ic1:\n", f"  ic1:\n    archiveGenerations: {{{NAME}: 10}}\n"
    )
    found = listing(made)
    assert [(each.server_name, each.generation, each.current) for each in found.archives] == [
        (f"{NAME}-g10", 10, True),
        (f"{NAME}-g2", 2, False),
        (NAME, 1, False),
        ("local-ic1-local2", 1, True),
    ]
    assert found.archives[3].datacenter == "local2"


def test_with_cluster_and_kubernetes_gone_the_archive_is_listed_all_the_same(made: RestoreWorld) -> None:
    path = path_of(BACKUP, SPACE)
    made.world.server.answers[f"GET {path}"] = httpx2.ConnectError("refused")
    made.world.uninstall()
    found = listing(made)
    assert [each.backup.id for each in found.archives[0].backups] == [SECOND, FIRST]
    assert any("could not be asked for" in note for note in found.notes)


def test_an_archive_that_cannot_be_read_hides_no_other(made: RestoreWorld, monkeypatch: Any) -> None:
    from pgaas.errors import ToolFailed
    from pgaas.operations import archives

    put_backup(made.world.s3, f"ic1-local-local1-backup/{NAME}-g2/", THIRD, info_at(1, 5))
    read = archives.read_catalog

    def refuse(bucket: Any, prefix: str, name: str) -> Any:
        if name.endswith("-g2"):
            raise ToolFailed("S3 asks for fewer requests")
        return read(bucket, prefix, name)

    monkeypatch.setattr(archives, "read_catalog", refuse)
    second, first = listing(made).archives
    assert (second.error, first.error) == ("S3 asks for fewer requests", "")
    assert len(first.backups) == 2


@pytest.fixture
def keyless(made: RestoreWorld) -> Path:
    """Let the keys be in a Secret that is gone."""
    made.world.edit(
        "admin/local/clients.yaml",
        "      accessKey: ic1\n      secretKey: ic1-local-secret\n",
        "      secretName: ic1-s3-credentials\n",
    )
    return made.world.root


def test_keys_whose_secret_is_gone_come_from_the_environment(
    made: RestoreWorld, keyless: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    with pytest.raises(KubernetesError) as caught:
        list_backups(keyless, TARGET, Told())
    assert "AWS_ACCESS_KEY_ID" in caught.value.next_step
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "topsecret")
    assert len(list_backups(keyless, TARGET, Told()).archives) == 1


def test_a_restore_needs_the_secret_itself(
    made: RestoreWorld, keyless: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cluster that is to come reads the archive with it."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "topsecret")
    with pytest.raises(KubernetesError, match="ic1-s3-credentials"):
        made.restore(latest=True)
    assert made.world.server.writes() == []
