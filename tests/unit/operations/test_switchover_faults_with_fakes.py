"""A switchover that is interrupted, refused, or has something fail beneath it; and what it never says."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from tests.unit.kube.fakes import failure, path_of
from tests.unit.kube.leases import OTHER
from tests.unit.operations.told import Told
from tests.unit.operations.two_sides import FIRST, ONE, SECOND, TWO, TwoSides, writes_of_cluster

from pgaas.errors import KubernetesError, NotHealthy, PgaasError, RefusedAsUnsafe, TimedOut, UsageError
from pgaas.kube.promotion import owners_of_primary
from pgaas.kube.resources import LEASE
from pgaas.operations.demote import demote
from pgaas.operations.exclusive import Exclusive
from pgaas.operations.progress import Silent
from pgaas.operations.promote import plan_promotion, promote
from pgaas.operations.switchover import Choices, SwitchedOver, switchover

QUICK = Choices(timeout=5.0)
AGAIN = "pgaas switchover --ins ic1 --env local --to local2"
LEASE_PATH = path_of(LEASE, "ic1-local", "pgaas-ic1-local")


def switch(
    sides: TwoSides, to: str = TWO, told: Told | None = None, choices: Choices = QUICK
) -> SwitchedOver:
    return switchover(sides.root, "ic1", "local", to, choices, told or Told())


def moves(sides: TwoSides) -> int:
    return sum(len(writes_of_cluster(server)) for server in sides.servers.values())


def shown(error: BaseException, told: Told) -> str:
    """Return all that a person may see of an error, its causes included."""
    parts = [told.text]
    seen: BaseException | None = error
    while seen is not None:
        parts += [
            repr(seen),
            str(seen),
            *(str(getattr(seen, name, "")) for name in ("what", "where", "next_step")),
        ]
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
    return "\n".join(parts)


def hidden(sides: TwoSides, text: str) -> None:
    """Assert that no token is in a text."""
    for server in sides.servers.values():
        for token in server.tokens:
            assert token not in text


@pytest.mark.parametrize("step", range(1, 23))
def test_interrupted_after_any_step_it_names_the_command(sides: TwoSides, told: Told, step: int) -> None:
    due = threading.Event()

    def interrupt(_: str) -> None:
        if len(sides.journal) == step:
            due.set()
        if due.is_set() and threading.current_thread() is threading.main_thread():
            due.clear()
            raise KeyboardInterrupt

    sides.on_step = interrupt
    # The Leases come first, and are given back last: nothing of the move is under way then.
    if step in (1, 2, 21, 22):
        with pytest.raises(KeyboardInterrupt):
            switch(sides, told=told)
    else:
        with pytest.raises(KeyboardInterrupt, match=AGAIN) as caught:
            switch(sides, told=told)
        hidden(sides, shown(caught.value, told))
    sides.on_step = lambda _: None
    switch(sides)
    assert sides.primary() == TWO
    assert sides.wrong == []


def test_the_right_is_asked_for_ahead_of_each_write_of_a_cluster(
    sides: TwoSides, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lost at any moment, no more is written to either Cluster, and helm does not run."""
    asked: list[int] = []
    monkeypatch.setattr(Exclusive, "check", lambda _: asked.append(len(sides.journal)))
    switch(sides)
    written = [
        number
        for number, step in enumerate(sides.journal)
        if step.endswith("helm sync") or step.endswith((f"PATCH {FIRST}", f"PATCH {SECOND}"))
    ]
    releases = {number for number in written if sides.journal[number - 1].endswith("helm sync")}
    for number in written:
        # A release follows its sync at once, and changes no value.
        assert number in asked or number in releases
    assert len(releases) == 2


@pytest.mark.parametrize("left", range(5))
def test_a_right_that_is_lost_ends_it_and_another_run_goes_on(
    sides: TwoSides, monkeypatch: pytest.MonkeyPatch, left: int
) -> None:
    asked: list[int] = []

    def check(_: Exclusive) -> None:
        asked.append(moves(sides))
        if len(asked) > left:
            raise RefusedAsUnsafe("the Lease is lost")

    with monkeypatch.context() as patched:
        patched.setattr(Exclusive, "check", check)
        with pytest.raises(PgaasError, match="the Lease is lost"):
            switch(sides)
    # What came after the loss was no write of a topology.
    topologies = [
        body for server in sides.servers.values() for _, body in writes_of_cluster(server) if "spec" in body
    ]
    assert len(topologies) <= max(left - 1, 0)
    switch(sides)
    assert sides.primary() == TWO
    assert sides.wrong == []


