"""Deploy several clients, one after the other; the first failure stops the run.

To go on, run the same again. Which clients are done is asked of the live clusters, by running their action
again, which changes nothing where nothing is to be changed: a report of an earlier run says what was, may be
of another machine or lost with its workspace, and knows nothing of what others have done since.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from pgaas.config.admin import ConfigCache
from pgaas.config.naming import Target, cluster_name
from pgaas.config.releases import Wanted
from pgaas.errors import ConfigError, PgaasError, Stopped, UsageError
from pgaas.operations import create, upgrade, wait
from pgaas.operations.ci_fetch import read_release
from pgaas.operations.ci_report import write_reports
from pgaas.operations.ci_runs import (
    DONE,
    FAILED,
    INTERRUPTED,
    RUNNING,
    ClientRun,
    Deployment,
)
from pgaas.operations.progress import Progress
from pgaas.operations.subject import load_subject
from pgaas.operations.target import find_target
from pgaas.operations.version import own_version

KILLED = "it had begun, and the run was killed: nothing says how far it came"
AGAIN = "run the same command again: clients that are done are found unchanged"


@dataclass
class _Run:
    root: Path
    wanted: Wanted
    timeout: float | None
    progress: Progress
    reports: Path | None
    seen: Deployment

    def set(self, number: int, **what: object) -> None:
        """Note how far a client is, and write it down at once: a job can be killed at any time."""
        clients = list(self.seen.clients)
        clients[number] = replace(clients[number], **what)  # type: ignore[arg-type]
        self.seen = replace(self.seen, clients=tuple(clients))
        try:
            self.report()
        except PgaasError as error:
            # What happens to the clients matters more than its report, and must not be hidden by it.
            self.progress.note(f"the report is behind: {error.what} ({error.where})")

    def report(self) -> None:
        """Write the reports, if they are wanted. Raise UsageError if the file system refuses."""
        if self.reports is not None:
            write_reports(self.reports, self.seen)


def deploy_clients(
    root: Path,
    wanted: Wanted,
    *,
    timeout: float | None,
    reports: Path | None,
    progress: Progress,
    on_end: Callable[[Deployment], None],
) -> Deployment:
    """Create or upgrade each client, and tell `on_end` how far each is, however it ends.

    Every client's configuration is checked before the first client is touched. Raise Stopped, with the exit
    code of what stopped it; KeyboardInterrupt says how far it came.
    """
    clients = tuple(map(ClientRun, wanted.clients))
    seen = Deployment(wanted.action, wanted.env, read_release(root), clients)
    run = _Run(root, wanted, timeout, progress, reports, seen)
    run.report()
    _compare_versions(run)
    try:
        targets = _check_all(run)
        for number, target in enumerate(targets):
            _deploy_one(run, number, target)
    finally:
        on_end(run.seen)
    return run.seen


def _compare_versions(run: _Run) -> None:
    """Say it if this pgaas is not the release's own; a mend may be deployed by another one on purpose."""
    if run.seen.release is None:
        return
    own, meant = "of an unknown version", run.seen.release.pgaas.version
    with suppress(PgaasError):
        own = own_version().text
    if own != meant:
        run.progress.note(
            f"this pgaas is {own}, and the release in {run.root} is {meant}, which was not tested with it; "
            "docs/ci.md says how to install the release's own"
        )


def _check_all(run: _Run) -> list[Target]:
    """Return each client's target. Raise Stopped for everything that is wrong with any configuration."""
    cache = ConfigCache()
    targets: list[Target] = []
    errors: list[PgaasError] = []
    for number, ins in enumerate(run.wanted.clients):
        try:
            target = find_target(run.root, ins, run.wanted.env, run.wanted.dc, cache)
            load_subject(run.root, target)
        except PgaasError as error:
            errors.append(error)
            run.set(number, state=FAILED, **_told(error))
        else:
            targets.append(target)
            run.set(number, dc=target.dc, cluster=cluster_name(target))
    if errors:
        lines = [
            f"\n  {each.ins}: {each.error}{f' ({each.where})' if each.where else ''}"
            for each in run.seen.clients
            if each.error
        ]
        only = errors[0].next_step if len(errors) == 1 else ""
        raise Stopped(
            errors[0],
            f"no client was touched, for not all can be deployed:{''.join(lines)}",
            next_step=only or "mend the configuration, then run the same command again",
        )
    return targets


def _deploy_one(run: _Run, number: int, target: Target) -> None:
    count = len(run.wanted.clients)
    run.progress.note(f"client {number + 1} of {count}: {run.wanted.action} {cluster_name(target)}")
    start = time.monotonic()
    try:
        run.set(number, state=RUNNING, error=KILLED, next_step=AGAIN)
        changed = _act(run, target)
    except KeyboardInterrupt as interrupt:
        run.set(
            number,
            state=INTERRUPTED,
            seconds=_since(start),
            error=str(interrupt) or "interrupted",
            exit_code=_signalled(interrupt),
        )
        said = f"{interrupt}; " if str(interrupt) else ""
        raise KeyboardInterrupt(
            f"{said}{run.seen.summary}. The same command takes up from there"
        ) from interrupt
    except PgaasError as error:
        run.set(number, state=FAILED, seconds=_since(start), **_told(error))
        raise Stopped(
            error,
            f"{target.ins} failed, and the run ends there ({run.seen.summary}): {_text(error)}",
            where=error.where,
            next_step=f"{error.next_step + '; then ' if error.next_step else ''}{AGAIN}",
        ) from error
    except Exception as error:
        run.set(
            number, state=FAILED, seconds=_since(start), error=f"a bug: {error}", next_step="", exit_code=1
        )
        raise
    run.set(number, state=DONE, changed=changed, seconds=_since(start), error="", next_step="")


def _signalled(interrupt: KeyboardInterrupt) -> int:
    """Return the exit code of what was interrupted: by Ctrl-C, or by the signal that a cause of it names."""
    numbers = (getattr(each, "number", 0) for each in (interrupt, interrupt.__cause__, interrupt.__context__))
    return 128 + next(filter(None, numbers), signal.SIGINT)


def _act(run: _Run, target: Target) -> bool:
    """Create or upgrade one client, and return whether anything was changed."""
    try:
        return _act_on(run, target)
    except OSError as error:
        # A full disk or a wrong permission, as pgaas tells it elsewhere too; here it has to name the clients.
        raise UsageError(
            (error.strerror or str(error)).lower(),
            where=str(error.filename or run.root),
            next_step="free space there, or mend its permissions",
        ) from error


def _act_on(run: _Run, target: Target) -> bool:
    if run.wanted.action == "upgrade":
        timeout = run.timeout or upgrade.DEFAULT_TIMEOUT
        return upgrade.upgrade(run.root, target, force=False, timeout=timeout, progress=run.progress).changed
    choices = create.Choices(timeout=run.timeout or wait.DEFAULT_TIMEOUT)
    return create.create(run.root, target, choices, run.progress).changed


def _told(error: PgaasError) -> dict[str, object]:
    return {
        "error": _text(error),
        "where": error.where,
        "next_step": error.next_step,
        "exit_code": error.exit_code,
    }


def _text(error: PgaasError) -> str:
    """Return what is wrong, each bad field included."""
    issues = error.issues if isinstance(error, ConfigError) else []
    return "".join([error.what, *(f"\n    {issue}" for issue in issues)])


def _since(start: float) -> float:
    return time.monotonic() - start
