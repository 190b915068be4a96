"""The commit of the clients' repository that a release was deployed from, where nobody names one now.

`switchover` at night may well run without --users. Then confs/users of the root is read, which may be empty,
old or an example: what it says is applied only where it is what was deployed, and the record stays.
"""

from __future__ import annotations

from pgaas.config.users import are_named
from pgaas.errors import KubernetesError, RefusedAsUnsafe
from pgaas.kube.client import Api
from pgaas.kube.release import WENT_THROUGH, release_records
from pgaas.kube.resources import Object
from pgaas.operations.rows import Row
from pgaas.operations.subject import Subject
from pgaas.operations.users_clone import short
from pgaas.render.sides import at
from pgaas.render.write import write_values

# What a client's file says comes out here, and mostly nothing else does.
CLIENTS_PART = (
    ("imageCatalog", "major"),
    ("cluster", "parameters"),
    ("cluster", "roles"),
    ("cluster", "pgHba"),
    ("databases",),
)
# What a move changes itself, the record among it.
THE_MOVE = ("replication.", "cluster.bootstrap.", "cluster.usersRevision")


def keep_revision(subject: Subject, api: Api) -> None:
    """Write the recorded commit into the values file again, as long as it says what the commit says.

    Where Helm's records can't be read, the record is lost and nothing else.
    """
    try:
        commit, differing = _deployed(subject, api)
    except KubernetesError:
        return
    if commit and not differing:
        cluster = subject.values.cluster.but(users_revision=commit)
        write_values(subject.root, subject.target, subject.values.but(cluster=cluster))


def clients_files(subject: Subject, api: Api) -> list[Row]:
    """Return a failed row if other clients' files would be deployed than those that were, by default."""
    commit, differing = _deployed(subject, api)
    if not commit or not differing:
        return []
    detail = (
        f"{subject.cluster} was deployed from commit {short(commit)} of the clients' repository, and "
        f"confs/users says otherwise: {', '.join(differing)}"
    )
    next_step = "name a clone of it with --users or PGAAS_USERS; if confs/users is meant, --users confs/users"
    return [Row("clients' files", "failed", detail, next_step, RefusedAsUnsafe)]


def brought_along(subject: Subject, api: Api) -> list[Row]:
    """Return what the sync at the end of a move would apply beside the move: refused, or to be known."""
    from pgaas.operations.diff_values import value_changes
    from pgaas.operations.fleet_rows import NAMED
    from pgaas.render.marks import worst

    if rows := clients_files(subject, api):
        return rows
    before = _values(subject, api)
    changes = value_changes(before, subject.values.plain()) if before else ()
    changes = tuple(each for each in changes if not each.path.startswith(THE_MOVE))
    if not changes:
        return []
    named = ", ".join(each.path for each in changes[:NAMED])
    more = f" and {len(changes) - NAMED} more" if len(changes) > NAMED else ""
    mark = worst(each.mark for each in changes).label
    detail = (
        f"confs say otherwise than what is deployed as {subject.cluster}, and the end of the move applies it "
        f"too: {named}{more} ({mark}); {subject.command('diff')} shows it"
    )
    return [Row("pending changes", "warning", detail)]


def _values(subject: Subject, api: Api) -> Object:
    records = release_records(api, subject.cluster, subject.namespace)
    return next((each.values for each in reversed(records) if each.status in WENT_THROUGH), {})


def _deployed(subject: Subject, api: Api) -> tuple[str, list[str]]:
    """Return the recorded commit, empty if that does not count now, and what differs of the client's part."""
    if subject.restored or subject.values.cluster.users_revision or are_named(subject.root):
        return "", []
    before, after = _values(subject, api), subject.values.plain()
    differing = [".".join(path) for path in CLIENTS_PART if at(before, *path) != at(after, *path)]
    return str(at(before, "cluster", "usersRevision") or ""), differing
