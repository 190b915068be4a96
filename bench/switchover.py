"""`pgaas switchover` beside the bare sequence of two patches: seconds without a write, as a client sees it.

    uv run pgaas-lab up && uv run python bench/switchover.py

Both move the primary of the same pair, in turn and in both directions, while a client writes a row every
20 ms and reconnects whenever it must. With pgaas the client goes by the DNS name. The bare sequence moves no
name: there the client tries both sides in turn, as if DNS took no time.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from measure import spread

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.lab.conftest import PGAAS_LAB, copy_root  # noqa: E402
from tests.lab.pair import CLUSTERS, DNS_SERVERS, PRIMARY_NAME, Pair, Side, clean, create_both  # noqa: E402
from tests.lab.support import NAMESPACE, Lab, Pgaas, lab_environment, wait_until  # noqa: E402
from tests.lab.writer import Resolve, Writer, judge, resolver, rows_of, writing  # noqa: E402

from pgaas.config.registry import write_primary  # noqa: E402

SETTLED_ROWS = 100
PATIENCE = 180.0


def patch(side: Side, replica: dict[str, Any]) -> None:
    """Send one merge patch of a Cluster's replica stanza."""
    body = json.dumps({"spec": {"replica": replica}})
    side.lab.kubectl("-n", NAMESPACE, "patch", CLUSTERS, side.cluster, "--type=merge", "-p", body)


def until(what: str, probe: Callable[[], Any]) -> Any:
    """Ask without a pause until the answer is true: kubectl's own start is pause enough."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if found := probe():
            return found
    sys.exit(f"not within {PATIENCE:.0f} s: {what}")


def demoted(side: Side, before: str) -> str:
    """Return the token of a demotion that is complete; the one of the round before does not count."""
    status = side.live()["status"]
    conditions = {each["type"]: each["status"] for each in status.get("conditions", [])}
    token = str(status.get("demotionToken", ""))
    return token if conditions.get("ReplicaClusterSwitch") == "True" and token != before else ""


def promoted(side: Side, token: str) -> bool:
    """Return whether a Cluster has taken the token and its PostgreSQL takes writes."""
    live = side.live()["status"]
    return live.get("lastPromotionToken") == token and side.sql("select pg_is_in_recovery()") == "f"


def bare(old: Side, new: Side) -> None:
    """Move the primary by two merge patches, waiting for what each of them brings."""
    before = str(old.live()["status"].get("demotionToken", ""))
    patch(old, {"primary": new.cluster, "promotionToken": None})
    token = until("the token", lambda: demoted(old, before))
    patch(new, {"primary": new.cluster, "promotionToken": token})
    until("the promotion", lambda: promoted(new, token))


def settle(pair: Pair, primary: Side) -> None:
    """Put confs, name, releases and backup right after a bare move, and wait until both sides are well."""
    write_primary(pair.pgaas.root, "ic1", "local", primary.dc)
    for side in pair.sides.values():
        run(pair, "create", *side.target)
    run(pair, "switchover", *pair.CLIENT, "--to", primary.dc)
    wait_until("a healthy pair", lambda: pair.status()["healthy"], timeout=PATIENCE)


def run(pair: Pair, *words: str) -> str:
    """Run pgaas; a command that fails ends the benchmark."""
    done = pair.pgaas(*words)
    if done.returncode:
        sys.exit(f"pgaas {' '.join(words)}: exit {done.returncode}\n{done.stderr}")
    return done.stdout


def in_turn(pair: Pair) -> Resolve:
    """Return what names both sides' addresses, each of them first every second time."""
    addresses = [side.address() for side in pair.sides.values()]
    orders = itertools.cycle([addresses, addresses[::-1]])
    return lambda: next(orders)


@contextmanager
def client(pair: Pair, resolve: Resolve) -> Iterator[Writer]:
    """Keep a client writing, and see at the end that it has lost nothing."""
    pair.new_table()
    writer = Writer(pair.login(), resolve)
    with writing(writer):
        wait_until("a steady client", lambda: len(writer.acknowledged) >= SETTLED_ROWS)
        yield writer
        ended = time.monotonic()
        wait_until("the next row", lambda: writer.written_after(ended), timeout=60)
    verdict = judge(writer, rows_of(writer.login, pair.primary().address()))
    if verdict.lost or verdict.doubled:
        sys.exit(f"lost {verdict.lost}, doubled {verdict.doubled}")


def outage(pair: Pair, move: Callable[[Side, Side], None], resolve: Resolve) -> float:
    """Return the longest time between two acknowledged writes while the primary moves to the other side."""
    old = pair.primary()
    with client(pair, resolve) as writer:
        move(old, pair.other(old))
    return writer.gap()


def main() -> None:
    """Print each round, then medians and spread."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root, files = Path(folder) / "root", Path(folder) / "files"
        for each in (root, files):
            each.mkdir()
        pair = Pair(Pgaas(Lab(lab_environment(PGAAS_LAB)), copy_root(root)), files)
        clean(pair)
        create_both(pair)
        measure(pair, chosen.rounds)
        clean(pair)


def measure(pair: Pair, rounds: int) -> None:
    """Move the primary both ways in each round; who begins alternates, and so do the directions."""
    by_name, both = resolver(PRIMARY_NAME, DNS_SERVERS), in_turn(pair)
    samples: list[tuple[float, float, float]] = []
    for number in range(1, rounds + 1):
        told = bare_seconds = pgaas_seconds = 0.0

        def by_pgaas(_: Side, new: Side) -> None:
            nonlocal told
            told = json.loads(run(pair, "switchover", *pair.CLIENT, "--to", new.dc, "-o", "json"))["seconds"]

        for kind in ("bare", "pgaas") if number % 2 else ("pgaas", "bare"):
            if kind == "bare":
                bare_seconds = outage(pair, bare, both)
                settle(pair, pair.primary())
            else:
                pgaas_seconds = outage(pair, by_pgaas, by_name)
                wait_until("a healthy pair", lambda: pair.status()["healthy"], timeout=PATIENCE)
        samples.append((pgaas_seconds, bare_seconds, told))
        print(
            f"round {number}: pgaas {pgaas_seconds:.1f} s, bare {bare_seconds:.1f} s,"
            f" {pgaas_seconds / bare_seconds:.2f}; {told:.0f} s in all",
            flush=True,
        )
    print(f"pgaas switchover, seconds without a write: {spread([ours for ours, _, _ in samples])}")
    print(f"two bare patches, seconds without a write: {spread([theirs for _, theirs, _ in samples])}")
    print(f"ratio: {spread([ours / theirs for ours, theirs, _ in samples])} (goal: at most 0.5)")
    print(f"pgaas switchover to its end: {spread([told for _, _, told in samples])}")


if __name__ == "__main__":
    main()
