"""Where a move stands, found out from what is live: at each point of it, and with what earlier ones left."""

from __future__ import annotations

import pytest
from tests.unit.operations.operators import FENCED, token
from tests.unit.operations.told import Told
from tests.unit.operations.two_sides import FIRST, ONE, SECOND, TWO, TwoSides

from pgaas.errors import KubernetesError, NotHealthy, RefusedAsUnsafe, UsageError
from pgaas.kube.promotion import Topology, apply_topology
from pgaas.operations.pair import Pair, datacenter_named, load_pair, look
from pgaas.operations.situation import Stage, last_primary, refuse_split, situation
from pgaas.operations.switchover import Choices, switchover

SPACE = "ic1-local"


def seen(sides: TwoSides) -> Pair:
    return look({dc: sides.subject(dc) for dc in (ONE, TWO)})


def stage(sides: TwoSides, dc: str) -> tuple[Stage, str]:
    found = situation(seen(sides), dc)
    return found.stage, found.source.dc if found.source else ""


def asleep(sides: TwoSides, *, awake: bool = False) -> None:
    for server in sides.servers.values():
        server.pace.asleep = not awake


def point(sides: TwoSides, dc: str, primary: str, given: str = "") -> None:
    """Apply a topology, as the step does."""
    server = sides.servers[dc]
    source = (SECOND if dc == ONE else FIRST) if primary == server.name else primary
    api = sides.api("cluster1" if dc == ONE else "cluster2")
    apply_topology(api, server.name, SPACE, Topology(server.name, primary, source), token=given)


def demote(sides: TwoSides, dc: str, primary: str) -> str:
    """Demote a side wholly, and return its token."""
    point(sides, dc, primary)
    sides.time_passes()
    return sides.servers[dc].tokens[-1]


def switch(sides: TwoSides, to: str) -> None:
    switchover(sides.root, "ic1", "local", to, Choices(timeout=5), Told())


def test_at_rest(sides: TwoSides) -> None:
    assert stage(sides, ONE) == (Stage.PRIMARY, "")
    assert stage(sides, TWO) == (Stage.PRIMARY_ELSEWHERE, ONE)


def test_a_demotion_that_the_operator_has_not_seen_yet(sides: TwoSides) -> None:
    asleep(sides)
    point(sides, ONE, SECOND)
    for to in (ONE, TWO):
        assert stage(sides, to) == (Stage.DEMOTED, ONE)


def test_a_demotion_at_each_look_of_the_operator(sides: TwoSides) -> None:
    point(sides, ONE, SECOND)
    for _ in range(10):
        for to in (ONE, TWO):
            assert stage(sides, to) == (Stage.DEMOTED, ONE)


def test_a_promotion_that_was_asked_for(sides: TwoSides) -> None:
    given = demote(sides, ONE, SECOND)
    sides.servers[TWO].pace.never_promotes = True
    point(sides, TWO, SECOND, given)
    assert stage(sides, TWO) == (Stage.PROMOTING, "")
    assert stage(sides, ONE) == (Stage.PRIMARY_ELSEWHERE, TWO)
    sides.servers[TWO].pace.never_promotes = False
    sides.time_passes()
    assert stage(sides, TWO) == (Stage.PRIMARY, "")
    assert stage(sides, ONE) == (Stage.PRIMARY_ELSEWHERE, TWO)


@pytest.mark.parametrize("rounds", [1, 2, 3, 4])
@pytest.mark.parametrize("to", [ONE, TWO])
def test_after_full_rounds_with_their_tokens_lying_around(sides: TwoSides, rounds: int, to: str) -> None:
    for number in range(rounds):
        switch(sides, (TWO, ONE)[number % 2])
    old, new = (ONE, TWO) if rounds % 2 == 0 else (TWO, ONE)
    stale = sides.servers[new].cluster["status"]["demotionToken"]
    assert stale
    given = demote(sides, old, sides.servers[new].name)
    assert stage(sides, to) == (Stage.DEMOTED, old)
    assert last_primary(seen(sides)).dc == old
    # The side to go to has the token of its own last end, and no lastPromotionToken says that it is used.
    assert given != stale
    assert not sides.servers[old].cluster["status"]["lastPromotionToken"]


def test_a_used_token_of_a_side_that_has_moved_on_tells_nothing(sides: TwoSides) -> None:
    """The other side was promoted with it, and is not seen as the primary: it was demoted by hand, say."""
    switch(sides, TWO)
    asleep(sides)
    sides.servers[TWO].postgres.recovering = True
    sides.servers[TWO].cluster["spec"]["replica"]["primary"] = FIRST
    with pytest.raises(NotHealthy) as caught:
        situation(seen(sides), ONE)
    assert (
        "nothing tells which was the last (local1: replica, local2: replica; 1 with a token"
        in caught.value.what
    )
    assert sides.servers[ONE].tokens[0] not in f"{caught.value!r} {caught.value.next_step}"


def test_no_primary_and_no_token(sides: TwoSides) -> None:
    asleep(sides)
    sides.servers[ONE].postgres.recovering = True
    sides.servers[ONE].cluster["spec"]["replica"]["primary"] = SECOND
    with pytest.raises(NotHealthy, match="no side is the primary") as caught:
        situation(seen(sides), TWO)
    assert caught.value.exit_code == 9
    assert "pgaas promote" in caught.value.next_step


