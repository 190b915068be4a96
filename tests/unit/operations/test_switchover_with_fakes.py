"""A switchover from its first look to its last write, between two sides in memory; and killed everywhere."""

from __future__ import annotations

import pytest
from tests.unit.operations.told import Told
from tests.unit.operations.two_sides import (
    FIRST,
    ONE,
    SECOND,
    TWO,
    Killed,
    TwoSides,
    replica_of,
    writes_of_cluster,
)

from pgaas.errors import PgaasError
from pgaas.kube.promotion import owners_of_primary
from pgaas.kube.resources import CLUSTER
from pgaas.operations import exclusive
from pgaas.operations.demote import demote
from pgaas.operations.progress import Silent
from pgaas.operations.promote import plan_promotion, promote
from pgaas.operations.switchover import Choices, SwitchedOver, switchover

QUICK = Choices(timeout=5.0)
AGAIN = "pgaas switchover --ins ic1 --env local --to local2"
STANZA = {"self", "primary", "source"}


def switch(sides: TwoSides, to: str, told: Told | None = None, choices: Choices = QUICK) -> SwitchedOver:
    return switchover(sides.root, "ic1", "local", to, choices, told or Told())


def settled(sides: TwoSides, dc: str) -> None:
    """Assert that a switchover to a side is over, with nothing left to do."""
    other = ONE if dc == TWO else TWO
    name = sides.servers[dc].name
    assert sides.wrong == []
    assert sides.primary() == dc
    assert sides.name_leads_to == dc
    assert sides.clients()["primaryDatacenter"] == dc
    assert sides.servers[dc].postgres.rows == tuple(sides.acknowledged)
    for server in sides.servers.values():
        assert server.replica["primary"] == name
        assert owners_of_primary(server.cluster) == {"helm"}
        assert "promotionToken" not in server.replica
        assert not server.cluster["metadata"].get("annotations")
    assert sides.servers[other].position()
    assert sides.servers[other].postgres.timeline == sides.servers[dc].postgres.timeline


def test_it_moves_the_primary_and_leaves_helm_the_only_owner(sides: TwoSides, told: Told) -> None:
    sides.write("a")
    done = switch(sides, SECOND, told)
    settled(sides, TWO)
    assert (done.old, done.new) == (FIRST, SECOND)
    assert done.outage is not None
    assert done.finished is not None
    assert done.finished.addresses == ("192.0.2.2",)
    assert [row.state for row in done.checks] == ["ok"] * len(done.checks)
    steps = [step.name for step in done.steps]
    wanted = ("preflight", "catch up local2", "demote local1", "promote local2", "write down the primary")
    order = [steps.index(each) for each in wanted]
    assert order == sorted(order)
    assert replica_of(sides.servers[ONE]) == {"self": FIRST, "primary": SECOND, "source": SECOND}
    assert replica_of(sides.servers[TWO]) == {"self": SECOND, "primary": SECOND, "source": FIRST}


def test_each_write_of_a_cluster_is_told_apart_and_in_order(sides: TwoSides) -> None:
    """The manager, force and the body of each apply: architecture rule 10."""
    switch(sides, TWO)
    meta = {"namespace": "ic1-local"}
    identity = {"apiVersion": CLUSTER.api_version, "kind": "Cluster"}
    [token] = sides.servers[ONE].tokens
    wanted = {
        ONE: (FIRST, {"self": FIRST, "primary": SECOND, "source": SECOND}),
        TWO: (SECOND, {"self": SECOND, "primary": SECOND, "source": FIRST, "promotionToken": token}),
    }
    for dc, (name, stanza) in wanted.items():
        named = {**identity, "metadata": {"name": name, **meta}}
        asked = [
            each for each in sides.servers[dc].asked if each.method == "PATCH" and each.path.endswith(name)
        ]
        assert [each.body for each in asked] == [{**named, "spec": {"replica": stanza}}, named]
        assert [each.query.get("force") for each in asked] == ["true", None]
        assert {each.query["fieldManager"] for each in asked} == {"pgaas"}
        assert {each.content_type for each in asked} == {"application/apply-patch+yaml"}


def test_no_row_is_lost_that_is_written_up_to_the_last_moment(sides: TwoSides) -> None:
    def write(what: str) -> None:
        sides.write(what)

    sides.on_step = write
    switch(sides, TWO)
    settled(sides, TWO)
    assert len(sides.acknowledged) > 10


