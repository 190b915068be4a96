"""Look, before a primary is moved, at all that the move and the time after it need."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from pgaas.errors import NotHealthy, PgaasError, RefusedAsUnsafe
from pgaas.kube.client import FIELD_MANAGER
from pgaas.kube.promotion import owners_of_primary, promotion_failed
from pgaas.operations import status_parts
from pgaas.operations.dns import primary_record
from pgaas.operations.health import expected_of, judge
from pgaas.operations.pair import Pair, Side
from pgaas.operations.preflight_standby import standby_settings
from pgaas.operations.progress import Progress
from pgaas.operations.recorded import brought_along
from pgaas.operations.rows import Row
from pgaas.operations.settle import apis_of, following
from pgaas.operations.trust import look_at_trust

SKIPPABLE = ("dns", "trust", "certificates", "base backup")
Check = Callable[[], Iterable[Row]]


def switchover_checks(
    pair: Pair, old: str, new: str, skipped: Iterable[str], progress: Progress
) -> list[Row]:
    """Return the rows of every check for moving the primary from one side to another."""
    left_out = set(skipped)
    checks: dict[str, Check] = {
        "configuration": lambda: [_confs(pair, old, new), *_brought_along(pair)],
        f"health of {old}": lambda: _health(pair[old], "base backup" in left_out),
        f"health of {new}": lambda: _health(pair[new], "base backup" in left_out),
        "following": lambda: [_following(pair[new], pair[old])],
        "certificates": lambda: _certificates(pair),
        "standby settings": lambda: [_settings(pair[old], pair[new])],
        "trust": lambda: _trust(pair),
        "dns": lambda: [_dns(pair)],
    }
    running = {name: check for name, check in checks.items() if name not in left_out}
    with ThreadPoolExecutor(max(len(running), 1)) as pool:
        found = dict(zip(running, pool.map(_guarded, running, running.values()), strict=True))
    rows = [row for name in checks for row in found.get(name, [Row(name, "skipped", "as asked", "")])]
    for row in rows:
        if row.state == "warning":
            progress.note(f"{row.name}: {row.detail}")
    return rows


def _guarded(name: str, check: Check) -> list[Row]:
    try:
        return list(check())
    except PgaasError as error:
        return [Row(name, "failed", error.what, error.next_step, type(error))]


def _confs(pair: Pair, old: str, new: str) -> Row:
    subject = pair[old].subject
    client = subject.resolved.client
    file = f"confs/admin/{subject.resolved.team_env}/clients.yaml"
    if client.primary != old:
        return Row(
            "configuration",
            "failed",
            f"{file} says that {client.primary} is the primary, but {old} is",
            _unfinished(pair[old])
            or f"bring the file up to date (git pull), or set primaryDatacenter: {old} for "
            f"{subject.target.ins}",
            RefusedAsUnsafe,
        )
    if new in client.lost_datacenters:
        return Row(
            "configuration",
            "failed",
            f"{new} is marked as lost: its data is older than what {old} has",
            pair[new].subject.command("rebuild"),
            RefusedAsUnsafe,
        )
    if not os.access(subject.root / file, os.W_OK):
        return Row(
            "configuration",
            "failed",
            f"{file} cannot be written",
            "the move is written to it",
            RefusedAsUnsafe,
        )
    return Row("configuration", "ok", f"{file} says that {old} is the primary")


def _brought_along(pair: Pair) -> Iterator[Row]:
    """Return what the sync at the end of the move would apply beside it, on each side."""
    for side in pair.sides.values():
        if side.api is not None and not side.error:
            yield from brought_along(side.subject, side.api)


def _health(side: Side, without_backup: bool) -> Iterator[Row]:
    name = f"health of {side.dc}"
    if side.snapshot is None or side.cluster is None:
        yield Row(name, "failed", f"{side.name} is not created", side.subject.command("create"), NotHealthy)
        return
    seen = judge(side.snapshot, expected_of(side.subject))
    missing = [item for item in seen.missing if not (without_backup and item.name == "base backup")]
    reasons = [f"{item.name}: {item.detail}" for item in missing]
    if fatal := promotion_failed(side.cluster):
        reasons.append(fatal)
    if side.position is None:
        reasons.append(side.position_error or "it has no instance")
    if reasons:
        next_step = _unfinished(side) or side.subject.command("status")
        yield Row(name, "failed", "; ".join(reasons), next_step, NotHealthy)
        return
    yield Row(name, "ok", f"{side.role}, {len(seen.items)} of {len(seen.items)} there")


def _unfinished(side: Side) -> str:
    """Return what finishes the move that made a side the primary, or an empty string if nothing is left."""
    if not side.is_primary or FIELD_MANAGER not in owners_of_primary(side.cluster or {}):
        return ""
    target = side.subject.target
    again = f"pgaas switchover --ins {target.ins} --env {target.env} --to {side.dc}"
    return f"the move to {side.dc} is not finished; this does it: {again}"


def _following(replica: Side, primary: Side) -> Row:
    ok, detail = following(replica, primary)
    return Row(
        "following",
        "ok" if ok else "failed",
        f"{replica.dc}: {detail}",
        f"if it stays so, it has diverged: {replica.subject.command('rebuild')}",
        NotHealthy,
    )


def _certificates(pair: Pair) -> Iterator[Row]:
    now = datetime.now(UTC)
    for side in pair.sides.values():
        if side.snapshot is None:
            continue
        for each in status_parts.certificates(side.snapshot, now):
            if each.days_left < 1:
                yield Row(
                    "certificates",
                    "failed",
                    f"{each.name} in {side.dc} ends at {each.not_after or 'no time known'}",
                    "see why cert-manager does not renew it: kubectl describe certificate "
                    f"{each.name} -n {side.subject.namespace}",
                    NotHealthy,
                )
    yield Row("certificates", "ok", "all last for a day at least")


def _settings(old: Side, new: Side) -> Row:
    return standby_settings(old.subject.values.cluster.parameters, new.cluster, False)


def _trust(pair: Pair) -> Iterator[Row]:
    subjects = {dc: side.subject for dc, side in pair.sides.items()}
    target = next(iter(subjects.values())).target
    for dc, state in look_at_trust(subjects, apis_of(pair)).items():
        if state.error:
            yield Row("trust", "warning", f"{dc} could not be looked at: {state.error}", "")
        elif state.stale:
            yield Row(
                "trust",
                "failed",
                f"{dc}: {state.detail}: clients of the other side would be refused here",
                f"pgaas trust sync --ins {target.ins} --env {target.env}",
                NotHealthy,
            )
        else:
            yield Row("trust", "ok", f"{dc}: {state.detail}")


def _dns(pair: Pair) -> Row:
    subjects = {dc: side.subject for dc, side in pair.sides.items()}
    return primary_record(subjects, {dc: side.api for dc, side in pair.sides.items()}).check()
