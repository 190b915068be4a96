"""What is left to do after a promotion, part by part."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from tests.unit.kube.fakes import failure
from tests.unit.operations.operators import WAITING
from tests.unit.operations.told import Told
from tests.unit.operations.two_sides import FIRST, ONE, SECOND, TWO, TwoSides, writes_of_cluster

from pgaas.errors import KubernetesError, RefusedAsUnsafe, ToolFailed
from pgaas.kube.postgres import Position
from pgaas.kube.promotion import Topology, apply_topology, owners_of_primary
from pgaas.kube.resources import BACKUP, CONFIG_MAP, DATABASE, SECRET
from pgaas.operations.exclusive import Exclusive
from pgaas.operations.pair import Side, look, look_at
from pgaas.operations.progress import Silent
from pgaas.operations.settle import (
    apis_of,
    backup_done,
    databases_applied,
    following,
    new_backup,
    settle_release,
    write_through,
)
from pgaas.render.write import write_values

SPACE = "ic1-local"
NAME = "primary.ic1-local.pgaas.local"


class Right(Exclusive):
    """The right to act, or none."""

    def __init__(self, *, held: bool = True) -> None:
        super().__init__()
        self.held = held

    def check(self) -> None:
        """Raise without it."""
        if not self.held:
            raise RefusedAsUnsafe("the Lease is lost")


def settled(sides: TwoSides, *, held: bool = True) -> bool:
    subject = sides.subject(ONE)
    write_values(sides.root, subject.target, subject.values)
    return settle_release(subject, subject.api(), Right(held=held), Silent())


def taken(sides: TwoSides, primary: str = FIRST) -> None:
    """Let pgaas own local1's topology."""
    source = SECOND if primary == FIRST else primary
    apply_topology(sides.api("cluster1"), FIRST, SPACE, Topology(FIRST, primary, source))
    sides.journal.clear()


def test_what_helm_owns_alone_is_left_alone(sides: TwoSides) -> None:
    assert settled(sides) is False
    assert sides.journal == []


def test_helm_applies_first_and_only_then_pgaas_lets_go(sides: TwoSides) -> None:
    taken(sides)
    assert settled(sides) is True
    assert sides.journal == ["local1 helm sync", f"local1 PATCH {FIRST}"]
    assert owners_of_primary(sides.servers[ONE].cluster) == {"helm"}
    assert settled(sides) is False


def test_a_topology_that_confs_do_not_have_is_never_settled(sides: TwoSides) -> None:
    taken(sides, SECOND)
    with pytest.raises(KubernetesError) as caught:
        settled(sides)
    assert f"the live topology of {FIRST} is ('{FIRST}', '{SECOND}', '{SECOND}')" in caught.value.what
    assert caught.value.next_step == "pgaas status --ins ic1 --env local --dc local1"
    assert sides.journal == []


def test_without_the_right_helm_does_not_run(sides: TwoSides) -> None:
    taken(sides)
    with pytest.raises(RefusedAsUnsafe):
        settled(sides, held=False)
    assert sides.journal == []


