"""Create a cluster, or bring it up to date, and wait until it is healthy, archiving and backed up."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

from pgaas.config.generations import write_generation
from pgaas.config.naming import Target
from pgaas.errors import UsageError
from pgaas.kube.client import Api
from pgaas.kube.difference import Change
from pgaas.operations.backup import FirstBackup
from pgaas.operations.collector import unseen_by_collector
from pgaas.operations.deploy import changes_of, deploy
from pgaas.operations.exclusive import Exclusive, exclusive
from pgaas.operations.preflight import Preflight, preflight, refuse
from pgaas.operations.preflight_s3 import unused_generation
from pgaas.operations.progress import Progress
from pgaas.operations.rollout import all_run, instance_pods
from pgaas.operations.rows import Row
from pgaas.operations.subject import Subject, load_subject
from pgaas.operations.trust_sync import TrustBundles
from pgaas.operations.unstick import Unstick
from pgaas.operations.wait import DEFAULT_TIMEOUT, SETTLE_SECONDS, Health, follow_until_healthy
from pgaas.render.write import write_values

NAME_SECONDS = 60.0
# What keeps a live cluster's data safe is always checked.
SKIPPABLE = ("s3", "tools", "kinds", "operators", "issuer", "storage class")


@dataclass(frozen=True)
class Choices:
    """What the user asked for besides the target; `timeout` is in seconds."""

    dry_run: bool = False
    wait: bool = True
    timeout: float = DEFAULT_TIMEOUT
    next_generation: bool = False
    skip_checks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Created:
    """What was done, or in a dry run would be; `health` is None if it was not waited for."""

    target: Target
    cluster: str
    namespace: str
    values_file: Path
    checks: tuple[Row, ...]
    changed: bool
    changes: tuple[Change, ...]
    health: Health | None
    seconds: float


def create(root: Path, target: Target, choices: Choices, progress: Progress) -> Created:
    """Create the cluster, or bring it up to date; a second run changes nothing.

    Raise ConfigError, RefusedAsUnsafe, KubernetesError, ToolMissing or ToolFailed for what a check finds,
    NotHealthy or TimedOut when the cluster does not become healthy.
    """
    _check_choices(choices)
    subject = load_subject(root, target)
    if choices.dry_run:
        return _create(subject, choices, progress, Exclusive())
    with exclusive([subject], "create", progress) as held:
        return _create(subject, choices, progress, held)


def _create(subject: Subject, choices: Choices, progress: Progress, held: Exclusive) -> Created:
    start = time.monotonic()
    api = subject.api()
    values_file = write_values(subject.root, subject.target, subject.values)
    checked = preflight(subject, api, progress, skipped=choices.skip_checks, dry=choices.dry_run)
    if choices.next_generation:
        subject, checked = _raise_generation(subject, api, checked, choices, progress)
    refuse(checked, subject, api)
    result = Created(
        subject.target, subject.cluster, subject.namespace, values_file, checked.rows, False, (), None, 0.0
    )
    if choices.dry_run:
        changes = changes_of(subject, api, fresh=not checked.namespace)
        return replace(result, changes=tuple(changes), seconds=time.monotonic() - start)
    held.check()
    trust = [TrustBundles(subject, api, progress)] if subject.values.replication.enabled else []
    deployed = deploy(
        subject,
        api,
        progress,
        namespace=checked.namespace,
        ready=lambda: all(bundles.own_written() for bundles in trust),
    )
    health = None
    if choices.wait:
        hooks = (Unstick(api, subject, progress), FirstBackup(api, subject, progress))
        settle = SETTLE_SECONDS if deployed.changed and checked.live else 0.0
        health = follow_until_healthy(
            subject,
            api,
            timeout=choices.timeout,
            progress=progress,
            on_snapshot=(*trust, *hooks),
            # A live cluster may still look healthy with the image that it had before.
            done=(lambda: all_run(instance_pods(api, subject), subject.image)) if checked.live else None,
            settle=settle,
        )
    for bundles in trust:
        bundles.settle()
    if health and subject.values.replication.enabled:
        from pgaas.operations.primary_name import see_to_names

        if told := see_to_names(subject, timeout=NAME_SECONDS):
            progress.note(told)
    if told := unseen_by_collector(subject, api):
        progress.note(told)
    return replace(
        result,
        changed=deployed.changed,
        changes=deployed.changes,
        health=health,
        seconds=time.monotonic() - start,
    )


def _check_choices(choices: Choices) -> None:
    """Raise UsageError for what cannot be asked for."""
    if choices.dry_run and choices.next_generation:
        raise UsageError(
            "--next-generation writes to clients.yaml, which --dry-run must not",
            next_step="leave one of them out",
        )
    unknown = [name for name in choices.skip_checks if name not in SKIPPABLE]
    if unknown:
        raise UsageError(
            f"no check {', '.join(map(repr, unknown))} that may be left out",
            next_step=f"these may: {', '.join(SKIPPABLE)}",
        )


def _raise_generation(
    subject: Subject, api: Api, checked: Preflight, choices: Choices, progress: Progress
) -> tuple[Subject, Preflight]:
    """Give a cluster that is to be made anew an archive of its own; one that lives keeps what it has."""
    if not any(row.name == "archive" and row.state == "failed" for row in checked.rows) or checked.live:
        progress.note("--next-generation was not needed: the archive is unused, or the cluster lives")
        return subject, checked
    generation = unused_generation(subject, api, checked.namespace)
    path = write_generation(subject.root, subject.target, generation)
    progress.note(f"raised the archive's generation to {generation} in {path or 'clients.yaml'}: commit this")
    raised = load_subject(subject.root, subject.target)
    write_values(raised.root, raised.target, raised.values)
    return raised, preflight(raised, api, progress, skipped=choices.skip_checks)
