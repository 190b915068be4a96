"""The kubectl commands that pgaas runs, as argument lists; all else goes through the API client."""

from __future__ import annotations

# Helm's field manager: a diff as anyone else would call its own fields conflicts.
HELM = "helm"


def diff_argv(manifest: str = "-", *, context: str | None = None) -> list[str]:
    """Return the command that shows what applying a manifest would change; it ends with 1 if anything."""
    return ["kubectl", "diff", *_server_side(context), "--field-manager", HELM, "--filename", manifest]


def apply_argv(manifest: str = "-", *, manager: str = "pgaas", context: str | None = None) -> list[str]:
    """Return the command that applies a manifest, never taking a field from another manager."""
    return ["kubectl", "apply", *_server_side(context), "--field-manager", manager, "--filename", manifest]


def delete_argv(manifest: str = "-", *, context: str | None = None) -> list[str]:
    """Return the command that deletes a manifest's objects and minds none missing."""
    where = ["--context", context] if context else []
    return ["kubectl", "delete", *where, "--ignore-not-found", "--filename", manifest]


def _server_side(context: str | None) -> list[str]:
    return [*(["--context", context] if context else []), "--server-side=true"]