def test_a_fenced_demotion_has_no_token_yet(sides: TwoSides) -> None:
    demote(sides, ONE, SECOND)
    asleep(sides)
    sides.servers[ONE].cluster["metadata"].setdefault("annotations", {})[FENCED] = '["*"]'
    with pytest.raises(NotHealthy):
        last_primary(seen(sides))


def test_a_side_that_still_takes_writes_was_the_last_one(sides: TwoSides) -> None:
    switch(sides, TWO)
    asleep(sides)
    point(sides, TWO, FIRST)
    assert last_primary(seen(sides)).dc == TWO


def test_two_demotions_at_once_tell_nothing(sides: TwoSides) -> None:
    asleep(sides)
    for server in sides.servers.values():
        server.cluster["status"]["switchReplicaClusterStatus"] = {"inProgress": True}
        server.cluster["spec"]["replica"]["primary"] = "somebody"
    with pytest.raises(NotHealthy, match="2 in a demotion"):
        last_primary(seen(sides))


def test_two_primaries_are_refused_from_either_side(sides: TwoSides) -> None:
    asleep(sides)
    sides.servers[TWO].cluster["spec"]["replica"]["primary"] = SECOND
    for to in (ONE, TWO):
        with pytest.raises(RefusedAsUnsafe) as caught:
            situation(seen(sides), to)
        error = caught.value
        assert error.exit_code == 8
        assert error.what.startswith(f"TWO PRIMARIES: {FIRST} and {SECOND}")
        assert error.where == "local1: context cluster1, local2: context cluster2"
        assert "pgaas fence" in error.next_step
    refuse_split(Pair({ONE: seen(sides)[ONE]}))


def test_a_side_that_cannot_be_reached_is_a_value(sides: TwoSides) -> None:
    sides.down.add(TWO)
    pair = seen(sides)
    far = pair[TWO]
    assert (far.reachable, far.role, far.cluster, far.is_primary, far.writable) == (
        False, "unreachable", None, False, False
    )  # fmt: skip
    assert "connection refused" in far.error
    assert stage(sides, ONE) == (Stage.PRIMARY, "")
    assert situation(pair, TWO).stage is Stage.PRIMARY_ELSEWHERE
    with pytest.raises(KubernetesError, match="local2 cannot be reached"):
        far.reached()


def test_a_side_whose_instance_cannot_be_asked_is_no_writer(sides: TwoSides) -> None:
    sides.mute.add(ONE)
    side = seen(sides)[ONE]
    assert (side.role, side.writable, side.position) == ("primary", False, None)
    assert "was refused" in side.position_error
    assert stage(sides, ONE) == (Stage.PROMOTING, "")


def test_a_side_without_a_cluster_is_absent(sides: TwoSides) -> None:
    server = sides.servers[TWO]
    del server.objects[server.path]
    pair = seen(sides)
    assert (pair[TWO].role, pair[TWO].reachable, pair[TWO].instance) == ("absent", True, "")
    assert pair.by_name(FIRST) is pair[ONE]
    assert pair.by_name("nobody") is None


def test_no_token_shows_in_what_was_seen(sides: TwoSides) -> None:
    text = demote(sides, ONE, SECOND)
    pair = seen(sides)
    assert pair[ONE].cluster is not None
    assert text in str(pair[ONE].cluster)
    assert text not in repr(pair)
    assert text not in repr(situation(pair, TWO))


@pytest.mark.parametrize("named", [TWO, SECOND])
def test_a_side_is_named_by_its_datacenter_or_its_cluster(sides: TwoSides, named: str) -> None:
    assert datacenter_named(load_pair(sides.root, "ic1", "local"), named) == TWO


def test_another_name_is_refused_with_those_that_there_are(sides: TwoSides) -> None:
    with pytest.raises(UsageError) as caught:
        datacenter_named(load_pair(sides.root, "ic1", "local"), "local3")
    assert caught.value.next_step == f"local1 ({FIRST}), local2 ({SECOND})"


def test_a_client_that_does_not_replicate_is_no_pair(sides: TwoSides) -> None:
    sides.edit("admin/local/clients.yaml", "enabled: true", "enabled: false")
    with pytest.raises(UsageError) as caught:
        load_pair(sides.root, "ic1", "local")
    assert "replication: {enabled: true}" in caught.value.next_step


def test_the_latest_of_two_tokens_counts(sides: TwoSides) -> None:
    switch(sides, TWO)
    newest = demote(sides, TWO, FIRST)
    asleep(sides)
    assert last_primary(seen(sides)).dc == TWO
    for server, text in ((sides.servers[ONE], newest), (sides.servers[TWO], token(1, 9))):
        server.cluster["status"]["demotionToken"] = text
    assert last_primary(seen(sides)).dc == ONE


def test_a_side_that_goes_down_between_two_questions_is_seen_as_it_is_now(sides: TwoSides) -> None:
    """The Cluster of a moment ago did not say that its demotion had begun."""
    sides.servers[ONE].pace.stale = 2
    point(sides, ONE, SECOND)
    server, seen_at = sides.servers[ONE], []

    def position() -> None:
        seen_at.append(server.cluster["status"].get("switchReplicaClusterStatus"))
        server.tick()
        server.tick()

    server.position = position  # type: ignore[method-assign]
    assert stage(sides, TWO) == (Stage.DEMOTED, ONE)
    assert seen_at == [None]
