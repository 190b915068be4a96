"""A review for a terminal, or a job's log."""

from __future__ import annotations

from pgaas.cli.diff_cells import by_reason, error_lines, heading, hidden, places, shown, summary
from pgaas.cli.objects import out_object
from pgaas.cli.output import out, out_table
from pgaas.operations.diff_values import Diff, TargetDiff


def out_text(found: Diff) -> None:
    """Print each cluster that something happens to, and the sum."""
    for target in found.targets:
        if not hidden(target):
            _out_target(target)
    out(summary(found))


def _out_target(target: TargetDiff) -> None:
    out(heading(target))
    for line in (*target.notes, *(error_lines(target.error) if target.error else ())):
        out(f"  {line}")
    for mark, why, changes in by_reason(target.values):
        out(f"  {mark.label}: {why}")
        columns = ("    value", "before", "after", "written in")
        out_table(
            columns,
            [(f"    {each.path}", shown(each.before), shown(each.after), places(each)) for each in changes],
        )
    for change in target.objects:
        # All lines of an object that is new are new: its name says enough.
        lines = () if change.action == "new" else change.lines
        why = f" ({change.why})" if change.why and change.action != "new" else ""
        out_object(change.kind, change.name, change.action, lines, mark=f"{change.mark.label}{why}")
    out("")
