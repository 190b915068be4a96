"""What a change does to a running cluster, from nothing to what pgaas or the operator refuses."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple


class Mark(StrEnum):
    """What a change does, mildest first; one that nobody has judged counts as disruptive."""

    nothing = "nothing"
    reload = "reload"
    restart = "restart"
    disruptive = "disruptive"
    unknown = "unknown"
    forbidden = "forbidden"

    @property
    def label(self) -> str:
        """Return the mark as people read it."""
        return "rolling restart" if self is Mark.restart else self.value

    @property
    def rank(self) -> int:
        """Return how bad it is: what is unknown is as bad as what is disruptive."""
        order = (Mark.nothing, Mark.reload, Mark.restart, Mark.disruptive, Mark.forbidden)
        return order.index(Mark.disruptive if self is Mark.unknown else self)


class Effect(NamedTuple):
    """A mark, and why."""

    mark: Mark
    why: str


def worst(marks: Iterable[Mark]) -> Mark:
    """Return the worst of some marks; no change does nothing. What is known is named before what is not."""
    return max(marks, key=lambda mark: (mark.rank, mark is Mark.disruptive), default=Mark.nothing)


def nothing(why: str) -> Effect:
    """Return that nothing that runs notices."""
    return Effect(Mark.nothing, why)


def reload(why: str) -> Effect:
    """Return that it is taken up without a restart."""
    return Effect(Mark.reload, why)


def restart(why: str) -> Effect:
    """Return that every instance restarts."""
    return Effect(Mark.restart, why)


def disruptive(why: str) -> Effect:
    """Return that somebody loses a connection, a right, a name or a backup."""
    return Effect(Mark.disruptive, why)


def unknown(why: str) -> Effect:
    """Return that it is not known what it does."""
    return Effect(Mark.unknown, why)


def forbidden(why: str) -> Effect:
    """Return that it is refused, or must not be made this way."""
    return Effect(Mark.forbidden, why)
