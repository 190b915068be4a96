"""Show objects that would change, the same in every command."""

from __future__ import annotations

from collections.abc import Iterable

from pgaas.cli.output import out


def out_object(
    kind: str, name: str, action: str, lines: Iterable[str], *, mark: str = "", conflict: str = ""
) -> None:
    """Print one object: what would become of it, what that does where it was judged, and its diff."""
    out("\n".join([f"# {kind} {name}: {action}{f', {mark}' if mark else ''}", *lines]))
    if conflict:
        out(f"# conflict: {conflict}")
