"""A side that must take no writes: hibernated once it can be reached, and never the only primary."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.operations.told import Told
from tests.unit.operations.two_sides import (
    CLIENTS,
    FIRST,
    ONE,
    SECOND,
    TWO,
    TwoSides,
    writes_of_cluster,
)

from pgaas.errors import KubernetesError, RefusedAsUnsafe, TimedOut
from pgaas.kube.promotion import HIBERNATION, LOST_SIDE, MARKER, mark
from pgaas.kube.resources import CLUSTER, dig
from pgaas.operations import fence as operation
from pgaas.operations.fence import Fenced, fence, fence_what_is_lost, is_marked
from pgaas.operations.pair import Pair, look


def fenced(sides: TwoSides, dc: str = ONE, told: Told | None = None, *, wait: float = 0.0) -> Fenced:
    return fence(sides.root, "ic1", "local", dc, wait_for_return=wait, progress=told or Told())


def seen(sides: TwoSides) -> Pair:
    return look({dc: sides.subject(dc) for dc in (ONE, TWO)})


def marked_by_confs(sides: TwoSides) -> None:
    path = sides.root / CLIENTS
    text = path.read_text().replace("primaryDatacenter: local1", "primaryDatacenter: local2")
    path.write_text(text.replace("    s3Bucket", "    lostDatacenters: [local1]\n    s3Bucket"))


def marked_by_the_survivor(sides: TwoSides, lost: str = ONE) -> None:
    mark(sides.api("cluster2"), sides.servers[TWO].cluster, {LOST_SIDE: lost})
    sides.servers[TWO].asked.clear()
    sides.journal.clear()


def notes(sides: TwoSides, dc: str) -> Any:
    return dig(sides.servers[dc].cluster, "metadata", "annotations", default={})


def test_the_only_primary_is_not_fenced(sides: TwoSides) -> None:
    for down in ([], [TWO]):
        sides.down = set(down)
        with pytest.raises(RefusedAsUnsafe) as caught:
            fenced(sides)
        assert "is the only primary that can be seen" in caught.value.what
        assert caught.value.next_step.endswith("pgaas promote --ins ic1 --env local --dc local2")
    assert notes(sides, ONE) == {}


@pytest.mark.parametrize("named", [ONE, FIRST])
def test_a_lost_side_is_hibernated_with_one_write(sides: TwoSides, named: str) -> None:
    marked_by_confs(sides)
    done = fenced(sides, named)
    assert (done.cluster, done.datacenter, done.was_there) == (FIRST, ONE, True)
    [(manager, body)] = writes_of_cluster(sides.servers[ONE])
    assert manager == MARKER
    assert body == {
        "apiVersion": CLUSTER.api_version,
        "kind": "Cluster",
        "metadata": {"name": FIRST, "namespace": "ic1-local", "annotations": {HIBERNATION: "on"}},
    }
    assert not [path for path in sides.servers[ONE].objects if "/pods/" in path]
    assert seen(sides)[ONE].fenced
    assert not seen(sides)[ONE].is_primary


def test_of_two_primaries_either_may_be_fenced(sides: TwoSides) -> None:
    sides.servers[TWO].postgres.recovering = False
    sides.servers[TWO].cluster["spec"]["replica"]["primary"] = SECOND
    fenced(sides, TWO)
    assert notes(sides, TWO) == {HIBERNATION: "on"}
    assert sides.primary() == ONE


def test_a_replica_may_be_fenced(sides: TwoSides) -> None:
    fenced(sides, TWO)
    assert notes(sides, TWO) == {HIBERNATION: "on"}


def test_fenced_twice_it_is_as_before(sides: TwoSides) -> None:
    marked_by_confs(sides)
    fenced(sides)
    fenced(sides)
    assert notes(sides, ONE) == {HIBERNATION: "on"}


def test_what_is_not_there_needs_no_fence(sides: TwoSides) -> None:
    del sides.servers[ONE].objects[sides.servers[ONE].path]
    assert not fenced(sides).was_there


def test_a_side_that_is_away_cannot_be_fenced(sides: TwoSides) -> None:
    sides.down.add(ONE)
    with pytest.raises(KubernetesError):
        fenced(sides)


def test_a_side_that_comes_back_is_fenced(
    sides: TwoSides, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    marked_by_confs(sides)
    sides.down.add(ONE)
    monkeypatch.setattr(told, "detail", lambda _: sides.down.clear())
    assert fenced(sides, told=told, wait=30).was_there
    assert "finished back after" in told.text


def test_a_side_that_does_not_come_back_times_out(sides: TwoSides) -> None:
    marked_by_confs(sides)
    sides.down.add(ONE)
    with pytest.raises(TimedOut) as caught:
        fenced(sides, wait=0.01)
    assert "until then it is not fenced" in caught.value.next_step


def test_pods_that_stay_are_told(sides: TwoSides, monkeypatch: pytest.MonkeyPatch) -> None:
    marked_by_confs(sides)
    monkeypatch.setattr(operation, "GONE_SECONDS", 0.01)
    sides.servers[ONE].pace.asleep = True
    with pytest.raises(TimedOut, match="is hibernated, but 1 left of its pods"):
        fenced(sides)
    assert not seen(sides)[ONE].fenced
    assert seen(sides)[ONE].is_primary


def test_a_mark_is_in_confs_or_on_the_survivor(sides: TwoSides) -> None:
    assert not is_marked(seen(sides), ONE)
    marked_by_the_survivor(sides, "local3,local1")
    assert is_marked(seen(sides), ONE)
    assert not is_marked(seen(sides), TWO)
    marked_by_the_survivor(sides, "local10")
    assert not is_marked(seen(sides), ONE)
    marked_by_confs(sides)
    assert is_marked(seen(sides), ONE)


def test_what_is_lost_is_fenced_once_it_is_back(sides: TwoSides, told: Told) -> None:
    marked_by_the_survivor(sides)
    sides.down.add(ONE)
    assert fence_what_is_lost(seen(sides), told) == []
    sides.down.clear()
    assert fence_what_is_lost(seen(sides), told) == [ONE]
    assert "fence local1, which was lost and is back" in told.text
    assert fence_what_is_lost(seen(sides), told) == []
    assert len(writes_of_cluster(sides.servers[ONE])) == 1
