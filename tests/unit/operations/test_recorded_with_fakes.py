"""The commit that a release was deployed from outlives a deployment in which nobody names it."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from tests.unit.kube.fakes import FakeServer, failure, path_of
from tests.unit.operations.told import Told
from tests.unit.operations.two_sides import FIRST, ONE, TWO, TwoSides
from tests.unit.operations.worlds import NAME, SPACE, TARGET, World

from pgaas.config.users import Users, place_users
from pgaas.errors import RefusedAsUnsafe
from pgaas.kube.resources import SECRET
from pgaas.operations import diff_live
from pgaas.operations.create import Choices, create
from pgaas.operations.deploy import sync
from pgaas.operations.diff import Comparison, diff
from pgaas.operations.diff_select import Selection
from pgaas.operations.pair import load_pair, look
from pgaas.operations.preflight_switchover import switchover_checks
from pgaas.operations.progress import Silent
from pgaas.operations.subject import Subject
from pgaas.render.write import values_path, write_values

COMMIT = "c0ffee" * 6 + "abcd"
USER = "users/ic1/local/databases.yaml"


def deployed(server: FakeServer, values: dict[str, Any], name: str = NAME) -> None:
    """Leave Helm's record of a deployment from a commit of the clients' repository."""
    values["cluster"]["usersRevision"] = COMMIT
    content = {"manifest": "", "config": values, "info": {"status": "deployed"}}
    packed = base64.b64encode(gzip.compress(json.dumps(content).encode()))
    labels = {"owner": "helm", "name": name, "status": "deployed", "version": "1", "modifiedAt": "1"}
    metadata = {"name": f"sh.helm.release.v1.{name}.v1", "namespace": SPACE, "labels": labels}
    server.put(SECRET, {"metadata": metadata, "data": {"release": base64.b64encode(packed).decode()}})


@pytest.fixture
def recorded(world: World) -> World:
    """Give a world whose cluster was deployed from a commit, and whose confs say the same."""
    create(world.root, TARGET, Choices(timeout=5.0), Silent())
    deployed(world.server, world.subject.values.plain())
    world.commands.clear()
    return world


@pytest.fixture
def clone(recorded: World) -> Iterator[None]:
    """Have somebody name where the clients' files are: where they are by default, for one."""
    place_users(recorded.root, Users(recorded.root / "confs/users", "confs/users", "d" * 40))
    yield
    place_users(recorded.root, None)


def written(subject: Subject) -> str:
    values = yaml.safe_load(values_path(subject.root, subject.target).read_text())
    return str(values["cluster"]["usersRevision"])


def again(world: World) -> None:
    create(world.root, TARGET, Choices(timeout=5.0), Silent())


def synced(world: World) -> str:
    """Sync as a move of the primary does at its end, and return the commit in the values."""
    subject = world.subject
    write_values(subject.root, subject.target, subject.values)
    sync(subject, Silent())
    return written(subject)


def test_the_record_stays_as_long_as_it_is_true(recorded: World) -> None:
    again(recorded)
    assert written(recorded.subject) == COMMIT
    recorded.edit("admin/local/backup.yaml", "retentionPolicy: ", "retentionPolicy: 1")
    assert synced(recorded) == COMMIT


def test_what_nobody_deployed_from_is_not_deployed(recorded: World) -> None:
    recorded.edit(USER, "      - reporting_db\n", "")
    with pytest.raises(RefusedAsUnsafe, match="deployed from commit c0ffeec0ffee of the clients'") as refused:
        again(recorded)
    assert "cluster.pgHba" in str(refused.value)
    assert "--users" in str(refused.value.next_step)
    assert not any("sync" in argv for argv in recorded.commands)
    assert synced(recorded) == ""


@pytest.mark.usefixtures("clone")
def test_who_names_the_files_means_them(recorded: World) -> None:
    recorded.edit(USER, "      - reporting_db\n", "")
    again(recorded)
    assert written(recorded.subject) == "d" * 40


def test_a_record_that_can_not_be_read_holds_no_sync_up(recorded: World) -> None:
    refused = failure(403, "Forbidden", "secrets is forbidden")
    recorded.server.answers[f"GET {path_of(SECRET, SPACE)}"] = refused
    assert synced(recorded) == ""
    assert any("sync" in argv for argv in recorded.commands)


def test_a_review_tells_what_would_be_refused_and_not_what_stays(
    recorded: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(diff_live, "require_tools", lambda _: None)

    def looked() -> Any:
        found = diff(recorded.root, Selection(("ic1",), "local", "local1"), Comparison(), Silent())
        return found.targets[0]

    assert looked().values == ()
    recorded.edit(USER, "      - reporting_db\n", "")
    assert any("c0ffeec0ffee" in note for note in looked().notes)


@pytest.mark.parametrize(
    ("place", "value", "told"),
    [
        (("monitoring", "tls"), None, []),
        (("replication", "primary"), "local-ic1-local2", []),
        (("databases",), [], [("clients' files", "failed", "c0ffeec0ffee")]),
        (("dns", "ttl"), 9, [("pending changes", "warning", "dns.ttl (nothing); pgaas diff --ins ic1")]),
        (("cluster", "maxStopDelay"), 9, [("pending changes", "warning", "maxStopDelay (rolling restart)")]),
    ],
)
def test_a_switchover_tells_what_it_would_bring_along(
    sides: TwoSides, place: tuple[str, str], value: Any, told: list[tuple[str, str, str]]
) -> None:
    pair = look(load_pair(sides.root, "ic1", "local"))
    values = pair[ONE].subject.values.plain()
    part: Any = values
    for key in place[:-1]:
        part = part[key]
    if value is not None:
        part[place[-1]] = value
    deployed(sides.servers[ONE], values, FIRST)
    rows = [row for row in switchover_checks(pair, ONE, TWO, (), Told()) if row.state != "ok"]
    assert [(row.name, row.state) for row in rows] == [each[:2] for each in told]
    assert all(each[2] in row.detail for row, each in zip(rows, told, strict=True))
