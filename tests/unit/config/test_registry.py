from __future__ import annotations

import difflib
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.unit.config.support import CLIENTS, LOCAL, PROD, Confs

from pgaas.config import registry
from pgaas.config.generations import write_generation
from pgaas.config.naming import Target
from pgaas.config.registry import (
    read_client,
    write_client,
    write_lost,
    write_primary,
    write_rebuilt,
)
from pgaas.config.resolve import resolve_client
from pgaas.errors import ConfigError, RefusedAsUnsafe, UsageError

FILE = CLIENTS.format("prod")
DC1, DC2 = "prod-ic1-dc1", "prod-ic1-dc2"


def changed(before: str, after: str) -> list[str]:
    rows = difflib.ndiff(before.splitlines(), after.splitlines())
    return [row for row in rows if row[:2] in ("+ ", "- ")]


def test_a_switchover_moves_the_primary_and_pins_the_origin_once(confs: Confs) -> None:
    before = confs.read(FILE)
    assert write_primary(confs.root, "ic1", "prod", "dc2") == confs.root / FILE
    after = confs.read(FILE)
    assert changed(before, after) == [
        "-     primaryDatacenter: dc1",
        "+     primaryDatacenter: dc2",
        "+     originDatacenter: dc1",
    ]
    write_primary(confs.root, "ic1", "prod", "dc1")
    assert changed(before, confs.read(FILE)) == ["+     originDatacenter: dc1"]
    assert resolve_client(confs.root, PROD).client.origin == "dc1"


def test_the_origin_that_is_written_stays(confs: Confs) -> None:
    confs.replace(FILE, "primaryDatacenter: dc1", "originDatacenter: dc2")
    write_primary(confs.root, "ic1", "prod", "dc2")
    client = resolve_client(confs.root, PROD).client
    assert (client.primary, client.origin_datacenter) == ("dc2", "dc2")


def test_a_promotion_by_force_marks_the_lost_side_in_the_same_write(confs: Confs) -> None:
    write_primary(confs.root, "ic1", "prod", "dc2", lost="dc1")
    client = resolve_client(confs.root, PROD).client
    assert (client.primary, client.lost_datacenters) == ("dc2", ["dc1"])
    with pytest.raises(RefusedAsUnsafe, match="dc1 is marked as lost") as refused:
        write_primary(confs.root, "ic1", "prod", "dc1")
    assert "pgaas rebuild --ins ic1 --env prod --dc dc1" in refused.value.next_step
    # And back by force, when the second is lost as well.
    write_primary(confs.root, "ic1", "prod", "dc1", lost="dc2")
    client = resolve_client(confs.root, PROD).client
    assert (client.primary, client.lost_datacenters) == ("dc1", ["dc2"])
    with pytest.raises(UsageError, match="both"):
        write_primary(confs.root, "ic1", "prod", "dc1", lost="dc1")


def test_a_rebuild_is_one_write_and_ends_the_loss(confs: Confs) -> None:
    write_primary(confs.root, "ic1", "prod", "dc2", lost="dc1")
    before = confs.read(FILE)
    write_rebuilt(confs.root, PROD, 2, "dc2")
    assert changed(before, confs.read(FILE)) == [
        "-     lostDatacenters: [dc1]",
        "+     archiveGenerations:",
        f"+       {DC1}: 2",
        "+     recoveredFrom:",
        f"+       {DC1}: dc2",
    ]
    write_rebuilt(confs.root, Target("ic1", "prod", "dc2"), 2, "dc1")
    write_rebuilt(confs.root, PROD, 3, "dc2")
    client = resolve_client(confs.root, PROD).client
    assert client.archive_generations == {DC1: 3, DC2: 2}
    assert client.recovered_from == {DC1: "dc2", DC2: "dc1"}
    assert client.lost_datacenters == []
    assert client.origin_datacenter == "dc1"


def test_a_rebuild_pins_the_origin_too(confs: Confs) -> None:
    write_rebuilt(confs.root, Target("ic1", "prod", "dc2"), 2, "dc1")
    assert read_client(confs.root, "ic1", "prod")["originDatacenter"] == "dc1"


def test_what_a_rebuild_refuses(confs: Confs) -> None:
    write_lost(confs.root, "ic1", "prod", "dc2", True)
    before = confs.read(FILE)
    with pytest.raises(UsageError, match="recovered from itself"):
        write_rebuilt(confs.root, PROD, 2, "dc1")
    with pytest.raises(UsageError, match="no datacenter 'dc3'"):
        write_rebuilt(confs.root, PROD, 2, "dc3")
    with pytest.raises(UsageError, match="no datacenter 'dc3'"):
        write_rebuilt(confs.root, Target("ic1", "prod", "dc3"), 2, "dc1")
    with pytest.raises(RefusedAsUnsafe, match="dc2 is marked as lost"):
        write_rebuilt(confs.root, PROD, 2, "dc2")
    with pytest.raises(ValueError, match="0"):
        write_rebuilt(confs.root, PROD, 0, "dc2")
    assert confs.read(FILE) == before


