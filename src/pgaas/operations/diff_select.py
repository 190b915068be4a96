"""Which targets a review is about."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pgaas.config.environments import known, nearest
from pgaas.config.naming import Target
from pgaas.errors import UsageError


@dataclass(frozen=True)
class Selection:
    """What the user named; nothing named stands for all."""

    clients: tuple[str, ...] = ()
    env: str | None = None
    dc: str | None = None

    def has(self, target: Target) -> bool:
        """Whether a target is one of those that were named."""
        return (
            (not self.clients or target.ins in self.clients)
            and self.env in (None, target.env)
            and self.dc in (None, target.dc)
        )

    def check(self, targets: Iterable[Target], *, where: str) -> None:
        """Raise UsageError if something was named that no target has, or nothing fits all that was named."""
        every = list(targets)
        for ins in self.clients:
            _known("--ins", ins, [target.ins for target in every], where)
        if self.env is not None:
            _known("--env", self.env, [target.env for target in every], where)
        if self.dc is not None:
            _known("--dc", self.dc, [target.dc for target in every], where)
        if every and not any(map(self.has, every)):
            raise UsageError(
                "no cluster fits all of --ins, --env and --dc",
                where=where,
                next_step="leave one of them out, or use --all",
            )


def selection(clients: Iterable[str], env: str | None, dc: str | None, *, everyone: bool) -> Selection:
    """Return what was named, clients with commas or not. Raise UsageError if it is nothing, or too much."""
    names = tuple(
        dict.fromkeys(name.strip() for given in clients for name in given.split(",") if name.strip())
    )
    found = Selection(names, env, dc)
    if everyone and found != Selection():
        raise UsageError("--all takes no --ins, --env and --dc", next_step="leave one of them out")
    if not everyone and found == Selection():
        raise UsageError(
            "nothing says which clusters", next_step="name some with --ins, --env or --dc, or use --all"
        )
    return found


def _known(flag: str, name: str, names: list[str], where: str) -> None:
    there = sorted(set(names))
    if name not in there:
        raise UsageError(
            f"{flag} {name!r}: there is no such cluster{nearest(name, there)}",
            where=where,
            next_step=known(there),
        )
