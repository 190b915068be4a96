"""Remove a restored cluster, and nothing that is not its own."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pgaas.config.naming import Target
from pgaas.errors import RefusedAsUnsafe, UsageError
from pgaas.kube.client import Api
from pgaas.kube.release import latest_release
from pgaas.kube.resources import CHART_KINDS, CLUSTER, dig, name_of
from pgaas.operations.exclusive import exclusive
from pgaas.operations.progress import Progress
from pgaas.operations.removal import (
    Removed,
    remove_leftovers,
    remove_namespace,
    remove_release,
    wait_gone,
)
from pgaas.operations.restore import check_name
from pgaas.operations.restore_begun import REQUEST, check_restored, foreign_objects
from pgaas.operations.restore_plan import name_only
from pgaas.operations.subject import Subject, load_subject
from pgaas.render.write import restored_path


@dataclass(frozen=True)
class Plan:
    """What goes: `subject` is the restored cluster, `source` the target's own, which stays."""

    subject: Subject
    source: Subject
    goes: tuple[str, ...]

    @property
    def cluster(self) -> str:
        """Return the name to retype."""
        return self.subject.cluster


@dataclass(frozen=True)
class Gone:
    """What was removed; `was_there` is false if nothing of it was left."""

    cluster: str
    was_there: bool
    removed: Removed
    namespace_removed: bool
    seconds: float = 0.0


def plan_removal(root: Path, target: Target, name: str) -> Plan:
    """Look at what a removal takes, and change nothing.

    Raise UsageError for a name that no restored cluster has, RefusedAsUnsafe for a cluster that pgaas did not
    restore for this client.
    """
    source = load_subject(root, target)
    check_name(source, name)
    subject, api = name_only(source, name), source.api()
    live = api.get(CLUSTER, name, subject.namespace)
    where = f'namespace {subject.namespace}, context "{api.context}"'
    if live is not None:
        check_restored(live, subject, where)
    elif foreign := [each for each in foreign_objects(subject, api) if each.startswith("Helm release")]:
        raise RefusedAsUnsafe(
            f"{', '.join(foreign)} is no cluster that pgaas restored: it is not touched",
            where=where,
            next_step="name a restored cluster with --as",
        )
    record = latest_release(api, name, subject.namespace)
    goes = [f"Helm release {name} (revision {record.revision}, {record.status})"] if record else []
    if live is not None:
        request = dig(live, "metadata", "annotations", REQUEST, default="")
        goes.append(f"Cluster {name} (restored to {request}), its instance and its volume")
    goes += _parts(subject, api)
    return Plan(subject, source, tuple(goes))


def check_confirmation(plan: Plan, typed: str | None) -> None:
    """Raise UsageError unless the restored cluster's name was retyped."""
    if typed is None:
        raise UsageError(
            "removing a cluster asks for its name, and there is no terminal to ask at",
            next_step=f"add --confirm {plan.cluster}",
        )
    if typed.strip() != plan.cluster:
        raise UsageError(
            f'"{typed.strip()}" is not the name of the restored cluster: nothing was removed',
            next_step=f"retype it exactly: {plan.cluster}",
        )


def remove(plan: Plan, *, timeout: float, progress: Progress) -> Gone:
    """Remove a restored cluster; the archive, the source and other restored clusters stay.

    Interrupted anywhere, it can be run again. Raise TimedOut after `timeout` seconds.
    """
    start = time.monotonic()
    subject, source = plan.subject, plan.source
    if not plan.goes:
        # What merely has a name that a restored cluster's part would have is somebody else's.
        return Gone(subject.cluster, False, Removed(()), False, time.monotonic() - start)
    api = subject.api()
    try:
        with exclusive([source], "restore --remove", progress) as held:
            held.check()
            remove_release(subject, api, progress)
            held.check()
            wait_gone(subject, api, progress, timeout=timeout)
            removed = remove_leftovers(subject, api, progress)
            gone = False
            if api.get(CLUSTER, source.cluster, source.namespace) is None:
                # Made for this restore, if it was: where anything else is in it, it stays.
                gone, _ = remove_namespace(subject, api, progress, timeout=timeout)
                if gone:
                    held.leave_nothing()
    except KeyboardInterrupt as interrupt:
        again = f"{subject.command('delete')} --confirm {subject.cluster}"
        raise KeyboardInterrupt(
            f"{subject.cluster} may be removed in part; {again} finishes it"
        ) from interrupt
    with suppress(OSError):
        path = restored_path(subject.root, subject.target, subject.cluster)
        path.unlink(missing_ok=True)
        path.parent.rmdir()
    return Gone(subject.cluster, True, removed, gone, time.monotonic() - start)


def _parts(subject: Subject, api: Api) -> list[str]:
    """Return what else carries the restored cluster's label, as "Kind name"."""
    return [
        f"{kind.kind} {name_of(obj)}"
        for kind in CHART_KINDS
        if kind is not CLUSTER
        for obj in api.find(kind, subject.namespace, labels=subject.labels)
    ]
