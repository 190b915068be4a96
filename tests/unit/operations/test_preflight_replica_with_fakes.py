"""Before a replica is born: what is wrong with the archive that it would be recovered from."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from tests.unit.operations.worlds import World
from tests.unit.tools.archives import (
    NOW,
    SYSTEM,
    bucket,
    info,
    info_at,
    put,
    put_backup,
    put_history,
    put_wal,
)

from pgaas.config.naming import Target
from pgaas.errors import NotHealthy, PgaasError, RefusedAsUnsafe
from pgaas.kube.resources import CLUSTER
from pgaas.operations.preflight_replica import base_backup_there, source_archive
from pgaas.operations.rows import Row
from pgaas.operations.subject import Subject, load_subject
from pgaas.tools.archive import read_archive

CLIENTS = """\
clients:
  ic1:
    datacenters: [local1, local2]
    primaryDatacenter: {primary}
    s3Bucket: ic1-backups
    storageProfile: S
    s3Credentials: {{accessKey: ic1, secretKey: ic1-local-secret}}
    ldapCredentials: {{bindDn: "cn=pgadmin-ic1,ou=services,dc=pgaas,dc=local", bindPassword: x}}
    replication: {{enabled: {enabled}, replicaSource: {source}}}
    archiveGenerations: {{local-ic1-local1: {generation}}}
