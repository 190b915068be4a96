"""A review as a comment on a merge request: a table for each cluster, details folded."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator

from pgaas.cli.diff_cells import by_reason, error_lines, heading, hidden, object_title, places, shown, summary
from pgaas.cli.output import out
from pgaas.operations.diff_values import Diff, ObjectChange, TargetDiff, ValueChange
from pgaas.render.marks import Mark

SIGNS = {
    Mark.nothing: "⚪",
    Mark.reload: "🔵",
    Mark.restart: "🟡",
    Mark.disruptive: "🟠",
    Mark.unknown: "🟠",
    Mark.forbidden: "🔴",
}
# GitHub takes 65,536 characters in a comment; what does not fit is counted.
LIMIT = 60_000


def out_markdown(found: Diff) -> None:
    """Print a review that fits into one comment."""
    out(markdown(found))


def markdown(found: Diff) -> str:
    """Return a review of at most LIMIT characters: details go first, then whole clusters."""
    head = ["### pgaas diff", "", f"{SIGNS[found.mark]} {_plain(summary(found))}", ""]
    shown_targets = sorted(
        (target for target in found.targets if not hidden(target)), key=lambda each: -each.mark.rank
    )
    parts, room = list(head), LIMIT - sum(map(len, head)) - 200
    left_out = 0
    for target in shown_targets:
        for text in ("\n".join(_target(target)), "\n".join(_target(target, folded=False))):
            if len(text) < room and not left_out:
                parts.append(text)
                room -= len(text)
                break
        else:
            left_out += 1
    if left_out:
        parts.append(f"… and {left_out} more clusters: the job's log has them all.")
    return "\n".join(parts).rstrip()


def _target(target: TargetDiff, *, folded: bool = True) -> Iterator[str]:
    yield f"#### {SIGNS[target.mark]} {_plain(heading(target))}"
    yield ""
    for line in (*target.notes, *(error_lines(target.error) if target.error else ())):
        yield f"- {_plain(line)}"
    if target.values:
        yield "| effect | value | before | after | written in |"
        yield "| --- | --- | --- | --- | --- |"
        yield from (_row(change) for change in target.values)
        yield ""
        if folded:
            yield from _folded("why", _reasons(target.values))
    if target.objects and folded:
        yield from _folded(f"{len(target.objects)} objects", _objects(target.objects))
    elif target.objects:
        yield f"{len(target.objects)} objects: the job's log has them."
    yield ""


def _row(change: ValueChange) -> str:
    cells = (change.path, shown(change.before), shown(change.after), places(change))
    return f"| {SIGNS[change.mark]} {change.mark.label} | {' | '.join(map(_code, cells))} |"


def _reasons(values: Iterable[ValueChange]) -> Iterator[str]:
    for mark, why, changes in by_reason(values):
        yield f"- {SIGNS[mark]} {', '.join(_code(change.path) for change in changes)}: {_plain(why)}"


def _objects(objects: Iterable[ObjectChange]) -> Iterator[str]:
    for change in objects:
        why = f": {_plain(change.why)}" if change.why and change.action != "new" else ""
        yield f"- {SIGNS[change.mark]} {_plain(object_title(change))}{why}"
        if change.action != "new" and change.lines:
            lines = [line.replace("\r", "\\r") for line in change.lines]
            fence = _fence("\n".join(lines))
            yield from ("", f"{fence}diff", *lines, fence, "")


def _folded(title: str, lines: Iterable[str]) -> Iterator[str]:
    yield from (f"<details><summary>{title}</summary>", "", *lines, "", "</details>", "")


def _fence(text: str, shortest: int = 3) -> str:
    """Return a fence that nothing in the text can close."""
    longest = max((len(found) for found in re.findall("`+", text)), default=0)
    return "`" * max(shortest, longest + 1)


def _code(text: str) -> str:
    """Return text as code in a cell of a table: nothing in it is markup, and it stays in its cell."""
    if text == "-":
        return text
    inner = " ".join(text.split()).replace("\\|", "\\ |").replace("|", "\\|")
    fence, pad = _fence(inner, 1), " " if "`" in inner else ""
    return f"{fence}{pad}{inner}{pad}{fence}"


def _plain(text: str) -> str:
    """Return text in which nothing is markup, nor a mention of somebody."""
    escaped = re.sub(r"([\\`*_{}\[\]<>#|!~])", r"\\\1", html.escape(" ".join(text.split()), quote=False))
    return escaped.replace("@", "@\u200b")
