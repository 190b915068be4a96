"""What a review says in a few words, the same in text and in markdown."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

from pgaas.errors import ConfigError, PgaasError
from pgaas.operations.diff_values import Diff, ObjectChange, TargetDiff, ValueChange
from pgaas.render.marks import Mark

WIDTH = 60


def shown(value: Any) -> str:
    """Return a value in one line, cut if it is long; a dash stands for what is not there."""
    if value is None:
        return "-"
    text = value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False, default=str)
    text = " ".join(text.split())
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 1]}…"


def places(change: ValueChange) -> str:
    """Return where a change was written."""
    lines: dict[str, list[str]] = {}
    for place in change.places:
        file = f"formerly {place.file}" if place.gone else place.file
        lines.setdefault(file, []).extend([str(place.line)] if place.line else [])
    return ", ".join(f"{file}:{','.join(found)}".rstrip(":") for file, found in lines.items()) or "-"


def by_reason(values: Iterable[ValueChange]) -> list[tuple[Mark, str, list[ValueChange]]]:
    """Return changes with their mark and reason, those of the same reason together."""
    found: dict[tuple[Mark, str], list[ValueChange]] = {}
    for change in values:
        found.setdefault((change.mark, change.why), []).append(change)
    return [(mark, why, changes) for (mark, why), changes in found.items()]


def heading(target: TargetDiff) -> str:
    """Return a target's verdict in one line."""
    if target.state == "failed":
        return f"{target.target}: could not be compared"
    verdict = {"new": "a new cluster", "removed": "removed", "unchanged": "nothing changes"}
    return f"{target.target}: {verdict.get(target.state, target.mark.label)}"


def error_lines(error: PgaasError) -> list[str]:
    """Return what is wrong, and where."""
    if isinstance(error, ConfigError):
        return [str(issue) for issue in error.issues]
    return [f"{error.what}{f' ({error.where})' if error.where else ''}"]


def summary(found: Diff) -> str:
    """Return how many clusters change, and how badly."""
    parts = Counter(target.mark.label for target in found.of("changed"))
    marks = [f"{count} {label}" for label, count in parts.items()]
    names = {"new": "new", "removed": "removed", "failed": "not compared", "unchanged": "unchanged"}
    others = [f"{len(found.of(state))} {name}" for state, name in names.items() if found.of(state)]  # type: ignore[arg-type]
    count = len(found.targets)
    return f"{count} cluster{'s' if count != 1 else ''} against {found.compared}: " + (
        ", ".join([*marks, *others]) or "none"
    )


def hidden(target: TargetDiff) -> bool:
    """Whether there is nothing to say of a target beside the summary."""
    return target.state == "unchanged" and not target.notes


def object_title(change: ObjectChange) -> str:
    """Return one object and what becomes of it."""
    return f"{change.kind} {change.name}: {change.action}, {change.mark.label}"
