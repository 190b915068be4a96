"""The helm commands that pgaas runs, as argument lists."""

from __future__ import annotations


def uninstall_argv(
    release: str, namespace: str, *, context: str | None = None, timeout_seconds: int = 600, wait: bool = True
) -> list[str]:
    """Return the command that removes a release and minds none missing; `wait` for its objects to be gone."""
    waiting = ["--wait", "--cascade", "foreground"] if wait else []
    options = ["--ignore-not-found", *waiting, "--timeout", f"{timeout_seconds}s"]
    return ["helm", "uninstall", release, *_where(namespace, context), *options]


def _where(namespace: str, context: str | None) -> list[str]:
    return ["--namespace", namespace, *(["--kube-context", context] if context else [])]
