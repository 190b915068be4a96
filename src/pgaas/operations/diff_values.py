"""What one target's change is: its values, its objects, the mark of each, and where it was written."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from pgaas.config.naming import Target, cluster_name
from pgaas.config.resolved import ResolvedClient
from pgaas.errors import ConfigIssue, PgaasError
from pgaas.kube.difference import Change
from pgaas.kube.resources import Object
from pgaas.render.effects import SECRETS, effect_of
from pgaas.render.effects_objects import FieldEffect, marks_of, object_effects, why_of
from pgaas.render.leaves import Leaf, changed_leaves
from pgaas.render.marks import Mark, worst
from pgaas.render.sides import Sides, Tree
from pgaas.render.sources import Place, Written, places_of

MASKED = "***"
NO_LONGER = "no longer in confs: its cluster runs on, and nothing keeps it any more (pgaas delete removes it)"

State = Literal["changed", "unchanged", "new", "removed", "failed"]


@dataclass(frozen=True)
class ValueChange:
    """One changed value: None stands for what is not there; secrets are masked."""

    path: str
    before: Any
    after: Any
    mark: Mark
    why: str
    places: tuple[Place, ...] = ()


@dataclass(frozen=True)
class ObjectChange:
    """One object that would be created, changed or removed; `fields` has its single fields' effects."""

    kind: str
    name: str
    action: str
    mark: Mark
    why: str
    lines: tuple[str, ...]
    fields: tuple[FieldEffect, ...] = ()


@dataclass(frozen=True)
class TargetDiff:
    """What changes for one target; `error` is why it could not be told."""

    target: Target
    state: State
    values: tuple[ValueChange, ...] = ()
    objects: tuple[ObjectChange, ...] = ()
    notes: tuple[str, ...] = ()
    error: PgaasError | None = field(default=None, compare=False)

    @property
    def cluster(self) -> str:
        """Return the Cluster's name."""
        return cluster_name(self.target)

    @property
    def mark(self) -> Mark:
        """Return the worst that the change does."""
        if self.state == "removed":
            return Mark.disruptive
        return worst([*(each.mark for each in self.values), *(each.mark for each in self.objects)])


@dataclass(frozen=True)
class Diff:
    """The change of all targets that were looked at, and what it was compared with.

    `issues` are those of confs that keep other targets from being looked at.
    """

    compared: str
    targets: tuple[TargetDiff, ...]
    live: bool = False
    issues: tuple[ConfigIssue, ...] = ()

    @property
    def mark(self) -> Mark:
        """Return the worst that the change does to any target."""
        return worst(target.mark for target in self.targets)

    def of(self, *states: State) -> list[TargetDiff]:
        """Return the targets in some states."""
        return [target for target in self.targets if target.state in states]


def value_changes(
    before: Tree, after: Tree, later: ResolvedClient | None = None, earlier: ResolvedClient | None = None
) -> tuple[ValueChange, ...]:
    """Return what differs between two values trees, the worst first, with its places if confs are at hand."""
    sides = Sides(before, after)
    leaves = list(changed_leaves(before, after))
    written = (Written(later) if later and leaves else None, Written(earlier) if earlier and leaves else None)
    changes = [_change(leaf, sides, *written) for leaf in leaves]
    return tuple(sorted(changes, key=lambda change: -change.mark.rank))


def _change(leaf: Leaf, sides: Sides, later: Written | None, earlier: Written | None) -> ValueChange:
    effect = effect_of(leaf, sides)
    before, after = (_shown(leaf, value) for value in (leaf.before, leaf.after))
    places = places_of(leaf, later, earlier)
    return ValueChange(".".join(leaf.path), before, after, effect.mark, effect.why, places)


def _shown(leaf: Leaf, value: Any) -> Any:
    if value is None:
        return None
    for secret in SECRETS:
        if leaf.path == secret:
            return MASKED
    return value


def object_changes(changes: Iterable[Change], before: Tree, after: Tree) -> tuple[ObjectChange, ...]:
    """Return what would become of each live object."""
    sides = Sides(before, after)
    return tuple(_object(change, sides) for change in changes)


def _object(change: Change, sides: Sides) -> ObjectChange:
    name = _sides_name(change.kind, change.name, change.after or change.before or {})
    fields = object_effects(change.kind, name, change.action, change.before, change.after, sides)
    mark, why = worst(marks_of(fields)), ""
    if change.conflict:
        who = "the API server" if change.action == "refused" else "helm"
        mark, why = Mark.forbidden, f"{who} would refuse it: {change.conflict}"
    return ObjectChange(
        change.kind,
        change.name,
        change.action,
        mark,
        why or why_of(fields, mark),
        change.lines,
        tuple(fields),
    )


def _sides_name(kind: str, name: str, obj: Object) -> str:
    """Return what the values call an object: a Database by its name in PostgreSQL."""
    spec = obj.get("spec")
    if kind == "Database" and isinstance(spec, dict):
        return str(spec.get("name", name))
    return name
