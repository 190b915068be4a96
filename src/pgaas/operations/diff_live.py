"""A review against what is live: the deployed release's values, and a dry run of the objects."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

from pgaas.config.naming import Target
from pgaas.config.resolve import ConfigCache
from pgaas.config.targets import find_targets
from pgaas.errors import ConfigError, KubernetesUnavailable, PgaasError
from pgaas.kube.client import Api
from pgaas.kube.namespace import namespace_state
from pgaas.kube.release import DEPLOYED, WENT_THROUGH, release_records
from pgaas.operations.check_tools import check_tools, require_tools
from pgaas.operations.deploy import changes_of
from pgaas.operations.diff_select import Selection
from pgaas.operations.diff_values import Diff, State, TargetDiff, object_changes, value_changes
from pgaas.operations.fleet_rows import RECORD
from pgaas.operations.progress import Progress, step
from pgaas.operations.recorded import clients_files
from pgaas.operations.subject import Subject, load_subject
from pgaas.render.write import write_values

# Each renders with helmfile, which takes a core for a second.
AT_ONCE = 8


@dataclass
class Context:
    """The targets of one API server; when it does not answer one of them, the others need not ask."""

    subjects: list[Subject] = field(default_factory=list)
    down: KubernetesUnavailable | None = None


def live(root: Path, chosen: Selection, progress: Progress) -> Diff:
    """Compare each target's confs with its deployed release and its live objects; nothing is changed.

    Contexts are asked at the same time, and a target that can't be told is a row. Raise ToolMissing or
    ToolFailed if helm or helmfile can't be used, UsageError if no target fits.
    """
    cache = ConfigCache()
    targets, issues = find_targets(root, None, cache)
    if not issues:
        chosen.check(targets, where=str(root))
    wanted = [target for target in targets if chosen.has(target)]
    alone = chosen != Selection() and wanted
    if wanted:
        require_tools(check_tools(("helm", "helmfile")))
    rows: dict[Target, TargetDiff] = {}
    contexts = _contexts(root, wanted, rows, cache)
    with step(progress, f"comparing {len(wanted)} clusters with what is live") as outcome:
        for row in _asked(contexts):
            rows[row.target] = row
            progress.advanced(len(rows), len(wanted))
        if failed := sum(row.state == "failed" for row in rows.values()):
            outcome.problem = f"{failed} could not be compared"
    ordered = tuple(rows[target] for target in wanted)
    return Diff("what is live", ordered, live=True, issues=() if alone else tuple(issues))


def _contexts(
    root: Path, wanted: list[Target], rows: dict[Target, TargetDiff], cache: ConfigCache
) -> list[Context]:
    """Load each target and sort them by where they are; one that can't be loaded has its row already."""
    found: dict[str | None, Context] = {}
    for target in wanted:
        try:
            subject = load_subject(root, target, cache)
            write_values(root, target, subject.values)
        except ConfigError as error:
            rows[target] = TargetDiff(target, "failed", error=error)
            continue
        name = subject.resolved.datacenters.datacenters[target.dc].kube_context
        found.setdefault(name, Context()).subjects.append(subject)
    return list(found.values())


def _asked(contexts: list[Context]) -> Iterator[TargetDiff]:
    """Look at all targets, some at the same time, each context in its turn; return each when it is told."""
    turns = zip_longest(*([(context, subject) for subject in context.subjects] for context in contexts))
    pool = ThreadPoolExecutor(AT_ONCE)
    try:
        looks = [pool.submit(_look, *each) for turn in turns for each in turn if each]
        for look in as_completed(looks):
            yield look.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _look(context: Context, subject: Subject) -> TargetDiff:
    if context.down:
        return TargetDiff(subject.target, "failed", error=context.down)
    try:
        return _compared(subject, subject.api())
    except KubernetesUnavailable as error:
        context.down = error
        return TargetDiff(subject.target, "failed", error=error)
    except PgaasError as error:
        return TargetDiff(subject.target, "failed", error=error)


def _compared(subject: Subject, api: Api) -> TargetDiff:
    there = namespace_state(api, subject.namespace)
    records = release_records(api, subject.cluster, subject.namespace) if there else []
    record = records[-1] if records else None
    deployed = next((each for each in reversed(records) if each.status in WENT_THROUGH), None)
    changes = changes_of(subject, api, fresh=not there, refusals=True)
    after = subject.values.plain()
    before = deployed.values if deployed else {}
    objects = object_changes(changes, before or after, after)
    notes = list(_doubts(subject, api))
    if record is None:
        return TargetDiff(subject.target, "new", objects=objects, notes=tuple(notes))
    if deployed is None or record.status != DEPLOYED:
        notes.append(f"the last deployment, revision {record.revision}, is {record.status}")
    values = value_changes(before, after, subject.resolved) if deployed else ()
    # Where no commit is asked for, the recorded one is kept.
    values = tuple(each for each in values if each.path != RECORD or each.after)
    notes += [row.detail for row in clients_files(subject, api)] if deployed else []
    if objects and deployed and not values:
        notes.append("no value changes: the objects were changed since, or the chart prints them otherwise")
    state: State = "changed" if values or objects else "unchanged"
    return TargetDiff(subject.target, state, values, objects, tuple(notes))


def _doubts(subject: Subject, api: Api) -> Iterator[str]:
    resolved = subject.resolved
    named = resolved.datacenters.datacenters[subject.target.dc].kube_context
    if named is None and len(resolved.client.datacenters) > 1:
        yield f'no kubeContext for {subject.target.dc}: compared with the current context, "{api.context}"'