def test_a_mark_comes_and_goes_and_leaves_nothing(confs: Confs) -> None:
    before = confs.read(FILE)
    write_lost(confs.root, "ic1", "prod", "dc2", True)
    assert changed(before, confs.read(FILE)) == ["+     lostDatacenters: [dc2]"]
    write_lost(confs.root, "ic1", "prod", "dc2", False)
    assert confs.read(FILE) == before
    with pytest.raises(RefusedAsUnsafe, match="dc1 has the primary"):
        write_lost(confs.root, "ic1", "prod", "dc1", True)
    with pytest.raises(UsageError, match="did you mean dc2"):
        write_lost(confs.root, "ic1", "prod", "dc22", True)


def settled(confs: Confs) -> None:
    write_primary(confs.root, "ic1", "prod", "dc2", lost="dc1")
    write_generation(confs.root, PROD, 2)


@pytest.mark.parametrize(
    "write",
    [
        lambda root: write_primary(root, "ic1", "prod", "dc2"),
        lambda root: write_primary(root, "ic1", "prod", "dc2", lost="dc1"),
        lambda root: write_lost(root, "ic1", "prod", "dc1", True),
        lambda root: write_lost(root, "ic1", "prod", "dc2", False),
        lambda root: write_generation(root, PROD, 2),
        lambda root: write_client(root, PROD, {"recoveredFrom.prod-ic1-dc1": None, "allow": None}),
        lambda root: write_client(root, ("ic1", "prod"), {}),
    ],
)
def test_what_is_there_already_is_not_written_again(confs: Confs, write: Callable[[Path], Path]) -> None:
    settled(confs)
    before = (confs.root / FILE).stat()
    assert write(confs.root) == confs.root / FILE
    after = (confs.root / FILE).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_an_empty_list_is_not_tidied_up(confs: Confs) -> None:
    confs.replace(FILE, "primaryDatacenter: dc1", "lostDatacenters: []\n    originDatacenter: dc1")
    before = confs.read(FILE)
    write_lost(confs.root, "ic1", "prod", "dc1", False)
    assert confs.read(FILE) == before


def test_a_number_in_the_place_of_a_truth_value_is_a_change(confs: Confs) -> None:
    confs.replace(FILE, "    replication:", f"    archiveGenerations: {{{DC1}: true}}\n    replication:")
    write_generation(confs.root, PROD, 1)
    assert read_client(confs.root, "ic1", "prod")["archiveGenerations"][DC1] is not True


def test_the_files_mode_and_link_stay(confs: Confs, tmp_path: Path) -> None:
    file = confs.root / FILE
    real = tmp_path / "elsewhere" / "real.yaml"
    real.parent.mkdir()
    file.rename(real)
    real.chmod(0o640)
    file.symlink_to(real)
    assert write_primary(confs.root, "ic1", "prod", "dc2") == real
    assert file.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o640
    assert "primaryDatacenter: dc2" in real.read_text()
    assert list(real.parent.iterdir()) == [real]


@pytest.mark.parametrize("call", ["fsync", "fchmod", "replace"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_nothing_is_half_written(
    confs: Confs, monkeypatch: pytest.MonkeyPatch, call: str, error: BaseException
) -> None:
    file = confs.root / FILE
    before, names = file.read_bytes(), sorted(file.parent.iterdir())

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(Path if call == "replace" else os, call, fail)
    with pytest.raises((UsageError, KeyboardInterrupt)) as raised:
        write_primary(confs.root, "ic1", "prod", "dc2")
    assert file.read_bytes() == before
    assert sorted(file.parent.iterdir()) == names
    if isinstance(raised.value, UsageError):
        assert "No space left on device" in raised.value.what
        assert (
            f"in {FILE}, for ic1: write primaryDatacenter: dc2; write originDatacenter: dc1"
            in raised.value.next_step
        )
    else:
        assert isinstance(error, KeyboardInterrupt)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        # A value that another client refers to, and a client that is a reference.
        ("primaryDatacenter: dc1", "primaryDatacenter: &p dc1"),
        ("  ic1:\n", "  ic1: &ic1\n"),
        ("  ic1:\n", "  is2: &ic1\n"),
    ],
)
def test_references_are_left_to_a_person_with_the_lines_to_write(
    confs: Confs, before: str, after: str
) -> None:
    confs.replace(FILE, before, after)
    text = confs.read(FILE) + ("  is1:\n    primaryDatacenter: *p\n" if "&p" in after else "")
    text += "  is1: *ic1\n" if after == "  ic1: &ic1\n" else "  ic1: *ic1\n" if "is2" in after else ""
    confs.write(FILE, text)
    with pytest.raises(ConfigError) as refused:
        write_client(
            confs.root, PROD, {"primaryDatacenter": "dc2", f"recoveredFrom.{DC1}": "dc2", "replication": None}
        )
    (issue,) = refused.value.issues
    assert (issue.file, issue.path) == (FILE, "clients.ic1")
    assert confs.read(FILE).splitlines()[issue.line - 1].startswith("  ic1:")
    assert "change it by hand" in issue.message
    assert refused.value.next_step == (
        f"in {FILE}, for ic1: write primaryDatacenter: dc2; "
        f"write recoveredFrom: {{{DC1}: dc2}}; remove replication"
    )
    assert confs.read(FILE) == text


