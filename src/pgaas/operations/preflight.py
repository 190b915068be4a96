"""Look, before anything is deployed, at all that a cluster needs: every check runs, every failure is told."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from pgaas.errors import (
    KubernetesForbidden,
    PgaasError,
)
from pgaas.kube.client import Api
from pgaas.kube.namespace import namespace_state
from pgaas.kube.resources import CLUSTER, Object
from pgaas.operations import (
    preflight_cluster,
    preflight_live,
    preflight_pair,
    preflight_pgadmin,
    preflight_s3,
)
from pgaas.operations.check_tools import check_tools, require_tools
from pgaas.operations.progress import Progress
from pgaas.operations.recorded import clients_files
from pgaas.operations.rows import Row, refuse_rows
from pgaas.operations.subject import Subject

WORKERS = 8
S3, ARCHIVE, TOOLS = "s3", "archive", "tools"


@dataclass(frozen=True)
class Preflight:
    """All checks, and what they found out on the way: the live Cluster, and whether its namespace exists."""

    rows: tuple[Row, ...]
    live: Object | None
    namespace: str

    @property
    def failed(self) -> list[Row]:
        """Return the checks that failed."""
        return [row for row in self.rows if row.state == "failed"]


def preflight(
    subject: Subject,
    api: Api,
    progress: Progress,
    *,
    skipped: Iterable[str] = (),
    dry: bool = False,
) -> Preflight:
    """Run every check at once and return their rows; `dry` writes nothing to S3.

    Nothing is raised for what is wrong with the cluster or S3: see `refuse`. Only the API server must answer.
    """
    progress.started("preflight")
    left_out = set(skipped)
    with ThreadPoolExecutor(WORKERS) as pool:
        # What asks no API server goes first: other programs have a core, and S3's library loads slowly.
        early: dict[str, Future[list[Row]]] = {}
        if TOOLS not in left_out:
            early[TOOLS] = pool.submit(guarded, TOOLS, tools_found)
        opened = pool.submit(preflight_s3.open_early, subject) if S3 not in left_out else None
        try:
            version = preflight_cluster.server_version(api)
            live = api.get(CLUSTER, subject.cluster, subject.namespace)
            state = namespace_state(api, subject.namespace)
        except PgaasError as error:
            progress.failed(error.what)
            raise
        checks = _checks(subject, api, live, state, dry, left_out)
        if opened:
            checks[S3] = _once_done(opened, checks[S3])
        rows = [version, *_all_at_once(pool, checks, left_out, early)]
    result = Preflight(tuple(rows), live, state)
    for row in rows:
        if row.state == "warning":
            progress.note(f"{row.name}: {row.detail}")
    if result.failed:
        progress.failed(f"{len(result.failed)} of {len(rows)} checks")
    else:
        progress.finished(f"{sum(row.state == 'ok' for row in rows)} checks passed")
    return result


def refuse(result: Preflight, subject: Subject, api: Api) -> None:
    """Raise one error that names every failed check; the severest decides its exit code."""
    refuse_rows(result.rows, where=f'{subject.target}, context "{api.context}"')


Check = Callable[[], Iterable[Row]]


def _checks(
    subject: Subject, api: Api, live: Object | None, state: str, dry: bool, skipped: set[str]
) -> dict[str, Check]:
    # The archive of a new cluster is looked at even if S3 is left out: it belongs to what keeps data safe.
    alone = live is None and S3 in skipped
    archive = {ARCHIVE: lambda: preflight_s3.archive_alone(subject, api, state)} if alone else {}
    return {
        S3: lambda: preflight_s3.bucket(subject, api, live, state, dry=dry),
        **archive,
        TOOLS: tools_found,
        "kinds": lambda: preflight_cluster.kinds(subject, api),
        "operators": lambda: preflight_cluster.operators(subject, api),
        "issuer": lambda: [preflight_cluster.issuer(subject, api)],
        "storage class": lambda: [preflight_cluster.storage_class(subject, api)],
        "namespace": lambda: [preflight_live.namespace(subject, state)],
        "datacenter": lambda: [preflight_live.datacenter(subject, api, state)],
        "release": lambda: [
            preflight_live.release(subject, api, state),
            *(clients_files(subject, api) if state else ()),
        ],
        "live cluster": lambda: preflight_live.unchanged_identity(subject, live),
        "pgadmin": lambda: preflight_pgadmin.given(subject, api),
        **preflight_pair.pair_checks(subject, api, state),
    }


def _all_at_once(
    pool: ThreadPoolExecutor, checks: dict[str, Check], skipped: set[str], early: dict[str, Future[list[Row]]]
) -> list[Row]:
    """Run the checks, but for those that run already, and return the rows of all in the order of `checks`."""
    rows: list[Row] = []
    running = {
        name: early.get(name) or pool.submit(guarded, name, check)
        for name, check in checks.items()
        if name not in skipped
    }
    for name in checks:
        rows += running[name].result() if name in running else [Row(name, "skipped", "as asked")]
    return rows


def _once_done(first: Future[None], check: Check) -> Check:
    """Return a check that begins when something else has ended, well or not."""

    def wait_and_check() -> Iterable[Row]:
        wait([first])
        return check()

    return wait_and_check


def guarded(name: str, check: Check) -> list[Row]:
    """Turn what a check raises into its row: what may not be read is skipped, all else has failed."""
    try:
        return list(check())
    except KubernetesForbidden as error:
        return [Row(name, "skipped", error.what, error.next_step)]
    except PgaasError as error:
        detail = f"{error.what}, at {error.where}" if error.where else error.what
        return [Row(name, "failed", detail, error.next_step, type(error))]


def tools_found() -> Iterable[Row]:
    """Check that helm and helmfile are there; raise ToolMissing if not."""
    found = check_tools(("helm", "helmfile"))
    require_tools(found)
    return [Row("tools", "ok", ", ".join(f"{entry.tool.name} {entry.version}".strip() for entry in found))]
