"""What a move needs fails in the middle of it; once that is mended, the same command ends the move."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from tests.lab.outage import api_server_stopped, dns_refused, scaled_to_nothing
from tests.lab.pair import Pair, Side, begins, running
from tests.lab.support import wait_until

Fault = Callable[[Pair, Side, Side], AbstractContextManager[None]]

FAULTS: dict[str, Fault] = {
    "API server of the old side": lambda pair, old, new: api_server_stopped(old.lab),
    "API server of the new side": lambda pair, old, new: api_server_stopped(new.lab),
    "S3": lambda pair, old, new: scaled_to_nothing(pair.sides["local1"].lab, "local-infra", "seaweedfs-s3"),
    "operator of the old side": lambda pair, old, new: scaled_to_nothing(
        old.lab, "cnpg-system", "cnpg-controller-manager"
    ),
    "operator of the new side": lambda pair, old, new: scaled_to_nothing(
        new.lab, "cnpg-system", "cnpg-controller-manager"
    ),
    "DNS": lambda pair, old, new: dns_refused(old.lab, new.lab),
}


@pytest.mark.long
@pytest.mark.parametrize("name", FAULTS)
def test_a_move_survives_a_fault_in_its_middle(pair: Pair, name: str) -> None:
    old = pair.primary()
    new = pair.other(old)
    command = ("switchover", *pair.CLIENT, "--to", new.dc, "--timeout", "40s")
    with pair.witness(), pair.writer() as writer:
        with running(pair.pgaas, *command) as run:
            assert run.wait_for(begins("demote")), run.said
            with FAULTS[name](pair, old, new):
                code = run.end(patience=300)
        print(f"{name}: exit {code}: {run.lines[-1] if run.lines else ''}")
        assert "Traceback" not in run.said
        if code:
            assert "next:" in run.said
            again = pair.pgaas("switchover", *pair.CLIENT, "--to", new.dc)
            assert again.returncode == 0, again.stderr
        last = max(writer.acknowledged.values())
        wait_until("the next row", lambda: writer.written_after(last), timeout=60)
    assert pair.primary() == new
    assert pair.confs_primary() == new.dc
    wait_until("both sides to be healthy", lambda: pair.status()["healthy"])
    verdict = pair.verdict(writer)
    print(f"{name}: {writer.gap():.1f} s between two writes")
    assert (verdict.lost, verdict.doubled) == ([], [])