def test_a_person_is_asked_to_write_only_what_is_missing(
    confs: Confs, monkeypatch: pytest.MonkeyPatch
) -> None:
    confs.replace(FILE, "primaryDatacenter: dc1", "originDatacenter: dc1")
    monkeypatch.setattr(registry, "edit", lambda text, *_: text)
    with pytest.raises(ConfigError) as refused:
        write_primary(confs.root, "ic1", "prod", "dc2")
    assert refused.value.next_step == f"in {FILE}, for ic1: write primaryDatacenter: dc2"


def test_a_reference_elsewhere_is_no_obstacle(confs: Confs) -> None:
    confs.replace(FILE, "datacenters: [dc1, dc2]", "datacenters: &all [dc1, dc2]")
    confs.write(FILE, confs.read(FILE).replace("[monitoring]", "*all"))
    write_primary(confs.root, "ic1", "prod", "dc2")
    client = resolve_client(confs.root, PROD).client
    assert (client.primary, client.network_policy.allowed_namespaces) == ("dc2", ["dc1", "dc2"])


def test_an_edit_that_changed_anything_else_is_not_written(
    confs: Confs, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = confs.read(FILE)
    monkeypatch.setattr(registry, "edit", lambda text, *_: text.replace("XXL", "S"))
    with pytest.raises(ConfigError, match="1 error") as error:
        write_generation(confs.root, PROD, 2)
    assert "by hand" in str(error.value.issues[0])
    assert f"{DC1}: 2" in error.value.next_step
    assert confs.read(FILE) == before


@pytest.mark.parametrize(
    "changes", [{"primaryDatacentre": "dc2"}, {"datacenters": None}, {f"archiveGenerations.{DC1}": 0}]
)
def test_a_good_file_does_not_become_a_bad_one(confs: Confs, changes: dict[str, Any]) -> None:
    before = confs.read(FILE)
    with pytest.raises(ConfigError) as refused:
        write_client(confs.root, PROD, changes)
    assert next(iter(changes)) in str(refused.value.issues[0])
    assert confs.read(FILE) == before


def test_two_at_once_both_write(confs: Confs) -> None:
    targets = [Target("ic1", "local", dc) for dc in ("local1", "local2")]
    failed: list[BaseException] = []

    def write(target: Target) -> None:
        try:
            for generation in range(2, 12):
                write_generation(confs.root, target, generation)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=write, args=(target,)) for target in targets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    kept = resolve_client(confs.root, LOCAL).client.archive_generations
    assert dict(kept) == {"local-ic1-local1": 11, "local-ic1-local2": 11}


def test_bad_input(confs: Confs) -> None:
    for write in (
        lambda ins, env: write_client(confs.root, (ins, env), {"primaryDatacenter": "dc2"}),
        lambda ins, env: write_primary(confs.root, ins, env, "dc2"),
        lambda ins, env: write_lost(confs.root, ins, env, "dc2", True),
        lambda ins, env: read_client(confs.root, ins, env),
    ):
        with pytest.raises(UsageError, match="unknown client 'ic9'"):
            write("ic9", "prod")
        with pytest.raises(UsageError, match="hp is a group"):
            write("ic1", "hp")
    with pytest.raises(UsageError, match=r"'\.\./x' is not a code"):
        write_client(confs.root, ("ic1", "../x"), {})
    with pytest.raises(UsageError, match="no datacenter 'dc3'"):
        write_primary(confs.root, "ic1", "prod", "dc3")
    with pytest.raises(UsageError, match="no datacenter 'dc3'"):
        write_primary(confs.root, "ic1", "prod", "dc2", lost="dc3")
    confs.replace(FILE, "s3Bucket: ic1-prod-backups", "s3Bucket: B")
    with pytest.raises(ConfigError, match="1 error") as refused:
        write_primary(confs.root, "ic1", "prod", "dc2")
    assert "pgaas explain" in refused.value.next_step
    confs.write(FILE, "clients: [")
    with pytest.raises(ConfigError):
        write_primary(confs.root, "ic1", "prod", "dc2")
    (confs.root / FILE).unlink()
    with pytest.raises(ConfigError) as missing:
        write_primary(confs.root, "ic1", "prod", "dc2")
    assert "is missing" in str(missing.value.issues[0])
    (confs.root / FILE).parent.rename(confs.root / "confs/admin/gone")
    with pytest.raises(ConfigError):
        write_primary(confs.root, "ic1", "prod", "dc2")
