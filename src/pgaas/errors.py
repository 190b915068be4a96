"""Every error that a user can meet, each class with its exit code."""

from __future__ import annotations

from typing import NamedTuple


class PgaasError(Exception):
    """Stop a command with a message: what went wrong, where, and what to do next."""

    exit_code = 1

    def __init__(self, what: str, *, where: str = "", next_step: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.next_step = next_step


class UsageError(PgaasError):
    """A wrong or missing argument."""

    exit_code = 2


class ConfigIssue(NamedTuple):
    """One bad field: file (relative to the root), line (1-based, 0 if unknown), path, what is wrong."""

    file: str
    line: int
    path: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.path}: {self.message}" if self.path else f"{place}: {self.message}"


class ConfigError(PgaasError):
    """One or more bad fields in the files that people wrote; `issues` holds all of them."""

    exit_code = 3

    def __init__(self, issues: list[ConfigIssue], *, next_step: str = "") -> None:
        self.issues = sorted(issues)
        count = len(self.issues)
        plural = "s" if count != 1 else ""
        super().__init__(f"{count} error{plural} in the configuration", next_step=next_step)


class ToolMissing(PgaasError):
    """An outside program is not on PATH, or is too old."""

    exit_code = 4


class ToolFailed(PgaasError):
    """An outside program or service (helm, helmfile, S3) failed."""

    exit_code = 5


class KubernetesError(PgaasError):
    """The API server cannot be reached, or refused a request."""

    exit_code = 6


class KubernetesUnavailable(KubernetesError):
    """The API server did not answer this time: a wait asks again."""


class KubernetesForbidden(KubernetesError):
    """These credentials may not do this: a check that only informs is skipped."""


class KubernetesConflict(KubernetesError):
    """Another manager owns a field, or the object changed meanwhile, or exists already."""


class TimedOut(PgaasError):
    """A wait ended before what it waited for."""

    exit_code = 7


class RefusedAsUnsafe(PgaasError):
    """The request could lose data or make two primaries."""

    exit_code = 8


class NotHealthy(PgaasError):
    """The cluster was looked at, and is not healthy."""

    exit_code = 9


class Stopped(PgaasError):
    """A run over several clients stopped at one of them; its exit code is that of what stopped it."""

    def __init__(self, cause: PgaasError, what: str, *, where: str = "", next_step: str = "") -> None:
        super().__init__(what, where=where, next_step=next_step)
        self.exit_code = cause.exit_code