def test_ten_rounds_with_the_tokens_of_all_rounds_lying_around(sides: TwoSides) -> None:
    for number in range(10):
        sides.write(f"row {number}")
        to = (TWO, ONE)[number % 2]
        switch(sides, to)
        settled(sides, to)
        sides.journal.clear()
    assert sides.servers[ONE].postgres.timeline == 11


def test_done_already_it_changes_nothing(sides: TwoSides) -> None:
    switch(sides, TWO)
    before = {dc: len(writes_of_cluster(server)) for dc, server in sides.servers.items()}
    backups = sum("POST backups" in step for step in sides.journal)
    done = switch(sides, TWO)
    assert {dc: len(writes_of_cluster(server)) for dc, server in sides.servers.items()} == before
    assert sum("POST backups" in step for step in sides.journal) == backups == 1
    assert done.outage is None
    settled(sides, TWO)


def count_steps(sides: TwoSides) -> int:
    switch(sides, TWO)
    return len(sides.journal)


def refusal(sides: TwoSides, to: str) -> PgaasError | None:
    """Return what a switchover is refused with, if it is."""
    try:
        switch(sides, to)
    except PgaasError as error:
        return error
    return None


STEPS = range(1, 23)
DEMOTION = 6
SOME_STEPS = range(1, 23, 3)


def killed_at(sides: TwoSides, step: int, to: str = TWO, *, later: bool = False) -> str:
    """Kill a switchover after a step, and return which that was; `later` lets the operators go on alone."""
    sides.write("before")
    sides.last_step = step
    with pytest.raises(Killed):
        switch(sides, to)
    last = sides.journal[-1]
    sides.next_life()
    if later:
        sides.time_passes()
    assert exclusive._HELD == {}
    return last


def test_there_is_a_test_for_each_step(sides: TwoSides) -> None:
    assert count_steps(sides) == len(STEPS)


@pytest.mark.parametrize("step", STEPS)
def test_killed_after_any_step_and_run_again_it_ends_well(sides: TwoSides, step: int) -> None:
    killed_at(sides, step)
    switch(sides, TWO)
    settled(sides, TWO)


@pytest.mark.parametrize(
    ("step", "later"), [*((step, True) for step in STEPS), *((step, False) for step in SOME_STEPS)]
)
def test_killed_after_any_step_of_the_second_round(sides: TwoSides, step: int, later: bool) -> None:
    """The side to go to holds the used token of its own demotion, and no lastPromotionToken tells of it."""
    switch(sides, TWO)
    sides.next_life()
    killed_at(sides, step, ONE, later=later)
    switch(sides, ONE)
    settled(sides, ONE)


@pytest.mark.parametrize("step", STEPS)
def test_killed_after_any_step_and_gone_on_in_the_other_direction(sides: TwoSides, step: int) -> None:
    killed_at(sides, step)
    if refused := refusal(sides, ONE):
        # The move is to be finished first, and the error says how.
        assert AGAIN in refused.next_step + refused.what
        switch(sides, TWO)
        settled(sides, TWO)
        switch(sides, ONE)
    settled(sides, ONE)


def test_turning_back_while_the_old_side_is_on_its_way_down(sides: TwoSides) -> None:
    """Its PostgreSQL cannot be asked when the command begins, and is a replica when its token is there."""
    sides.servers[ONE].pace.demotion = 20
    assert killed_at(sides, DEMOTION) == f"local1 PATCH {FIRST}"
    for _ in range(4):
        sides.servers[ONE].tick()
    assert not sides.servers[ONE].postgres.up
    switch(sides, ONE)
    settled(sides, ONE)


@pytest.mark.parametrize("step", STEPS)
def test_killed_after_any_step_and_gone_on_by_hand(sides: TwoSides, step: int) -> None:
    killed_at(sides, step)
    demoting = sides.servers[ONE].replica["primary"] == FIRST or sides.servers[TWO].postgres.recovering
    if demoting and not sides.servers[TWO].claims:
        token = demote(sides.root, "ic1", "local", ONE, TWO, timeout=5, progress=Silent()).token.text
        plan = plan_promotion(sides.root, "ic1", "local", TWO, token)
    else:
        plan = plan_promotion(sides.root, "ic1", "local", TWO, None)
    assert not plan.forced
    promote(plan, timeout=5, progress=Silent())
    settled(sides, TWO)


@pytest.mark.parametrize("first", SOME_STEPS)
def test_killed_twice(sides: TwoSides, first: int) -> None:
    killed_at(sides, first)
    for second in (3, 6):
        sides.last_step = second
        try:
            switch(sides, TWO)
        except Killed:
            sides.next_life()
    sides.last_step = None
    switch(sides, TWO)
    settled(sides, TWO)
