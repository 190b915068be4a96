"""`restore`, `backup` and `backups`: what is refused on the command line, and what is said of the results."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from pgaas.operations import backup_now, backups, restore, restore_remove
from pgaas.operations.backup_now import Taken
from pgaas.operations.backups import Archived, Backups, Listed, Unarchived
from pgaas.operations.removal import Removed
from pgaas.operations.restore import Restored
from pgaas.operations.restore_check import Checked, RestoredDatabase, RestoredRole
from pgaas.operations.restore_remove import Gone, Plan
from pgaas.tools.backup_info import BaseBackup
from pgaas.tools.catalog import Window

TARGET = ("--ins", "ic1", "--env", "local")
RESTORE = ("restore", *TARGET, "--as", "before-the-drop")
AT = datetime(2026, 11, 28, 14, 30, tzinfo=UTC)


def checked(*problems: str) -> Checked:
    return Checked(
        instance="before-the-drop-1",
        timeline=2,
        end_timeline=1,
        end_lsn="0/3C0000F8",
        end_reason="before 2026-11-28 14:30:00+00",
        last_transaction="2026-11-28 14:29:59+00",
        databases=(
            RestoredDatabase("app_db", True, True, "app_user", 8_000_000, 3, 72),
            RestoredDatabase("new_db", True, False, "app_user"),
        ),
        roles=(RestoredRole("app_user", True, True),),
        deep=False,
        problems=problems,
    )


def restored(found: Checked | None) -> Restored:
    return Restored(
        cluster="before-the-drop",
        namespace="ic1-local",
        context="cluster1",
        source="local-ic1-local1",
        server_name="local-ic1-local1",
        request="time 2026-11-28T14:30:00.000000Z",
        backup_id="20261128T010000",
        image="image:17",
        storage="1Gi",
        resumed=False,
        checked=found,
        seconds=42.4,
    )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--latest", "--to-backup", "x"), "--to-backup and --latest do not go together"),
        (("--latest", "--remove"), "--latest and --remove do not go together"),
        (("--to-time", "2026-11-28T14:30:00"), "has no zone"),
        (("--to-time", "now"), "no time as RFC 3339"),
        (("--to-backup", " "), "no backup's id"),
    ],
)
def test_what_does_not_go_together_is_refused(root, pgaas, arguments, says):
    ran = pgaas(*RESTORE, *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert says in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize(
    "name", ["local-ic1-local1", "local-ic1-local2", "prod-ic1-dc1", "../x", "UPPER", "a" * 51]
)
def test_a_name_that_cannot_be_is_refused_before_any_cluster_is_asked(root, pgaas, monkeypatch, name):
    monkeypatch.setenv("KUBECONFIG", "/nonexistent")
    ran = pgaas("restore", *TARGET, "--as", name, "--latest")
    assert ran.code == 2
    assert "--as" in ran.err
    assert pgaas("restore", *TARGET, "--as", name, "--remove").code == 2


def test_a_restore_that_is_whole_is_told_and_exits_with_0(root, pgaas, monkeypatch):
    monkeypatch.setattr(restore, "restore", lambda *_: restored(checked()))
    ran = pgaas(*RESTORE, "--to-time", "2026-11-28T14:30:00Z")
    assert ran.code == 0, ran.err
    assert ran.out.splitlines()[0].startswith("before-the-drop: restored to time 2026-11-28T14:30:00.000000Z")
    assert "0/3C0000F8 of timeline 1" in ran.out
    shown = json.loads(pgaas(*RESTORE, "--latest", "-o", "json").out)
    assert (shown["complete"], shown["checked"]["end_lsn"]) == (True, "0/3C0000F8")


def test_what_is_missing_is_printed_and_exits_with_9(root, pgaas, monkeypatch):
    monkeypatch.setattr(restore, "restore", lambda *_: restored(checked("database new_db is missing")))
    ran = pgaas(*RESTORE, "--latest")
    assert ran.code == 9
    assert "MISSING" in ran.out
    assert "database new_db is missing" in ran.err
    ran = pgaas(*RESTORE, "--latest", "-o", "json")
    assert (ran.code, json.loads(ran.out)["complete"]) == (9, False)


def test_a_restore_that_is_not_waited_for_does_not_say_that_it_is_done(root, pgaas, monkeypatch):
    monkeypatch.setattr(restore, "restore", lambda *_: restored(None))
    ran = pgaas(*RESTORE, "--latest", "--no-wait")
    assert ran.code == 0
    assert "being restored" in ran.out
    assert "would be restored" in pgaas(*RESTORE, "--latest", "--dry-run").out
    assert json.loads(pgaas(*RESTORE, "--latest", "--no-wait", "-o", "json").out)["complete"] is None


def test_a_removal_asks_for_the_name(root, pgaas, monkeypatch):
    from pgaas.config.naming import Target
    from pgaas.operations.restore_plan import name_only
    from pgaas.operations.subject import load_subject

    source = load_subject(root, Target("ic1", "local", "local1"))
    plan = Plan(name_only(source, "before-the-drop"), source, ("Cluster before-the-drop",))
    gone = Gone("before-the-drop", True, Removed(("Secret/x",)), False, 3.0)
    monkeypatch.setattr(restore_remove, "plan_removal", lambda *_: plan)
    monkeypatch.setattr(restore_remove, "remove", lambda *_, **__: gone)
    ran = pgaas(*RESTORE, "--remove")
    assert ran.code == 2
    assert "--confirm before-the-drop" in ran.err
    assert "stays: local-ic1-local1" in ran.err
    assert pgaas(*RESTORE, "--remove", "--confirm", "local-ic1-local1").code == 2
    ran = pgaas(*RESTORE, "--remove", "--confirm", "before-the-drop")
    assert (ran.code, ran.out) == (0, "before-the-drop: removed (3 s)\n")


def test_a_backup_says_its_id_size_and_duration(root, pgaas, monkeypatch):
    taken = Taken("c", "c-1", False, True, "20261128T010000", "A", "B", 31512680, 6.4, 9.0)
    monkeypatch.setattr(backup_now, "backup_now", lambda *_, **__: taken)
    ran = pgaas("backup", *TARGET)
    assert ran.out == "c-1: completed (id 20261128T010000, 30.1 MiB, took 6 s, WAL A to B)\n"
    assert json.loads(pgaas("backup", *TARGET, "-o", "json").out)["bytes"] == 31512680
    asked = Taken("c", "c-1", True, False)
    monkeypatch.setattr(backup_now, "backup_now", lambda *_, **__: asked)
    assert pgaas("backup", *TARGET, "--no-wait").out == "c-1: under way already\n"


def test_the_archives_are_listed_for_people_and_programs(root, pgaas, monkeypatch):
    backup = BaseBackup("20261128T010000", "completed", end_time=AT, size=1024, timeline=1, version=170006)
    archive = Archived(
        "local1",
        "local-ic1-local1",
        "local-ic1-local1-g2",
        2,
        True,
        "s3://b/p/",
        (Listed(backup, AT, ("scheduled",)), Listed(BaseBackup("x\x1b[2J", "failed", "boom"), None, ())),
        (Window(AT, AT),),
        "000000010000000000000003",
        AT,
        ("WAL X is missing (1 segment)",),
    )
    broken = Archived("local2", "c", "c", 1, True, "s3://b/q/", error="S3 failed")
    found = Backups("s3", (archive, broken), (Unarchived("late", "c", "failed", "boom"),), ("local2: down",))
    monkeypatch.setattr(backups, "list_backups", lambda *_: found)
    ran = pgaas("backups", *TARGET)
    assert ran.code == 0
    assert "2026-11-28T14:30:00Z to 2026-11-28T14:30:00Z" in ran.out
    assert "WAL X is missing" in ran.out
    assert "cannot be restored" in ran.out
    assert "cannot be read: S3 failed" in ran.out
    assert "\x1b" not in ran.out
    shown = json.loads(pgaas("backups", *TARGET, "-o", "json").out)
    assert shown["archives"][0]["backups"][0]["end"] == "2026-11-28T14:30:00.000000Z"
    assert shown["archives"][0]["generation"] == 2
    assert shown["unarchived"][0]["backup"] == "late"
