"""The helm commands that pgaas runs, as argument lists."""

from __future__ import annotations


def status_argv(release: str, namespace: str, *, context: str | None = None) -> list[str]:
    """Return the command that prints a release's state as JSON."""
    return ["helm", "status", release, *_where(namespace, context), "--output", "json"]


def manifest_argv(release: str, namespace: str, *, context: str | None = None) -> list[str]:
    """Return the command that prints the objects of a release as last deployed."""
    return ["helm", "get", "manifest", release, *_where(namespace, context)]


def list_argv(namespace: str, *, context: str | None = None) -> list[str]:
    """Return the command that prints a namespace's releases as JSON, half deployed ones included."""
    return ["helm", "list", *_where(namespace, context), "--all", "--output", "json"]


def rollback_argv(release: str, namespace: str, *, revision: int, context: str | None = None) -> list[str]:
    """Return the command that takes a release back to a revision, and no field from another manager."""
    where = _where(namespace, context)
    return ["helm", "rollback", release, str(revision), *where, "--server-side=true"]


def uninstall_argv(
    release: str, namespace: str, *, context: str | None = None, timeout_seconds: int = 600, wait: bool = True
) -> list[str]:
    """Return the command that removes a release and minds none missing; `wait` for its objects to be gone."""
    waiting = ["--wait", "--cascade", "foreground"] if wait else []
    options = ["--ignore-not-found", *waiting, "--timeout", f"{timeout_seconds}s"]
    return ["helm", "uninstall", release, *_where(namespace, context), *options]


def _where(namespace: str, context: str | None) -> list[str]:
    return ["--namespace", namespace, *(["--kube-context", context] if context else [])]
