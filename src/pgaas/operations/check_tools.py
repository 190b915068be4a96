"""Look for the outside tools that pgaas needs."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from pgaas.errors import ToolMissing
from pgaas.tools.helmfile import environment
from pgaas.tools.versions import TOOLS, Found, look, spelled


def check_tools(names: Collection[str] | None = None) -> list[Found]:
    """Return what is there of each tool, or of those named, in the order in which they are listed."""
    env = environment()
    return [look(tool, env) for tool in TOOLS if names is None or tool.name in names]


def require_tools(found: Iterable[Found]) -> None:
    """Raise ToolMissing, naming every tool that is missing, too old or broken."""
    bad = [_complaint(entry) for entry in found if entry.state != "ok"]
    if bad:
        raise ToolMissing(
            "; ".join(bad),
            next_step="install what is named, put it on PATH, and run `pgaas check-tools` again",
        )


def _complaint(found: Found) -> str:
    needed = f"{spelled(found.tool.needed)} or newer is needed"
    match found.state:
        case "missing":
            return f"{found.tool.name} is not installed ({needed})"
        case "too old":
            return f"{found.tool.name} {found.version} is too old ({needed})"
        case _:
            return f"{found.tool.name} does not run: {found.detail}"
