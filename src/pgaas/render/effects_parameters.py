"""What a changed parameter of PostgreSQL's does: its context decides, and what a standby needs."""

from __future__ import annotations

from pgaas.config.settings import STANDBY_DEFAULTS, context, library_of
from pgaas.render.leaves import Leaf
from pgaas.render.marks import Effect, Mark, forbidden, reload, restart, unknown
from pgaas.render.sides import Sides

# pg_settings.context: https://www.postgresql.org/docs/current/view-pg-settings.html
RELOADED = {
    "sighup": "PostgreSQL takes it up when it reloads",
    "superuser": "open sessions take it up too, unless they have set it themselves",
    "user": "open sessions take it up too, unless they have set it themselves",
    "backend": "sessions that begin after the reload have it",
    "superuser-backend": "sessions that begin after the reload have it",
}


def parameter(leaf: Leaf, sides: Sides) -> Effect:
    """Return what a parameter that was added, changed or removed does."""
    name, major = leaf.path[-1], sides.major
    if name == "wal_level" and leaf.after == "minimal":
        return forbidden("the operator refuses wal_level minimal: without WAL there is no archive")
    if (library := library_of(name)) and _only(library, sides):
        verb = "preloads" if leaf.added else "no longer preloads"
        return restart(f"the operator {verb} {library}; {sides.how_restarted}")
    found = context(name, major)
    if found in RELOADED:
        return reload(RELOADED[found])
    if found == "postmaster":
        return _restarted(name, leaf, sides)
    if found == "internal":
        return forbidden(f"PostgreSQL {major} refuses it: it can't be set")
    if "." in name:
        return unknown(f"{name} belongs to an extension that pgaas does not know")
    return unknown(f"PostgreSQL {major} is not known to have it: with one that it lacks, it does not start")


def _only(library: str, sides: Sides) -> bool:
    """Whether one side alone has parameters of a library: then it is preloaded on that side alone."""
    used = [
        any(library_of(name) == library for name in sides.parameters(tree))
        for tree in (sides.before, sides.after)
    ]
    return used[0] != used[1]


def _restarted(name: str, leaf: Leaf, sides: Sides) -> Effect:
    if name not in STANDBY_DEFAULTS:
        return restart(sides.how_restarted)
    before, after = (_number(name, value) for value in (leaf.before, leaf.after))
    if before is None or after is None or before == after:
        return restart(f"standbys need at least what their primary has; {sides.how_restarted}")
    first, other = ("standbys", "raise") if after > before else ("primary", "lower")
    how = sides.how_restarted
    if after < before and sides.instances > 1:
        how = "the primary restarts first, in place: no writes meanwhile; then the standbys"
    if sides.replicated:
        side = "replica" if after > before else "primary"
        how += f"; {other} it in the datacenter of the {side} first (create refuses the other order)"
    elif sides.instances > 1 and after > before:
        how = f"the {first} first; {how}"
    return Effect(Mark.restart, how)


def _number(name: str, value: object) -> int | None:
    try:
        return STANDBY_DEFAULTS[name] if value is None else int(str(value))
    except ValueError:
        return None
