"""Review a change: what it does to each cluster, before anybody applies it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pgaas.errors import ConfigError, ConfigIssue, PgaasError, RefusedAsUnsafe, UsageError
from pgaas.operations.diff_select import Selection
from pgaas.operations.diff_values import Diff
from pgaas.operations.progress import Progress
from pgaas.render.marks import Mark


@dataclass(frozen=True)
class Comparison:
    """What is compared: confs with a revision, one folder with another, or, by default, with what is live."""

    against: str | None = None
    before: Path | None = None
    after: Path | None = None

    def check(self) -> None:
        """Raise UsageError if it is several at once, or half of one."""
        if (self.before is None) != (self.after is None):
            raise UsageError(
                "--before and --after belong together",
                next_step="name both: what `pgaas generate --all` wrote before the change, and after it",
            )
        if self.against is not None and self.before is not None:
            raise UsageError("--against takes no --before and --after", next_step="leave one of them out")


def diff(root: Path | None, chosen: Selection, comparison: Comparison, progress: Progress) -> Diff:
    """Return what changes for the chosen targets; nothing is changed, and one that can't be told is a row.

    The root is not needed for two folders. Raise UsageError, ToolMissing or ToolFailed where nothing can be
    told at all.
    """
    comparison.check()
    if comparison.before and comparison.after:
        from pgaas.operations.diff_offline import folders

        return folders(comparison.before, comparison.after, chosen, progress)
    if root is None:
        raise AssertionError("only two folders need no root")
    if comparison.against is not None:
        from pgaas.operations.diff_offline import against

        return against(root, comparison.against, chosen, progress)
    from pgaas.operations.diff_live import live

    return live(root, chosen, progress)


def refuse_from(found: Diff, limit: Mark | None) -> None:
    """Raise RefusedAsUnsafe if the change does what was asked to fail for, or worse.

    Otherwise raise for the targets that could not be told: ConfigError for issues of confs, and what the
    first of the others failed with.
    """
    guilty = [target for target in found.targets if limit and target.mark.rank >= limit.rank]
    if guilty:
        some = ", ".join(f"{each.target} ({each.mark.label})" for each in guilty[:5])
        more = f" and {len(guilty) - 5} more" if len(guilty) > 5 else ""
        raise RefusedAsUnsafe(
            f"the change does what --fail-on {limit} is there to stop: {some}{more}",
            next_step="review what is listed; what is meant needs a --fail-on that lets it pass, or none",
        )
    failed = [target.error for target in found.targets if target.error]
    issues: dict[ConfigIssue, None] = dict.fromkeys(found.issues)
    for error in failed:
        if isinstance(error, ConfigError):
            issues.update(dict.fromkeys(error.issues))
    if issues:
        raise ConfigError(list(issues), next_step="mend them; the other clusters were compared")
    if failed:
        raise _summed(failed)


def _summed(failed: list[PgaasError]) -> PgaasError:
    first = failed[0]
    if len(failed) == 1:
        return first
    return type(first)(
        f"{len(failed)} clusters could not be compared; the first: {first.what}",
        where=first.where,
        next_step=first.next_step,
    )