def test_what_helm_did_not_take_over_stays_with_pgaas(
    sides: TwoSides, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken(sides, SECOND)
    taken(sides)
    monkeypatch.setattr(sides, "helm", lambda *_: None)
    with pytest.raises(KubernetesError, match="helm has not taken over the topology"):
        settled(sides)
    assert owners_of_primary(sides.servers[ONE].cluster) == {"pgaas"}


def test_a_helm_that_fails_keeps_pgaas_the_owner(sides: TwoSides) -> None:
    taken(sides)
    sides.syncs = False
    with pytest.raises(ToolFailed, match="helm failed in local1"):
        settled(sides)
    assert "pgaas" in owners_of_primary(sides.servers[ONE].cluster)


def test_a_cluster_that_is_gone_needs_no_settling(sides: TwoSides) -> None:
    del sides.servers[ONE].objects[sides.servers[ONE].path]
    assert settled(sides) is False


def side_of(sides: TwoSides, dc: str) -> Side:
    return look_at(sides.subject(dc))


def databases(sides: TwoSides, dc: str) -> list[Any]:
    return [each for path, each in sides.servers[dc].objects.items() if f"/{DATABASE.plural}/" in path]


def test_a_database_that_waits_for_a_primary_is_looked_at_again(sides: TwoSides) -> None:
    """CloudNativePG does not look by itself: its status must say that this generation was not seen."""
    for each in databases(sides, ONE):
        each["status"] = {"applied": False, "message": WAITING, "observedGeneration": 1}
    assert databases_applied(side_of(sides, ONE), timeout=5) == ""
    asked = [each for each in sides.servers[ONE].asked if each.method == "PATCH"]
    assert {each.path.rpartition("/")[2] for each in asked} == {"status"}
    assert {each.content_type for each in asked} == {"application/merge-patch+json"}
    assert [each.body for each in asked] == [{"status": {"observedGeneration": 0}}] * 2
    assert {each.query["fieldManager"] for each in asked} == {"pgaas"}


def test_a_database_that_cannot_be_made_is_named(sides: TwoSides) -> None:
    first, _ = databases(sides, ONE)
    first["status"] = {"applied": False, "message": "no such owner", "observedGeneration": 1}
    assert databases_applied(side_of(sides, ONE), timeout=0.01) == f"{FIRST}-app-db: no such owner"
    assert not [each for each in sides.servers[ONE].asked if each.method == "PATCH"]


def test_databases_of_others_are_not_waited_for(sides: TwoSides) -> None:
    first, _ = databases(sides, ONE)
    first["spec"]["cluster"]["name"] = "somebody-else"
    first["status"] = {"applied": False}
    assert databases_applied(side_of(sides, ONE), timeout=0.01) == ""


def backups(sides: TwoSides) -> list[str]:
    return [path.rpartition("/")[2] for path in sides.servers[ONE].objects if f"/{BACKUP.plural}/" in path]


def test_a_backup_of_the_present_timeline_is_enough(sides: TwoSides) -> None:
    assert new_backup(side_of(sides, ONE), progress=Silent()) == "first"
    assert backups(sides) == ["first"]


def test_a_new_timeline_gets_a_backup_of_the_primary_once(sides: TwoSides) -> None:
    sides.servers[ONE].postgres.timeline = 2
    sides.backups_complete = False
    name = new_backup(side_of(sides, ONE), progress=Silent())
    assert sides.journal == ["local1 CHECKPOINT", "local1 POST backups"]
    [asked] = [each for each in sides.servers[ONE].asked if each.method == "POST"]
    assert asked.body["spec"]["target"] == "primary"
    assert asked.body["metadata"]["labels"]["pgaas.io/purpose"] == "new-primary"
    assert new_backup(side_of(sides, ONE), progress=Silent()) == name
    sides.backups_complete = True
    sides.complete_backups(ONE)
    sides.servers[ONE].objects[next(p for p in sides.servers[ONE].objects if name in p)]["status"][
        "beginWal"
    ] = "000000020000000000000006"
    assert new_backup(side_of(sides, ONE), progress=Silent()) == name
    assert len(backups(sides)) == 2


def test_a_backup_that_failed_is_not_the_one(sides: TwoSides) -> None:
    sides.put(
        ONE,
        BACKUP,
        "second",
        spec={"cluster": {"name": FIRST}},
        status={"phase": "failed", "beginWal": "000000020000000000000006"},
    )
    sides.servers[ONE].postgres.timeline = 2
    assert new_backup(side_of(sides, ONE), progress=Silent()) not in ("first", "second", "")


def test_a_backup_that_cannot_be_asked_for_is_told(sides: TwoSides, told: Told) -> None:
    sides.servers[ONE].postgres.timeline = 2
    side = side_of(sides, ONE)
    sides.servers[ONE].answers[f"POST /apis/postgresql.cnpg.io/v1/namespaces/{SPACE}/backups"] = failure(
        403, "Forbidden", "no"
    )
    assert new_backup(side, progress=told) == ""
    assert f"note no base backup of {FIRST}: " in told.text


@pytest.mark.parametrize(
    ("status", "why"),
    [
        ({"phase": "completed"}, ""),
        ({"phase": "failed", "error": "no space"}, "failed: no space"),
        ({"phase": "running"}, "running after"),
    ],
)
def test_a_backup_is_followed_to_its_end(sides: TwoSides, status: dict[str, str], why: str) -> None:
    sides.put(ONE, BACKUP, "x", spec={"cluster": {"name": FIRST}}, status=status)
    found = backup_done(side_of(sides, ONE), "x", timeout=0.01, progress=Silent())
    assert found.startswith(why)
    assert bool(found) == bool(why)


HERE = Position(True, 2, "0/6000000", "7", None, "", None)
THERE = Position(False, 2, "0/7000000", "7", None, "", None, ((1, "0/5000100"),))
PAIRS: dict[str, tuple[Position | None, Position | None, bool, str]] = {
    "the same timeline": (HERE, THERE, True, "on timeline 2"),
    "beyond on the same timeline": (replace(HERE, lsn="0/9000000"), THERE, True, "on timeline 2"),
    "behind on the timeline before": (
        replace(HERE, timeline=1, lsn="0/5000000"), THERE, True, "still on timeline 1; timeline 2 begins"
    ),
    "at the very end of it": (replace(HERE, timeline=1, lsn="0/5000100"), THERE, True, "still on timeline 1"),
    "beyond the end of it": (
        replace(HERE, timeline=1, lsn="0/5000101"), THERE, False, "diverged: at 0/5000101 on timeline 1"
    ),
    "of a timeline of its own": (replace(HERE, timeline=3), THERE, False, "diverged: on timeline 3"),
    "of another system": (replace(HERE, system_id="8"), THERE, False, "of another system (8)"),
    "a primary itself": (replace(HERE, in_recovery=False), THERE, False, "takes writes itself"),
    "not to be asked": (None, THERE, False, "no instance yet"),
    "of an unknown primary": (HERE, None, False, "cannot be asked"),
}  # fmt: skip


@pytest.mark.parametrize("what", PAIRS)
def test_whether_a_replica_follows(sides: TwoSides, what: str) -> None:
    here, there, follows, detail = PAIRS[what]
    replica = replace(side_of(sides, TWO), position=here)
    primary = replace(side_of(sides, ONE), position=there, position_error="" if there else "down")
    found = following(replica, primary)
    assert found[0] is follows
    assert detail in found[1]


def test_an_unreachable_side_does_not_follow(sides: TwoSides) -> None:
    sides.down.add(TWO)
    ok, detail = following(side_of(sides, TWO), side_of(sides, ONE))
    assert not ok
    assert detail.startswith("unreachable: ")


def test_each_side_has_an_api_or_a_reason(sides: TwoSides) -> None:
    sides.down.add(TWO)
    found = apis_of(look({dc: sides.subject(dc) for dc in (ONE, TWO)}))
    assert found[ONE] is sides.api("cluster1")
    assert "cannot be reached" in str(found[TWO])


class Connection:
    """A connection to a server that takes writes, or does not."""

    def __init__(self, problem: str = "") -> None:
        self.problem = problem
        self.ran: list[str] = []
        self.open = True

    def execute(self, query: str) -> None:
        self.ran.append(query)
        if self.problem:
            raise psycopg.errors.ReadOnlySqlTransaction(self.problem)

    def commit(self) -> None:
        self.ran.append("commit")

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.open = False


@pytest.fixture
def credentials(sides: TwoSides) -> None:
    """Let the owner's certificate and the bundle be there."""
    data = {key: base64.b64encode(key.encode()).decode() for key in ("tls.crt", "tls.key")}
    sides.put(ONE, SECRET, f"{FIRST}-client-app-user", data=data)
    sides.put(ONE, CONFIG_MAP, f"{FIRST}-server-ca-bundle", data={"ca.crt": "roots"})


@pytest.mark.usefixtures("credentials")
def test_a_write_goes_through_the_name_as_an_application_s(
    sides: TwoSides, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, connection = [], Connection()

    def connect(**options: Any) -> Connection:
        for key in ("sslcert", "sslkey", "sslrootcert"):
            with open(options[key]) as file:  # noqa: PTH123
                opened.append(file.read())
        assert (options["host"], options["hostaddr"], options["sslmode"]) == (
            NAME,
            "192.0.2.1",
            "verify-full",
        )
        assert (options["dbname"], options["user"]) == ("app_db", "app_user")
        return connection

    monkeypatch.setattr(psycopg, "connect", connect)
    written = write_through(side_of(sides, ONE), NAME, ["192.0.2.1"])
    assert (written.tried, written.detail) == (True, "app_db at 192.0.2.1 as app_user")
    assert opened == ["tls.crt", "tls.key", "roots"]
    assert connection.ran == ["select pg_current_xact_id()", "commit"]
    assert not connection.open


@pytest.mark.usefixtures("credentials")
def test_a_name_that_leads_to_a_replica_is_an_error(sides: TwoSides, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        psycopg, "connect", lambda **_: Connection("cannot execute in a read-only transaction")
    )
    with pytest.raises(KubernetesError) as caught:
        write_through(side_of(sides, ONE), NAME, [])
    assert f"what {NAME} leads to takes no writes: cannot execute" in caught.value.what
    assert "pgaas update-dns --ins ic1 --env local" in caught.value.next_step


@pytest.mark.usefixtures("credentials")
def test_an_endpoint_out_of_reach_is_no_failure(sides: TwoSides, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: Any) -> None:
        raise psycopg.OperationalError("connection timeout\nexpired")

    monkeypatch.setattr(psycopg, "connect", refuse)
    written = write_through(side_of(sides, ONE), NAME, [])
    assert not written.tried
    assert written.detail == f"{NAME} could not be reached from here: connection timeout expired"


def test_a_certificate_that_may_not_be_read_is_no_failure(sides: TwoSides) -> None:
    written = write_through(side_of(sides, ONE), NAME, [])
    assert not written.tried
    assert written.detail.startswith("the certificate of app_user cannot be read")


def test_settling_touches_no_other_cluster(sides: TwoSides) -> None:
    taken(sides)
    settled(sides)
    assert writes_of_cluster(sides.servers[TWO]) == []
