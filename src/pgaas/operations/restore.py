"""Restore a client's databases into a new cluster beside the old one, never over it."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from pgaas.config.naming import Target
from pgaas.config.restored import check_restored_name
from pgaas.config.targets import find_targets
from pgaas.errors import PgaasError, RefusedAsUnsafe
from pgaas.kube.client import Api
from pgaas.kube.namespace import namespace_state
from pgaas.kube.postgres import ask_in, position
from pgaas.kube.release import DEPLOYED, latest_release
from pgaas.kube.resources import CERTIFICATE, CLUSTER, dig, name_of
from pgaas.kube.snapshot import HEALTHY, is_following
from pgaas.kube.wait import Ending, Item, Seen, wait_for
from pgaas.operations import preflight_cluster, preflight_live
from pgaas.operations.archives import Place
from pgaas.operations.deploy import deploy
from pgaas.operations.exclusive import exclusive
from pgaas.operations.preflight import guarded, tools_found
from pgaas.operations.progress import Progress, step
from pgaas.operations.restore_begun import Begun, look_for_begun
from pgaas.operations.restore_check import Checked, check_restored
from pgaas.operations.restore_plan import (
    Plan,
    Wanted,
    archives_to,
    find_base,
    find_pinned,
    make_plan,
    name_only,
)
from pgaas.operations.restore_trust import RestoredTrust
from pgaas.operations.restore_wait import follow_recovery
from pgaas.operations.rows import refuse_rows
from pgaas.operations.subject import Subject, load_subject
from pgaas.render.write import write_restored

DEFAULT_TIMEOUT = 3600.0
ARCHIVED_SECONDS = 90.0
# A transaction of its own, so that one was committed after any moment until now; then the file that holds it.
COMMIT = "select extract(epoch from clock_timestamp()) from pg_current_xact_id()"
SWITCH = "select pg_walfile_name(pg_switch_wal())"


@dataclass(frozen=True)
class Choices:
    """What the user asked for besides what to restore; `timeout` is in seconds."""

    dry_run: bool = False
    wait: bool = True
    deep: bool = False
    timeout: float = DEFAULT_TIMEOUT


@dataclass(frozen=True)
class Restored:
    """What was restored, or in a dry run would be; `checked` is None if it was not waited for.

    `resumed` if the restore was begun before. `clients` are the Secrets of its own client certificates, empty
    where those of the source open it.
    """

    cluster: str
    namespace: str
    context: str
    source: str
    server_name: str
    request: str
    backup_id: str
    image: str
    storage: str
    resumed: bool
    clients: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    checked: Checked | None = None
    seconds: float = 0.0


def restore(root: Path, target: Target, wanted: Wanted, choices: Choices, progress: Progress) -> Restored:
    """Restore into a new cluster, wait for it, and check what came back; run again, it goes on.

    Raise UsageError for a name or a time that cannot be, RefusedAsUnsafe if the name is taken or the archive
    does not hold what is asked for, NotHealthy if the recovery fails, TimedOut if it takes too long.
    """
    start = time.monotonic()
    subject = load_subject(root, target)
    check_name(subject, wanted.name)
    api, names = subject.api(), name_only(subject, wanted.name)
    state = namespace_state(api, subject.namespace)
    refuse_rows([preflight_live.namespace(subject, state)], where=f'context "{api.context}"')
    begun = look_for_begun(names, api, wanted)
    if begun:
        done, coming = _go_on(subject, names, api, begun, choices, progress)
    else:
        plan = _plan(subject, names, api, wanted, choices, progress)
        coming = plan.subject
        done = _of_plan(plan, api, resumed=False)
        if choices.dry_run:
            return replace(done, seconds=time.monotonic() - start)
        _deploy(plan, api, state, progress, wanted)
    checked = None
    trust = RestoredTrust(coming, subject, api)
    if choices.wait and not choices.dry_run:
        recovery = follow_recovery(coming, api, timeout=choices.timeout, progress=progress, hook=trust)
        checked = check_restored(coming, subject, api, recovery, deep=choices.deep, progress=progress)
    elif not choices.dry_run:
        trust.settle(progress)
    return replace(done, clients=own_clients(coming, api), checked=checked, seconds=time.monotonic() - start)


def check_name(subject: Subject, name: str) -> None:
    """Raise UsageError if a cluster may not be restored under this name."""
    targets, _ = find_targets(subject.root)
    own = [subject.target._replace(dc=dc) for dc in subject.resolved.client.datacenters]
    check_restored_name(name, [*targets, *own], subject.resolved.datacenters.datacenters)


def own_clients(subject: Subject, api: Api) -> tuple[str, ...]:
    """Return the Secrets of a restored cluster's own client certificates; none if it has none."""
    made = api.find(CERTIFICATE, subject.namespace, labels=subject.labels)
    names = {name_of(each) for each in made} - {subject.values.certificates.client_ca}
    return tuple(sorted(name for name in names if name.startswith(f"{subject.cluster}-client-")))


