"""A review without a cluster: two revisions of confs, or two folders of generated values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pgaas.config.environments import USERS_FOLDER
from pgaas.config.load import read_document
from pgaas.config.naming import Target
from pgaas.config.resolve import ConfigCache, resolve_client
from pgaas.config.resolved import ResolvedClient
from pgaas.config.targets import find_targets
from pgaas.config.users import Users, users_of
from pgaas.errors import ConfigError, ConfigIssue, PgaasError, UsageError
from pgaas.operations.diff_revision import revision
from pgaas.operations.diff_select import Selection
from pgaas.operations.diff_values import NO_LONGER, Diff, TargetDiff, ValueChange, value_changes
from pgaas.operations.fleet_rows import RECORD
from pgaas.operations.progress import Progress, step
from pgaas.render.build import build_values
from pgaas.render.marks import Mark
from pgaas.render.sides import Tree, at
from pgaas.render.write import GENERATED_FOLDER

VALUES_LIMIT = 4 * 1024 * 1024


@dataclass(frozen=True)
class Half:
    """One side of a target: its values and, where they were made here, what they were made of."""

    values: Tree
    resolved: ResolvedClient | None = None


Find = Callable[[Target], Half | None]


class Confs:
    """One side's confs; `whose` stands before each of its issues but those of `shared` files."""

    def __init__(self, root: Path, whose: str = "", shared: Users | None = None) -> None:
        self._root = root
        self._whose = whose
        self._shared = shared.called("") if shared else ""
        self._cache = ConfigCache()
        targets, issues = find_targets(root, None, self._cache)
        self.targets = dict.fromkeys(targets)
        self.issues = [self._named(issue) for issue in issues]

    def find(self, target: Target) -> Half | None:
        """Return a target's values, or None if confs have no such target. Raise ConfigError for its issues.

        With issues anywhere, nobody can say that a target is not there.
        """
        if target not in self.targets:
            if self.issues:
                raise ConfigError(self.issues)
            return None
        try:
            resolved = resolve_client(self._root, target, self._cache)
        except ConfigError as error:
            raise ConfigError([self._named(issue) for issue in error.issues]) from error
        return Half(build_values(resolved).plain(), resolved)

    def _named(self, issue: ConfigIssue) -> ConfigIssue:
        if self._shared and issue.file.startswith(self._shared):
            return issue
        return issue._replace(file=f"{self._whose}{issue.file}")


def against(root: Path, name: str, chosen: Selection, progress: Progress) -> Diff:
    """Compare the confs below root, as they lie there, with those of another revision.

    Where the clients' files are in a clone of their own, both sides have those that lie there. A target whose
    confs have issues, on either side, is a row. Raise UsageError for a revision that Git does not know,
    ToolMissing or ToolFailed for git.
    """
    users = users_of(root)
    shared = users if users.folder != root / USERS_FOLDER else None
    with revision(root, name, progress, users=shared) as (folder, commit):
        if shared:
            progress.note(f"both sides have the clients' files of {shared.name}")
        old, new = Confs(folder, f"{name}:", shared), Confs(root)
        issues = [*dict.fromkeys([*new.issues, *old.issues])]
        targets = [*new.targets, *old.targets]
        if not issues:
            chosen.check(targets, where=str(root))
        rows = _rows(targets, chosen, old.find, new.find, progress)
    # Whoever names clusters waits for those alone.
    alone = chosen != Selection() and rows
    return Diff(f"{name} ({commit[:12]})", tuple(rows), issues=() if alone else tuple(issues))


def folders(before: Path, after: Path, chosen: Selection, progress: Progress) -> Diff:
    """Compare two folders that `generate --all` wrote (confs/_generated, or a root with one in it).

    Raise UsageError for a folder that holds no values.
    """
    files = _values_files(before), _values_files(after)
    targets = [*files[1], *files[0]]
    chosen.check(targets, where=f"{before} and {after}")
    rows = _rows(targets, chosen, _reader(files[0]), _reader(files[1]), progress, same=_same_bytes(*files))
    return Diff(str(before), tuple(rows))


def _rows(
    targets: Iterable[Target],
    chosen: Selection,
    old: Find,
    new: Find,
    progress: Progress,
    *,
    same: Callable[[Target], bool] = lambda _: False,
) -> list[TargetDiff]:
    wanted = [target for target in dict.fromkeys(targets) if chosen.has(target)]
    rows = []
    with step(progress, f"comparing {len(wanted)} clusters") as outcome:
        for number, target in enumerate(wanted, start=1):
            rows.append(TargetDiff(target, "unchanged") if same(target) else _compared(target, old, new))
            progress.advanced(number, len(wanted))
        if failed := sum(row.state == "failed" for row in rows):
            outcome.problem = f"{failed} could not be compared"
    return rows


def _compared(target: Target, old: Find, new: Find) -> TargetDiff:
    try:
        after, before = new(target), old(target)
    except PgaasError as error:
        return TargetDiff(target, "failed", error=error)
    if after is None:
        return TargetDiff(target, "removed", notes=(NO_LONGER,))
    if before is None:
        return TargetDiff(target, "new")
    found = value_changes(before.values, after.values, after.resolved, before.resolved)
    # Every commit of any client moves the record of where all clients' files came from.
    values = (*_other_server(target, before, after), *(each for each in found if each.path != RECORD))
    return TargetDiff(target, "changed" if values else "unchanged", values)


def _other_server(target: Target, before: Half, after: Half) -> Iterator[ValueChange]:
    """Return that a target's context is another one, which no value of the chart tells."""
    if before.resolved and after.resolved:
        both = (before.resolved.datacenters, after.resolved.datacenters)
        was, will = (each.datacenters[target.dc].kube_context for each in both)
        if was != will:
            why = "unless that is the same API server by another name, the cluster is made anew on it"
            yield ValueChange(f"datacenters.{target.dc}.kubeContext", was, will, Mark.unknown, why)


def _values_files(folder: Path) -> dict[Target, Path]:
    """Return the values files below a folder: INS-ENV/DC/values.yaml."""
    inner = folder / GENERATED_FOLDER
    place = inner if inner.is_dir() else folder
    found: dict[Target, Path] = {}
    for path in sorted(place.glob("*/*/values.yaml")):
        ins, dash, env = path.parts[-3].partition("-")
        if dash:
            found[Target(ins, env, path.parts[-2])] = path
    if not found:
        raise UsageError(
            "holds no generated values (INS-ENV/DC/values.yaml)",
            where=str(folder),
            next_step="name what `pgaas generate --all` wrote: confs/_generated, or a copy of it",
        )
    return found


def _reader(files: dict[Target, Path]) -> Find:
    def find(target: Target) -> Half | None:
        path = files.get(target)
        return None if path is None else Half(_read(path, target))

    return find


def _read(path: Path, target: Target) -> Tree:
    document = read_document(path, path.parent, VALUES_LIMIT)
    place = [issue._replace(file=str(path)) for issue in document.issues]
    if document.data is None or place:
        raise ConfigError(place)
    whose = [_text(at(document.data, "target", key)) for key in target._fields]
    if whose != list(target):
        message = f"holds the values of {'/'.join(whose)}, not of {target}"
        raise ConfigError([ConfigIssue(str(path), document.line(("target",)), "target", message)])
    return document.data


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "?"


def _same_bytes(old: dict[Target, Path], new: dict[Target, Path]) -> Callable[[Target], bool]:
    """Return whether a target's two files are the same, which costs far less to tell than to parse them."""

    def same(target: Target) -> bool:
        try:
            return target in old and target in new and old[target].read_bytes() == new[target].read_bytes()
        except OSError:
            return False

    return same
