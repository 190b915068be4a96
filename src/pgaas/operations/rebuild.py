"""Make a side anew from the survivor: what a diverged or lost datacenter comes back by, and the only way."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

from pgaas.config.registry import write_rebuilt
from pgaas.errors import NotHealthy, RefusedAsUnsafe, UsageError
from pgaas.kube.promotion import LOST_SIDE, mark
from pgaas.kube.resources import dig
from pgaas.kube.snapshot import server_name
from pgaas.operations.create import Choices as CreateChoices
from pgaas.operations.create import create
from pgaas.operations.deploy import deploy
from pgaas.operations.dns import primary_record
from pgaas.operations.exclusive import Exclusive, exclusive
from pgaas.operations.fence import hibernate, is_marked
from pgaas.operations.finish import BACKUP_SECONDS
from pgaas.operations.moving import catch_up
from pgaas.operations.pair import Pair, Side, Subjects, datacenter_named, load_pair, look, look_at
from pgaas.operations.preflight_s3 import unused_generation
from pgaas.operations.progress import Progress, Silent
from pgaas.operations.removal import remove_leftovers, remove_release, wait_gone
from pgaas.operations.settle import apis_of, backup_done, following, new_backup, settle_release
from pgaas.operations.situation import refuse_split
from pgaas.operations.steps import Steps, Taken
from pgaas.operations.trust import write_trust
from pgaas.render.write import write_values

DEFAULT_TIMEOUT = 900.0
FOLLOW_SECONDS = 180.0


@dataclass(frozen=True)
class Plan:
    """What a rebuild will do; `begun` if an earlier one was interrupted after it had removed the old life."""

    root: Path
    subjects: Subjects
    pair: Pair
    dc: str
    source: str
    begun: bool
    lines: tuple[str, ...]

    @property
    def cluster(self) -> str:
        """Return the cluster that goes and comes again: the name to retype."""
        return self.pair[self.dc].name


@dataclass(frozen=True)
class Rebuilt:
    """What was done; `server_name` is the archive that the new life writes to."""

    cluster: str
    source: str
    server_name: str
    clients_file: str
    steps: tuple[Taken, ...]
    seconds: float


def plan_rebuild(root: Path, ins: str, env: str, dc: str, *, force: bool = False) -> Plan:
    """Find out from whom a side can be made anew, and what that removes; change nothing.

    Raise RefusedAsUnsafe if the side is the only primary, or follows well and `force` is not given;
    NotHealthy if no other side is a primary that takes writes.
    """
    subjects = load_pair(root, ins, env)
    own = datacenter_named(subjects, dc)
    pair = look(subjects)
    side = pair[own]
    side.reached()
    source = _source(pair, own)
    begun = _begun(side, source.dc)
    ok, detail = following(side, source) if side.cluster else (False, "not there")
    if ok and not begun and not force and not is_marked(pair, own):
        raise RefusedAsUnsafe(
            f"{side.name} follows {source.name} ({detail}): there is nothing to rebuild",
            where=f"datacenter {own}",
            next_step="--force makes it anew all the same",
        )
    lines = []
    if side.cluster and not begun:
        lines.append(f"{side.name} ({side.role}; {detail}): its instances and their volumes go")
        lines.append(f"its archive {server_name(side.cluster)} stays in S3, and is not written to any more")
    lines.append(f"{side.name} is recovered from the archive of {source.name}, and follows it")
    return Plan(root, subjects, pair, own, source.dc, begun, tuple(lines))


def check_confirmation(plan: Plan, typed: str | None) -> None:
    """Raise UsageError unless the name of the cluster that goes was retyped."""
    if typed is None:
        raise UsageError(
            "a rebuild removes a cluster's volumes, and there is no terminal to ask at",
            next_step=f"add --confirm {plan.cluster}",
        )
    if typed.strip() != plan.cluster:
        raise UsageError(
            f'"{typed.strip()}" is not the name of the cluster: nothing was changed',
            next_step=f"retype it exactly: {plan.cluster}",
        )


def rebuild(plan: Plan, *, timeout: float = DEFAULT_TIMEOUT, progress: Progress) -> Rebuilt:
    """Carry a plan out; interrupted anywhere, run it again.

    Raise as `create` does, and NotHealthy if the new cluster does not follow in the end.
    """
    start = time.monotonic()
    steps = Steps(progress)
    try:
        with exclusive(plan.subjects.values(), "rebuild", progress) as right:
            done = _rebuild(plan, right, steps, timeout, progress)
    except KeyboardInterrupt as interrupt:
        again = f"{plan.pair[plan.dc].subject.command('rebuild')} --confirm {plan.cluster}"
        raise KeyboardInterrupt(f"{plan.cluster} is being rebuilt; {again} goes on") from interrupt
    return replace(done, seconds=time.monotonic() - start)


def _rebuild(plan: Plan, right: Exclusive, steps: Steps, timeout: float, progress: Progress) -> Rebuilt:
    root, dc, source = plan.root, plan.dc, plan.source
    side, survivor = plan.pair[dc], plan.pair[source]
    target, api = side.subject.target, side.reached()
    with steps(f"base backup of {survivor.name}") as outcome:
        outcome.text = _source_backup(survivor, progress)
    file = ""
    if not plan.begun:
        right.check()
        if side.cluster:
            with steps(f"fence {dc}"):
                hibernate(side, progress)
        with steps(f"remove {side.name}"):
            remove_release(side.subject, api, Silent())
            wait_gone(side.subject, api, Silent(), timeout=timeout)
            remove_leftovers(side.subject, api, Silent())
        with steps("write down the new life") as outcome:
            generation = unused_generation(side.subject, api, "Active")
            path = write_rebuilt(root, target, generation, source)
            file = str(path.relative_to(root) if path.is_relative_to(root) else path)
            outcome.text = f"{file}: generation {generation}, recovered from {source}: commit it"
    now = load_pair(root, target.ins, target.env)
    with steps(f"tell {survivor.name} of it") as outcome:
        right.check()
        write_values(root, now[source].target, now[source].values)
        # A move may have left fields with pgaas: helm takes them over before it applies anything else.
        settle_release(now[source], survivor.reached(), right, Silent())
        deployed = deploy(now[source], survivor.reached(), Silent(), namespace="Active")
        outcome.text = "changed" if deployed.changed else "it knew"
    right.check()
    create(root, now[dc].target, CreateChoices(timeout=timeout), progress)
    with steps("trust") as outcome:
        written = write_trust(now, apis_of(look(now)))
        failed = [f"{each.datacenter}: {each.error}" for each in written if each.error]
        if failed:
            progress.note("; ".join(failed))
        outcome.text = f"{len(written)} bundles changed"
    _clear_mark(look_at(now[source]), dc)
    with steps("primary's name") as outcome:
        # The side that was away may answer with what was true before.
        seen = look(now)
        record = primary_record(now, {name: each.api for name, each in seen.sides.items()})
        outcome.text = "; ".join([f"leads to {source}", *record.point_to(source)])
    with steps(f"{dc} follows") as outcome:
        new, leader = look_at(now[dc]), look_at(now[source])
        ok, detail = following(new, leader)
        if not ok:
            raise NotHealthy(f"{new.name} does not follow: {detail}", next_step=new.subject.command("status"))
        there = catch_up(leader, new, timeout=FOLLOW_SECONDS, progress=progress)
        outcome.text = f"has all up to {there.lsn} on timeline {there.timeline}"
    return Rebuilt(side.name, survivor.name, now[dc].server_name, file, tuple(steps.taken), 0.0)


def _source(pair: Pair, own: str) -> Side:
    """Return the side to recover from: the one primary that takes writes, besides this one."""
    others = [other for other in pair.others(own) if other.is_primary and other.writable]
    if len(others) == 1:
        return others[0]
    side = pair[own]
    if side.is_primary and not is_marked(pair, own):
        refuse_split(pair)
        raise RefusedAsUnsafe(
            f"{side.name} is the only primary: there is nothing to make it anew from",
            where=f"datacenter {own}",
            next_step="promote another side first, or restore from a backup",
        )
    seen = ", ".join(f"{other.dc}: {other.error or other.role}" for other in pair.others(own))
    raise NotHealthy(
        f"no other side is a primary that takes writes ({seen})",
        where=f"{side.subject.target.ins} in {side.subject.target.env}",
        next_step="bring the primary up first; pgaas status shows what it lacks",
    )


def _begun(side: Side, source: str) -> bool:
    """Return whether the old life is gone already: clients.yaml knows of the new one, nothing else lives."""
    client, name = side.subject.resolved.client, side.name
    if client.recovered_from.get(name) != source or side.dc in client.lost_datacenters:
        return False
    if side.cluster is None:
        return True
    born_now = server_name(side.cluster) == side.subject.server_name
    recovering = not dig(side.cluster, "status", "currentPrimary", default="")
    return born_now and (recovering or side.position is None)


def _source_backup(survivor: Side, progress: Progress) -> str:
    """See to a base backup of the survivor's present timeline, which a recovery begins with."""
    name = new_backup(survivor, progress=progress)
    if not name:
        raise NotHealthy(
            f"no base backup of {survivor.name} can be made",
            where=f"datacenter {survivor.dc}",
            next_step=survivor.subject.command("status"),
        )
    why = backup_done(survivor, name, timeout=BACKUP_SECONDS, progress=progress)
    if why:
        raise NotHealthy(
            f"base backup {name}: {why}",
            where=f"datacenter {survivor.dc}",
            next_step="see to S3 and the plugin there; run the same command again",
        )
    return name


def _clear_mark(survivor: Side, dc: str) -> None:
    marks = str(dig(survivor.cluster, "metadata", "annotations", LOST_SIDE, default=""))
    left = [each for each in marks.split(",") if each and each != dc]
    if marks and survivor.cluster:
        mark(survivor.reached(), survivor.cluster, {LOST_SIDE: ",".join(left)} if left else {})