def test_somebody_else_at_work_on_either_side_is_not_disturbed(sides: TwoSides) -> None:
    for dc in (ONE, TWO):
        server = sides.servers[dc]
        metadata = {"name": "pgaas-ic1-local", "namespace": "ic1-local", "annotations": OTHER.annotations}
        spec = {
            "holderIdentity": OTHER.identity,
            "leaseDurationSeconds": 60,
            "renewTime": "2999-01-01T00:00:00Z",
        }
        server.put(LEASE, {"metadata": metadata, "spec": spec | {"leaseDurationSeconds": 10**9}})
        with pytest.raises(RefusedAsUnsafe, match="another command is at work here"):
            switch(sides)
        del server.objects[LEASE_PATH]
    assert moves(sides) == 0
    switch(sides)


def test_a_dry_run_says_what_it_would_do_and_does_nothing(sides: TwoSides) -> None:
    before = (sides.root / "confs/admin/local/clients.yaml").read_text()
    done = switch(sides, choices=Choices(dry_run=True))
    assert done.plan[:3] == (
        "have local2 apply all that local1 has written until now",
        f"demote {FIRST}: writes stop",
        f"promote {SECOND} with the token: writes go on",
    )
    assert {row.state for row in done.checks} == {"ok"}
    assert sides.journal == []
    assert (sides.root / "confs/admin/local/clients.yaml").read_text() == before


def test_a_dry_run_in_the_middle_knows_where_it_is(sides: TwoSides) -> None:
    demote(sides.root, "ic1", "local", ONE, TWO, timeout=5, progress=Silent())
    done = switch(sides, choices=Choices(dry_run=True))
    assert done.plan[0] == f"take the token of {FIRST}, which is demoted or about to be"
    assert done.checks == ()
    back = switch(sides, ONE, choices=Choices(dry_run=True))
    assert (back.old, back.new) == (FIRST, FIRST)
    promote(plan_promotion(sides.root, "ic1", "local", TWO, None), timeout=5, progress=Silent())
    assert switch(sides, choices=Choices(dry_run=True)).stage == "it is the primary"


def test_only_some_checks_may_be_left_out(sides: TwoSides) -> None:
    with pytest.raises(UsageError) as caught:
        switch(sides, choices=Choices(skip_checks=("following", "dns")))
    assert "no check following that may be left out" in caught.value.what
    assert "dns, trust, certificates, base backup" in caught.value.next_step
    assert sides.journal == []


def test_two_primaries_are_refused_with_exit_code_8(sides: TwoSides) -> None:
    sides.servers[TWO].pace.asleep = True
    sides.servers[TWO].cluster["spec"]["replica"]["primary"] = SECOND
    with pytest.raises(RefusedAsUnsafe, match="TWO PRIMARIES") as caught:
        switch(sides)
    assert caught.value.exit_code == 8
    assert moves(sides) == 0


@pytest.mark.parametrize("dc", [ONE, TWO])
def test_both_sides_must_be_reachable(sides: TwoSides, dc: str) -> None:
    sides.down.add(dc)
    with pytest.raises(KubernetesError, match=f"{dc} cannot be reached"):
        switch(sides)
    sides.down.clear()
    assert moves(sides) == 0


@pytest.mark.parametrize("dc", [ONE, TWO])
@pytest.mark.parametrize("after", [f"PATCH {FIRST}", f"PATCH {SECOND}", "clients.yaml"])
def test_a_side_that_goes_away_in_the_middle(sides: TwoSides, told: Told, dc: str, after: str) -> None:
    def away(what: str) -> None:
        if what.endswith(after):
            sides.down.add(dc)

    sides.on_step = away
    with pytest.raises(PgaasError) as caught:
        switch(sides, told=told, choices=Choices(timeout=0.1))
    assert caught.value.exit_code in (6, 7, 9)
    assert caught.value.next_step
    hidden(sides, shown(caught.value, told))
    assert sides.wrong == []
    sides.on_step = lambda _: None
    sides.down.clear()
    sides.next_life()
    switch(sides)
    assert sides.primary() == TWO
    assert sides.wrong == []


