"""Judge a pair: what is not as it must be, what cannot wait, and which commands help."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from pgaas.kube.promotion import LOST_SIDE
from pgaas.kube.resources import dig
from pgaas.kube.snapshot import server_name
from pgaas.operations.fence import is_marked
from pgaas.operations.pair import Pair, Side
from pgaas.operations.preflight_replica import YOUNG
from pgaas.operations.settle import following
from pgaas.operations.status_pair_parts import Parts, holder

FENCED = "fenced"
TWO_PRIMARIES = "TWO PRIMARIES"
# Said by `unchanged_identity` for one side: for a pair it is said once, below.
PRIMARY_DRIFT = "primary: "


@dataclass
class Verdict:
    """What is wrong with a pair; `loud` comes first in `problems`. Healthy is a pair without problems."""

    primary: Side | None
    two_primaries: bool
    lost_live: list[str]
    loud: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)
    next_steps: list[str] = field(default_factory=list)

    def add(self, problem: str, *next_steps: str) -> None:
        """Add a problem and the commands that help; each is said once."""
        self.problems += [] if problem in self.problems else [problem]
        self.next_steps += [step for step in next_steps if step not in self.next_steps]

    def shout(self, problem: str, *next_steps: str) -> None:
        """Add a problem that cannot wait."""
        self.loud.append(problem)
        self.add(problem, *next_steps)

    def differ(self, problem: str, *next_steps: str) -> None:
        """Add a problem that is a difference between confs and what is live."""
        self.differences.append(problem)
        self.add(problem, *next_steps)


def verdict(parts: Parts) -> Verdict:
    """Judge everything that was found out."""
    pair = parts.pair
    primaries = pair.primaries
    writing = [side for side in pair.sides.values() if side.writable]
    two = len(primaries) > 1 or len(writing) > 1
    found = Verdict(primaries[0] if len(primaries) == 1 and not two else None, two, _marks(pair))
    _shout(found, parts, list({side.dc: side for side in [*primaries, *writing]}.values()))
    for side in pair.sides.values():
        _judge_side(found, parts, side)
    _judge_primary(found, pair)
    _judge_confs(found, pair)
    _judge_dns(found, parts)
    _judge_trust(found, parts)
    _judge_archives(found, parts)
    return found


def _shout(found: Verdict, parts: Parts, writers: list[Side]) -> None:
    pair = parts.pair
    if found.two_primaries:
        names = " and ".join(side.name for side in writers)
        goes = next((side for side in writers if is_marked(pair, side.dc)), None) or next(
            (side for side in writers if side.dc != side.subject.resolved.client.primary), writers[-1]
        )
        stays = next(side for side in writers if side.dc != goes.dc)
        why = (
            f"{goes.dc} was given up: fence it"
            if is_marked(pair, goes.dc)
            else f"stop the applications and decide which one stays; if that is {stays.dc}, as confs say"
            if stays.dc == stays.subject.resolved.client.primary
            else f"stop the applications and decide which one stays; if that is {stays.dc}"
        )
        found.shout(
            f"{TWO_PRIMARIES}: {names} both take writes, or are to; what is written to one is not on the "
            "other",
            f"{why}: {goes.subject.command('fence')}",
            f"then, as what only {goes.dc} has is lost with it: {goes.subject.command('rebuild')}",
        )
    for side in pair.sides.values():
        if not is_marked(pair, side.dc) or side.cluster is None or side.fenced:
            continue
        if _is_rebuilt(found, parts, side):
            found.add(
                f"{side.dc} is still marked as lost: its rebuild is not finished",
                side.subject.command("rebuild"),
            )
        else:
            found.shout(
                f"LOST SIDE IS BACK: {side.name} was given up by a promotion without a token, and is not "
                "fenced",
                side.subject.command("fence"),
                side.subject.command("rebuild"),
            )


def _is_rebuilt(found: Verdict, parts: Parts, side: Side) -> bool:
    """Return whether a marked side is a new cluster that follows the survivor, or is about to."""
    if found.primary is None or side.is_primary or side.named_primary != found.primary.name:
        return False
    held = [holder(lease, parts.now) for part in parts.leases.values() for lease in part.value or []]
    at_work = any(each and each[0].verb == "rebuild" and not each[1] for each in held)
    return at_work or following(side, found.primary)[0]


def _judge_side(found: Verdict, parts: Parts, side: Side) -> None:
    marked = is_marked(parts.pair, side.dc)
    if side.error:
        lost = ", and is marked as lost: fence it when it returns" if marked else ""
        found.add(
            f"{side.dc} cannot be reached: {side.error}{lost}",
            *([f"{side.subject.command('fence')} --wait-for-return 24h"] if marked else []),
        )
        return
    if side.cluster is None:
        found.add(f"{side.dc}: not created", side.subject.command("rebuild" if marked else "create"))
        return
    if side.fenced:
        why = ", as it was lost" if marked else ""
        found.add(f"{side.dc} is fenced{why}: it has no instances", side.subject.command("rebuild"))
        return
    health = parts.health[side.dc]
    if health.value is None:
        found.add(f"{side.dc}: its health is not known: {health.error}")
        return
    for problem in health.value.problems:
        if not problem.startswith(PRIMARY_DRIFT):
            found.add(f"{side.dc}: {problem}", side.subject.command("status"))
    found.notes += [f"{side.dc}: {note}" for note in health.value.notes if not note.startswith("archive: ")]


def _judge_primary(found: Verdict, pair: Pair) -> None:
    primary = found.primary
    some = next(iter(pair.sides.values())).subject.target
    if primary is None:
        if found.two_primaries:
            return
        unseen = [side.dc for side in pair.sides.values() if side.error]
        if unseen:
            seen = [side for side in pair.sides.values() if side.cluster and not side.fenced]
            found.add(
                f"no primary can be seen: it may be in {' or '.join(unseen)}",
                *(f"if it stays away: {side.subject.command('promote')}" for side in seen[:1]),
            )
        elif any(side.cluster and not side.fenced for side in pair.sides.values()):
            found.add(
                "no side is the primary: a move is under way, or was interrupted",
                f"if no command is at work: pgaas switchover --ins {some.ins} --env {some.env} --to DC",
            )
        return
    if primary.position is None:
        reason = primary.position_error or "it has no instance yet"
        found.add(f"{primary.dc}: nobody knows whether the primary takes writes: {reason}")
    elif primary.position.in_recovery:
        found.add(f"{primary.dc}: the primary takes no writes: its PostgreSQL is still in recovery")
    for side in pair.others(primary.dc):
        if not side.cluster or side.fenced or side.is_primary:
            continue
        if side.named_primary != primary.name:
            found.add(f"{side.dc}: follows {side.named_primary}, the primary is {primary.name}")
        follows, detail = following(side, primary)
        if not follows:
            apart = detail.startswith(("diverged", "of another system"))
            found.add(
                f"{side.dc}: does not follow {primary.dc}: {detail}",
                *([side.subject.command("rebuild")] if apart else []),
            )


def _judge_confs(found: Verdict, pair: Pair) -> None:
    some = next(iter(pair.sides.values())).subject
    client, file = some.resolved.client, f"confs/admin/{some.resolved.team_env}/clients.yaml"
    if found.primary and found.primary.dc != client.primary:
        found.differ(
            f"confs say that {client.primary} is the primary, live it is {found.primary.dc}",
            f"git pull, or set primaryDatacenter: {found.primary.dc} for {some.target.ins} in {file}",
        )
    seen = any(side.cluster for side in pair.sides.values())
    if seen and sorted(client.lost_datacenters) != found.lost_live:
        found.differ(
            f"marked as lost by confs: {', '.join(client.lost_datacenters) or 'none'}; by the live clusters: "
            f"{', '.join(found.lost_live) or 'none'}",
            f"git pull, or correct lostDatacenters of {some.target.ins} in {file}",
        )
    for side in pair.sides.values():
        for problem in _archive_differences(side):
            found.differ(f"{side.dc}: {problem}", f"git pull, or correct archiveGenerations in {file}")


def _archive_differences(side: Side) -> Iterator[str]:
    """Return where a live cluster writes or reads another archive than confs say."""
    running, wanted = server_name(side.cluster), side.subject.server_name
    if running and running != wanted:
        yield f"archives as {running}, confs say {wanted}"
    live = {
        str(each.get("name")): str(dig(each, "plugin", "parameters", "serverName", default=""))
        for each in dig(side.cluster, "spec", "externalClusters", default=[])
    }
    for external in side.subject.values.replication.external_clusters:
        reads = live.get(external.name, "")
        if external.name != side.name and reads and reads != external.server_name:
            yield f"reads the archive {reads} of {external.name}, confs say {external.server_name}"


def _judge_dns(found: Verdict, parts: Parts) -> None:
    state, some = parts.dns.value, next(iter(parts.pair.sides.values())).subject
    command = f"pgaas update-dns --ins {some.target.ins} --env {some.target.env}"
    if state is None or state.error:
        error = state.error if state else parts.dns.error
        found.add(f"DNS: nobody knows where {some.values.dns.primary_fqdn} leads: {error}", command)
        return
    if found.primary is None or state.points_to == found.primary.dc:
        found.notes += [f"DNS: {state.drift}"] if state.drift else []
        return
    leads = f"leads to {state.points_to}" if state.points_to in parts.pair.sides else f"is: {state.detail}"
    found.add(
        f"DNS: {state.name} {leads}, the primary is {found.primary.dc}", f"{command} --to {found.primary.dc}"
    )


def _judge_trust(found: Verdict, parts: Parts) -> None:
    target = next(iter(parts.pair.sides.values())).subject.target
    mend = f"pgaas trust sync --ins {target.ins} --env {target.env}"
    if parts.trust.value is None:
        found.add(f"trust is not known: {parts.trust.error}")
        return
    for dc, state in parts.trust.value.items():
        if state.stale:
            found.add(f"{dc}: trust is stale: {state.detail}", mend)
        elif state.error and parts.pair[dc].reachable:
            found.add(f"{dc}: trust is not known: {state.error}")


def _judge_archives(found: Verdict, parts: Parts) -> None:
    """Judge the primary's archive by what is in it; what else the others lack is only worth knowing."""
    for dc, part in parts.archives.items():
        is_source = parts.source is not None and parts.source.dc == dc
        archive = part.value
        if archive is None:
            found.notes.append(f"{dc}: its archive cannot be read: {part.error}")
            continue
        problem = (
            "" if archive.newest_backup or not is_source else "its archive holds no complete base backup"
        )
        chain = archive.chain
        since = (
            (chain.settled or (archive.newest_backup and archive.newest_backup.end_time)) if chain else None
        )
        if chain and not chain.complete and since and archive.read_at - since >= YOUNG:
            gaps = ", ".join(archive.gap_names(each) for each in chain.gaps[:3])
            problem = f"its archive is not whole behind the newest base backup: {chain.problem or gaps}"
        if problem and is_source:
            found.add(f"{dc}: {problem}", parts.pair[dc].subject.command("status"))
        elif problem:
            found.notes.append(f"{dc}: {problem}")


def _marks(pair: Pair) -> list[str]:
    """Return which datacenters the live clusters are marked to have lost."""
    marks = {
        dc
        for side in pair.sides.values()
        for dc in str(dig(side.cluster, "metadata", "annotations", LOST_SIDE, default="")).split(",")
    }
    return sorted(marks & pair.sides.keys())
