"""Which outside tools pgaas needs, from which version on, and how each says its own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pgaas.errors import PgaasError, ToolMissing
from pgaas.tools.command import find_program, run

Version = tuple[int, int, int]
State = Literal["ok", "too old", "missing", "broken"]

VERSION = re.compile(r"\bv?(\d+)\.(\d+)(?:\.(\d+))?")
ANSWER_SECONDS = 30.0


@dataclass(frozen=True)
class Tool:
    """An outside tool: its name, the first version that will do, its purpose, and how to ask it."""

    name: str
    needed: Version
    purpose: str
    version_argv: tuple[str, ...]


@dataclass(frozen=True)
class Found:
    """What is there of a tool; `version` is empty for a build that does not know its own."""

    tool: Tool
    state: State
    version: str = ""
    path: str = ""
    detail: str = ""


TOOLS = (
    Tool("helm", (4, 0, 0), "deploys charts", ("helm", "version", "--template", "{{.Version}}")),
    Tool(
        "helmfile",
        (1, 8, 0),
        "says which charts, and with which values",
        ("helmfile", "version", "-o", "short"),
    ),
    Tool(
        "kubectl",
        (1, 34, 0),
        "for what is done by hand",
        ("kubectl", "version", "--client", "-o", "json"),
    ),
)


def parse(text: str) -> Version | None:
    """Return the first version in a tool's answer, or None; 0.0.0 is what a build without a version says."""
    match = VERSION.search(text)
    if match is None:
        return None
    major, minor, patch = (int(part or 0) for part in match.groups())
    return (major, minor, patch) if (major, minor, patch) != (0, 0, 0) else None


def look(tool: Tool, env: Mapping[str, str]) -> Found:
    """Find a tool on the environment's PATH and ask for its version."""
    try:
        path = find_program(tool.name, env)
    except ToolMissing:
        return Found(tool, "missing")
    try:
        answer = run(tool.version_argv, env=env, timeout=ANSWER_SECONDS).stdout
    except PgaasError as error:
        return Found(tool, "broken", path=path, detail=error.what)
    version = parse(answer)
    # A build from source may not know its version: that is no proof that it is too old.
    state: State = "too old" if version is not None and version < tool.needed else "ok"
    return Found(tool, state, version=spelled(version) if version else "", path=path)


def spelled(version: Version) -> str:
    """Return a version as text."""
    return ".".join(str(part) for part in version)
