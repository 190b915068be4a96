"""The name that each side keeps: the same from everywhere, to that side alone, whoever is the primary."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.lab.pair import DNS_SERVERS, Pair, Side
from tests.lab.support import wait_until
from tests.lab.writer import Failed, connect, resolver


def name_of(side: Side) -> str:
    return f"{side.dc}.ic1-local.pgaas.local"


def answers(side: Side) -> list[list[str]]:
    """Return what each datacenter's DNS says of a side's name."""
    return [resolver(name_of(side), [server])() for server in DNS_SERVERS]


def right(pair: Pair) -> bool:
    return all(answers(side) == [[side.address()]] * 2 for side in pair.sides.values())


def test_each_side_has_a_name_in_both_datacenters_that_no_switchover_moves(pair: Pair) -> None:
    wait_until("the names of both sides", lambda: right(pair))
    pair.move(pair.other(pair.primary()))
    assert right(pair)
    assert not [note for note in pair.status()["notes"] if "local1." in note or "local2." in note]


def test_a_side_vouches_for_its_own_name_and_for_no_other(pair: Pair) -> None:
    for side in pair.sides.values():
        login, other = pair.login(side), pair.other(side)
        connect(replace(login, host=name_of(side)).conninfo(side.address())).finish()
        with pytest.raises(Failed, match="certificate"):
            connect(replace(login, host=name_of(other)).conninfo(side.address()))


def test_a_name_that_was_lost_is_told_and_written_anew(pair: Pair) -> None:
    primary = pair.primary()
    side = pair.other(primary)
    record = ("-n", "kube-system", "delete", "endpointslice", f"pgaas-ic1-local-{side.dc}")
    primary.lab.kubectl(*record)
    try:
        wait_until("that it is told", lambda: any(name_of(side) in each for each in pair.status()["notes"]))
        # Nobody is worse off by it who writes.
        assert pair.pgaas("status", *pair.CLIENT).returncode == 0
    finally:
        mended = pair.pgaas("update-dns", *pair.CLIENT, "--to", primary.dc)
    assert mended.returncode == 0, mended.stderr
    wait_until("the names of both sides", lambda: right(pair))
    assert not [note for note in pair.status()["notes"] if name_of(side) in note]


@pytest.mark.long
def test_the_name_of_a_deleted_side_is_gone_and_comes_back_with_it(pair: Pair) -> None:
    primary = pair.primary()
    side = pair.other(primary)
    options = ("--skip-final-backup", "--confirm", side.cluster)
    deleted = pair.pgaas("delete", *side.target, *options)
    assert deleted.returncode == 0, deleted.stderr
    wait_until("the name to be gone", lambda: answers(side) == [[], []])
    assert answers(primary) == [[primary.address()]] * 2
    rebuilt = pair.pgaas("rebuild", *side.target, "--confirm", side.cluster)
    assert rebuilt.returncode == 0, rebuilt.stderr
    wait_until("the names of both sides", lambda: right(pair))