"""
HERE = Target("ic1", "local", "local2")
SOURCE = "local-ic1-local1"
ARCHIVE = f"ic1-local-local1-backup/{SOURCE}/"
MIRROR = f"ic1-local-local1-replica/{SOURCE}/"


@pytest.fixture
def replica(world: World) -> Iterator[World]:
    """A world in which local2 is to be born as the replica of local1, whose archive is well."""
    write(world)
    world.s3.page = 1000
    put_backup(world.s3, ARCHIVE, "20261124T114626")
    put_wal(world.s3, ARCHIVE, 1, range(1, 9), until=40, every=300)
    yield world
    world.s3.now, world.s3.page = None, 2
    world.s3.written.clear()


def write(world: World, **changes: object) -> None:
    settings = {"primary": "local1", "enabled": "true", "source": "archive", "generation": 1} | changes
    (world.root / "confs/admin/local/clients.yaml").write_text(CLIENTS.format(**settings))


def subject(world: World, target: Target = HERE) -> Subject:
    return load_subject(world.root, target)


def check(world: World, target: Target = HERE, primary: str | None = SYSTEM) -> list[Row]:
    looked = subject(world, target)
    return list(source_archive(looked, looked.api(), primary, bucket(world.s3, "ic1-backups")))


def bad(world: World, **options: str | None) -> Row:
    """Return the only row that is not well."""
    [row] = [row for row in check(world, **options) if row.state not in ("ok", "skipped")]  # type: ignore[arg-type]
    assert row.next_step
    return row


def born(world: World, target: Target = HERE) -> None:
    world.put(CLUSTER, subject(world, target).cluster, spec={})


def test_all_is_well(replica: World) -> None:
    rows = {row.name: row for row in check(replica)}
    assert {row.state for row in rows.values()} == {"ok"}
    assert list(rows) == ["source archive", "source backup", "source system", "source version", "source WAL"]
    assert "WAL to 000000010000000000000008, written 40 s ago" in rows["source archive"].detail
    assert "20261124T114626" in rows["source backup"].detail
    assert "ended 2026-11-24 11:46:32 UTC, 30 MiB" in rows["source backup"].detail
    assert rows["source WAL"].detail.startswith("complete from base backup 20261124T114626")
    assert not [method for method, _, _ in replica.s3.asked if method not in ("GET", "HEAD")]


@pytest.mark.parametrize("target", [Target("ic1", "local", "local1"), HERE])
def test_a_cluster_that_reads_no_archive_is_not_looked_at(replica: World, target: Target) -> None:
    replica.s3.asked.clear()
    write(replica, enabled="false")
    assert check(replica, target) == []
    write(replica)
    assert check(replica, Target("ic1", "local", "local1")) == []
    write(replica, primary="local2")
    born(replica)
    assert check(replica, HERE) == []
    assert replica.s3.asked == []


def test_nothing_in_the_archive(replica: World) -> None:
    replica.s3.objects.clear()
    [row] = check(replica)
    assert (row.name, row.state, row.error) == ("source archive", "failed", NotHealthy)
    assert f"there is no archive at s3://ic1-backups/{ARCHIVE}, as local2 reads S3" in row.detail
    assert "create local-ic1-local1 first (pgaas create --ins ic1 --env local --dc local1)" in row.next_step
    assert "both see the same bucket" in row.next_step
    write(replica, source="mirror")
    assert "the storage copies it to here" in check(replica)[0].next_step


def test_another_generation_is_there_instead(replica: World) -> None:
    write(replica, generation=3)
    put(replica.s3, f"ic1-local-local1-backup/{SOURCE}-g2/wals/x")
    [row] = check(replica)
    assert row.state == "failed"
    assert f"clients.yaml says generation 3, and {SOURCE}, {SOURCE}-g2 is what is there" in row.detail
    assert "archiveGenerations of local-ic1-local1" in row.next_step


def test_a_newer_generation_has_newer_wal(replica: World) -> None:
    newer = f"ic1-local-local1-backup/{SOURCE}-g2/"
    put_wal(replica.s3, newer, 2, range(8, 10), until=5)
    row = bad(replica)
    assert (row.name, row.state, row.error) == ("source archive", "failed", RefusedAsUnsafe)
    assert f"clients.yaml says generation 1 of {SOURCE}, but {SOURCE}-g2 is newer" in row.detail
    put_wal(replica.s3, newer, 2, range(8, 10), until=5000)
    row = bad(replica)
    assert (row.name, row.state) == ("source archive", "warning")
    write(replica, generation=2)
    put_backup(replica.s3, newer, "20261124T114626", info_at(2, 8))
    assert {row.state for row in check(replica)} == {"ok"}


def test_the_archive_is_only_at_the_other_path(replica: World) -> None:
    write(replica, source="mirror")
    [row] = check(replica)
    assert f"s3://ic1-backups/{MIRROR}, and one at s3://ic1-backups/{ARCHIVE}" in row.detail
    assert "replicaSource: archive" in row.next_step
    replica.s3.objects = {key.replace("-backup/", "-replica/"): b for key, b in replica.s3.objects.items()}
    write(replica)
    [row] = check(replica)
    assert f"s3://ic1-backups/{ARCHIVE}, and one at s3://ic1-backups/{MIRROR}" in row.detail
    assert "replicaSource: mirror" in row.next_step


def test_a_mirror_is_read_where_it_is(replica: World) -> None:
    write(replica, source="mirror")
    put_backup(replica.s3, MIRROR, "20261124T114626")
    put_wal(replica.s3, MIRROR, 1, range(1, 6), every=0)
    rows = check(replica)
    assert {row.state for row in rows} == {"ok"}
    assert MIRROR in rows[0].detail


def test_no_completed_backup_but_failed_ones(replica: World) -> None:
    put_backup(
        replica.s3, ARCHIVE, "20261124T114626", info(status="FAILED", error="failure uploading (disk)")
    )
    for number in range(4):
        put_backup(replica.s3, ARCHIVE, f"2026112{number}T114626", b"\x00")
    row = bad(replica)
    assert (row.name, row.state, row.error) == ("source backup", "failed", NotHealthy)
    assert "no completed base backup" in row.detail
    assert "20261124T114626 failed: failure uploading (disk)" in row.detail
    assert "20261123T114626 cannot be used: it is no text: encrypted, compressed or damaged" in row.detail
    assert "and 2 more" in row.detail
    for number in range(2):
        del replica.s3.objects[f"{ARCHIVE}base/2026112{number}T114626/backup.info"]
        del replica.s3.objects[f"{ARCHIVE}base/2026112{number}T114626/data.tar.gz"]
    assert " more" not in bad(replica).detail
    assert "take one" in row.next_step


def test_a_backup_that_has_begun(replica: World) -> None:
    put_backup(replica.s3, ARCHIVE, "20261124T114626", info(status="STARTED"))
    row = bad(replica)
    assert "20261124T114626 has begun" in row.detail
    assert row.detail.endswith("has begun")
    assert row.next_step.startswith("wait")


def test_a_backup_of_another_system(replica: World) -> None:
    row = bad(replica, primary="7000000000000000001")
    assert (row.name, row.state, row.error) == ("source system", "failed", RefusedAsUnsafe)
    assert f"is of system {SYSTEM}, and the primary is 7000000000000000001" in row.detail


def test_an_unknown_system_is_not_compared(replica: World) -> None:
    for primary, changes in ((None, {}), ("", {}), (SYSTEM, {"systemid": "None"})):
        put_backup(replica.s3, ARCHIVE, "20261124T114626", info(**changes))
        [row] = [row for row in check(replica, primary=primary) if row.name == "source system"]
        assert row.state == "skipped"


def test_a_backup_of_another_major_version(replica: World) -> None:
    put_backup(replica.s3, ARCHIVE, "20261124T114626", info(version="160004"))
    row = bad(replica)
    assert (row.name, row.state, row.error) == ("source version", "failed", RefusedAsUnsafe)
    assert "of PostgreSQL 16, and the configuration says 17" in row.detail


def test_a_gap_behind_the_backup(replica: World) -> None:
    for number in (4, 6):
        del replica.s3.objects[f"{ARCHIVE}wals/0000000100000000/00000001000000000000000{number}.gz"]
    row = bad(replica)
    assert (row.name, row.state, row.error) == ("source WAL", "failed", NotHealthy)
    assert "2 segments are missing behind base backup 20261124T114626" in row.detail
    assert "(000000010000000000000004, 000000010000000000000006)" in row.detail
    assert "a recovery ends with 000000010000000000000003" in row.detail
    assert "take a new base backup of local-ic1-local1" in row.next_step


def test_many_gaps_are_not_all_named(replica: World) -> None:
    put_wal(replica.s3, ARCHIVE, 1, [10, 12, 14])
    assert "more gaps" not in bad(replica).detail
    put_wal(replica.s3, ARCHIVE, 1, list(range(20, 40, 2)))
    assert "and 10 more gaps" in bad(replica).detail


def test_a_gap_that_may_fill_yet_is_a_warning(replica: World) -> None:
    del replica.s3.objects[f"{ARCHIVE}wals/0000000100000000/000000010000000000000007.gz"]
    row = bad(replica)
    assert (row.name, row.state) == ("source WAL", "warning")
    assert "1 segment is missing" in row.detail
    assert "40 s old" in row.detail


def test_a_backup_whose_own_wal_is_not_there(replica: World) -> None:
    ended = NOW - timedelta(seconds=30)
    put_backup(replica.s3, ARCHIVE, "20261124T115900", info_at(1, 9, 9, end_time=ended.isoformat()))
    assert bad(replica).state == "warning"
    put_backup(replica.s3, ARCHIVE, "20261124T115900", info_at(1, 9, 9, end_time="2026-11-24 11:50:00+00:00"))
    row = bad(replica)
    assert row.state == "failed"
    assert "a recovery does not even begin" in row.detail


def test_a_past_that_the_newest_timeline_does_not_share(replica: World) -> None:
    put_wal(replica.s3, ARCHIVE, 2, range(8, 11), every=299, until=3)
    row = bad(replica)
    assert "no 00000002.history" in row.detail
    assert row.state == "failed"
    put_wal(replica.s3, ARCHIVE, 2, range(8, 11), every=120)
    row = bad(replica)
    assert "no 00000002.history" in row.detail
    assert "what follows is 240 s old" in row.detail
    assert row.state == "warning"
    put_history(replica.s3, ARCHIVE, 2, ["1\t0/2000060"])
    row = bad(replica)
    assert "timeline 2 had left" in row.detail
    assert row.state == "failed"
    put_history(replica.s3, ARCHIVE, 2, ["1\t0/8000060"])
    assert {row.state for row in check(replica)} == {"ok"}
    put_history(replica.s3, ARCHIVE, 2, ["x"])
    assert "only names say" in check(replica)[-1].detail


def test_for_a_cluster_that_follows_already_it_is_a_warning(replica: World) -> None:
    born(replica)
    assert {row.state for row in check(replica)} == {"ok"}
    del replica.s3.objects[f"{ARCHIVE}wals/0000000100000000/000000010000000000000004.gz"]
    assert bad(replica).state == "warning"
    put_backup(replica.s3, ARCHIVE, "20261124T114626", b"")
    row = bad(replica)
    assert (row.name, row.state) == ("source backup", "warning")
    assert bad(replica, primary="1").state == "warning"
    replica.s3.objects.clear()
    assert bad(replica).state == "failed"


def test_the_former_primary_follows_the_new_one(replica: World) -> None:
    write(replica, primary="local2")
    there = Target("ic1", "local", "local1")
    born(replica, there)
    [row] = check(replica, there)
    assert "s3://ic1-backups/ic1-local-local2-backup/local-ic1-local2/" in row.detail


def test_an_empty_cluster_cannot_follow(replica: World) -> None:
    write(replica, primary="local2")
    [row] = check(replica, Target("ic1", "local", "local1"))
    assert (row.state, row.error) == ("failed", RefusedAsUnsafe)
    assert "would be born empty" in row.detail
    assert "pgaas rebuild --ins ic1 --env local --dc local1" in row.next_step


def test_an_s3_that_does_not_answer_is_an_error_of_its_own(replica: World) -> None:
    replica.s3.refuse["GET"] = (403, "AccessDenied")
    with pytest.raises(PgaasError, match="may not do this"):
        check(replica)


def test_a_base_backup_for_a_switchover(replica: World) -> None:
    opened = bucket(replica.s3, "ic1-backups")
    assert base_backup_there(read_archive(opened, "ic1-local-local1-backup/", SOURCE)).state == "ok"
    row = base_backup_there(read_archive(opened, "ic1-local-local2-backup/", "local-ic1-local2"))
    assert row.state == "failed"
    assert "take one of the cluster that writes local-ic1-local2" in row.next_step
