"""The kinds of rule that the tables of effects are written with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pgaas.config.models.types import check_quantity, quantity_value
from pgaas.render.leaves import Leaf
from pgaas.render.marks import Effect, forbidden, restart, unknown
from pgaas.render.sides import Sides

Rule = Effect | Callable[[Leaf, Sides], Effect]


def comes_or_goes(comes: Rule, goes: Rule, changes: Rule | None = None) -> Rule:
    """Return a rule for what is added, removed, or changed in place (by default as if it went)."""

    def rule(leaf: Leaf, sides: Sides) -> Effect:
        return applied(comes if leaf.added else goes if leaf.removed else changes or goes, leaf, sides)

    return rule


def on_or_off(on: Rule, off: Rule) -> Rule:
    """Return a rule for a switch."""

    def rule(leaf: Leaf, sides: Sides) -> Effect:
        return applied(on if leaf.after is True else off, leaf, sides)

    return rule


def more_or_less(more: Rule, less: Rule, amount: Callable[[Any], float | None]) -> Rule:
    """Return a rule for an amount; one that can't be compared is unknown."""

    def rule(leaf: Leaf, sides: Sides) -> Effect:
        before, after = amount(leaf.before), amount(leaf.after)
        if before is None or after is None:
            return unknown(f"{leaf.before!r} and {leaf.after!r} can't be compared")
        return applied(less if after < before else more, leaf, sides)

    return rule


def applied(rule: Rule, leaf: Leaf, sides: Sides) -> Effect:
    """Return what a rule says."""
    return rule if isinstance(rule, Effect) else rule(leaf, sides)


def bytes_of(value: Any) -> float | None:
    """Return a Kubernetes quantity as a number, or None if it is none."""
    try:
        return quantity_value(check_quantity(str(value)))
    except ValueError:
        return None


def count_of(value: Any) -> float | None:
    """Return a whole number, or None if it is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def identity(what: str) -> Effect:
    """Return the effect of changing what names the thing: it would be another one."""
    return forbidden(f"{what} never changes: with another it would be another cluster")


def rolling(why: str) -> Rule:
    """Return a rule for what is part of every instance's pod."""

    def rule(_: Leaf, sides: Sides) -> Effect:
        return restart(f"{why}: {sides.how_restarted}")

    return rule