def asleep(dc: str) -> Callable[[TwoSides], None]:
    return lambda sides: setattr(sides.servers[dc].pace, "asleep", True)


STUCK: dict[str, tuple[Callable[[TwoSides], None], Callable[[TwoSides], None], type[PgaasError]]] = {
    "the operator of the old side is down": (
        asleep(ONE), lambda sides: setattr(sides.servers[ONE].pace, "asleep", False), TimedOut
    ),
    "the operator of the new side is down": (
        asleep(TWO), lambda sides: setattr(sides.servers[TWO].pace, "asleep", False), TimedOut
    ),
    "the new side does not promote": (
        lambda sides: setattr(sides.servers[TWO].pace, "never_promotes", True),
        lambda sides: setattr(sides.servers[TWO].pace, "never_promotes", False),
        TimedOut,
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", STUCK)
def test_a_step_that_does_not_end_times_out_with_what_to_do(sides: TwoSides, told: Told, what: str) -> None:
    break_it, mend, kind = STUCK[what]
    sides.on_step = lambda step: break_it(sides) if step.endswith("select pg_switch_wal()") else None
    with pytest.raises(kind) as caught:
        switch(sides, told=told, choices=Choices(timeout=0.1))
    assert caught.value.exit_code == 7
    assert "run the same command again" in caught.value.next_step
    assert "pgaas status" in caught.value.next_step
    hidden(sides, shown(caught.value, told))
    sides.on_step = lambda _: None
    mend(sides)
    switch(sides)
    assert sides.primary() == TWO
    assert sides.wrong == []


def test_the_change_of_mind_while_the_new_side_does_not_promote(sides: TwoSides) -> None:
    sides.servers[TWO].pace.never_promotes = True
    with pytest.raises(TimedOut):
        switch(sides, choices=Choices(timeout=0.1))
    with pytest.raises(PgaasError) as caught:
        switch(sides, ONE)
    # A promotion that was asked for may be done at any moment: it is not overtaken.
    assert AGAIN in f"{caught.value.what} {caught.value.next_step}"
    assert sides.wrong == []


def test_what_an_admission_webhook_refuses_is_told_without_the_token(sides: TwoSides, told: Told) -> None:
    server = sides.servers[TWO]

    def refuse(request: httpx2.Request) -> httpx2.Response:
        body = request.content.decode()
        said = f'admission webhook "vcluster.cnpg.io" denied the request: Invalid value: {body}: no'
        return failure(422, "Invalid", said)

    server.answers[f"PATCH {server.path}"] = refuse
    with pytest.raises(KubernetesError, match="refused by the CloudNativePG operator") as caught:
        switch(sides, told=told)
    assert sides.servers[ONE].tokens
    hidden(sides, shown(caught.value, told))
    server.answers.clear()
    switch(sides)


def test_no_token_is_ever_shown(sides: TwoSides, told: Told, caplog: Any, capsys: Any) -> None:
    with caplog.at_level(logging.DEBUG):
        done = switch(sides, told=told)
    written = capsys.readouterr()
    hidden(sides, f"{done!r} {told.text} {caplog.text} {written.out} {written.err} {sides.journal}")
    for path in (sides.root / "confs").rglob("*.yaml"):
        hidden(sides, path.read_text())
    assert sides.servers[ONE].tokens


def test_confs_that_say_otherwise_are_never_applied(sides: TwoSides) -> None:
    """Somebody reverts clients.yaml in the middle: helm is not run with the old primary."""

    def revert(what: str) -> None:
        if what == "clients.yaml":
            sides.edit("admin/local/clients.yaml", "primaryDatacenter: local2", "primaryDatacenter: local1")

    sides.on_step = revert
    with pytest.raises(NotHealthy, match="the live topology of local-ic1-local1 is"):
        switch(sides)
    assert not [step for step in sides.journal if step.endswith("helm sync")]
    assert sides.primary() == TWO
    assert owners_of_primary(sides.servers[TWO].cluster) == {"pgaas"}
    sides.on_step = lambda _: None
    switch(sides)
    assert owners_of_primary(sides.servers[TWO].cluster) == {"helm"}