def _plan(
    subject: Subject, names: Subject, api: Api, wanted: Wanted, choices: Choices, progress: Progress
) -> Plan:
    """Check what the cluster needs, and choose the backup; a dry run leaves the source alone."""
    with step(progress, "preflight") as outcome:
        checks = {
            "tools": tools_found,
            "kinds": lambda: preflight_cluster.kinds(names, api),
            "operators": lambda: preflight_cluster.operators(names, api),
            "issuer": lambda: [preflight_cluster.issuer(names, api)],
            "storage class": lambda: [preflight_cluster.storage_class(names, api)],
        }
        rows = [row for name, check in checks.items() for row in guarded(name, check)]
        refuse_rows(rows, where=f'{subject.target}, context "{api.context}"')
        outcome.text = f"{sum(row.state == 'ok' for row in rows)} checks passed"

    def advance(place: Place) -> datetime | None:
        return _advance(subject, api, place, progress, dry=choices.dry_run)

    with step(progress, "looking for the backup") as outcome:
        place, base = find_base(subject, wanted, advance)
        plan = make_plan(subject, api, wanted, place, base)
        outcome.text = f"{plan.backup.id} of {place.server_name}"
    live = api.get(CLUSTER, subject.cluster, subject.namespace)
    if wanted.latest and is_following(live) and archives_to(live, place):
        progress.note(
            f"{subject.cluster} is a replica: the primary's newest rows may be in its own archive only; "
            f"{subject.command('backups')} names it for --archive"
        )
    for note in plan.notes:
        progress.note(note)
    return plan


def _advance(subject: Subject, api: Api, place: Place, progress: Progress, *, dry: bool) -> datetime | None:
    """Have the source archive what it has written until now; return that moment, by its own clock.

    Without this the last minutes are not in the archive yet, and PostgreSQL gives up if nothing was committed
    after the moment that is asked for. Return None if the source does not write to this archive, or cannot;
    a `dry` run supposes that it can.
    """
    live = api.get(CLUSTER, subject.cluster, subject.namespace)
    instance = str(dig(live, "status", "currentPrimary", default=""))
    if not archives_to(live, place) or is_following(live) or dig(live, "status", "phase") != HEALTHY:
        return None
    if dry:
        return datetime.now(UTC)
    try:
        # Not in one transaction: its end would be in the next file.
        epoch, segment = ask_in(api, instance, subject.namespace, "postgres", COMMIT, SWITCH).split()
    except (PgaasError, ValueError) as error:
        progress.note(f"{subject.cluster} could not be told to archive what it has now: {error}")
        return None

    def look() -> Seen:
        archived = position(api, instance, subject.namespace).archived_wal
        return Seen((Item("WAL", archived[:24] >= segment, f"{segment} is being archived"),))

    try:
        waited = wait_for(
            look,
            timeout=ARCHIVED_SECONDS,
            interval=0.5,
            on_change=lambda changed: progress.detail(changed[0].detail),
        )
    except PgaasError as error:
        progress.note(f"whether {segment} is archived could not be seen: {error.what}")
        return None
    if waited.ending is not Ending.SUCCEEDED:
        progress.note(
            f"{segment} is not archived after {waited.seconds:.0f} s: the newest rows may be missing"
        )
        return None
    return datetime.fromtimestamp(float(epoch), UTC)


def _go_on(
    subject: Subject, names: Subject, api: Api, begun: Begun, choices: Choices, progress: Progress
) -> tuple[Restored, Subject]:
    """Take up a restore that was begun, from the very backup that it was begun with."""
    progress.note(f"{names.cluster} was begun already, to {begun.request} of {begun.server_name}: going on")
    record = latest_release(api, names.cluster, subject.namespace)
    if (record is None or record.status != DEPLOYED) and not choices.dry_run:
        place, base = find_pinned(subject, begun.server_name, begun.backup_id)
        plan = make_plan(subject, api, begun.wanted, place, base)
        _deploy(plan, api, "Active", progress)
        return _of_plan(plan, api, resumed=True), plan.subject
    done = Restored(
        cluster=names.cluster,
        namespace=names.namespace,
        context=api.context,
        source=begun.source,
        server_name=begun.server_name,
        request=begun.request,
        backup_id=begun.backup_id,
        image=str(dig(begun.live, "status", "image", default="")),
        storage=str(dig(begun.live, "spec", "storage", "size", default="")),
        resumed=True,
    )
    return done, names


def _deploy(plan: Plan, api: Api, state: str, progress: Progress, wanted: Wanted | None = None) -> None:
    """Deploy under the client's lock, which is given back before the long wait: others may have to act.

    With `wanted` the name must still be free: until the lock is held, another command may have taken it.
    """
    trust = RestoredTrust(plan.subject, plan.source, api)
    with exclusive([plan.source], "restore", progress) as held:
        if wanted and look_for_begun(plan.subject, api, wanted):
            raise RefusedAsUnsafe(
                f"{plan.subject.cluster} was begun by another command meanwhile",
                where=f'namespace {plan.subject.namespace}, context "{api.context}"',
                next_step="the same command again goes on with that",
            )
        write_restored(plan.subject.root, plan.subject.target, plan.subject.values)
        held.check()
        deploy(plan.subject, api, progress, namespace=state, ready=trust)


def _of_plan(plan: Plan, api: Api, *, resumed: bool) -> Restored:
    return Restored(
        cluster=plan.subject.cluster,
        namespace=plan.subject.namespace,
        context=api.context,
        source=plan.place.cluster,
        server_name=plan.place.server_name,
        request=plan.request,
        backup_id=plan.backup.id,
        image=plan.image,
        storage=plan.storage,
        resumed=resumed,
        notes=plan.notes,
    )
