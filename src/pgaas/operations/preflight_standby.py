"""The preflight check of the settings that a standby needs at least as high as its primary.

PostgreSQL stops replaying on a standby with less, and does not start one: the replica would fall behind for
good, or fail at the next restart, on the other side of where somebody changed something.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pgaas.config.settings import STANDBY_DEFAULTS
from pgaas.errors import RefusedAsUnsafe
from pgaas.kube.resources import Object, dig, name_of
from pgaas.operations.rows import Row

NAME = "standby settings"


def standby_settings(wanted: Mapping[str, str], other_live: Object | None, follows: bool) -> Row:
    """Compare the parameters that would be applied with those of the live Cluster in the other datacenter.

    `follows` says that they are the replica's, and the other is the primary; otherwise it is the reverse.
    """
    if other_live is None:
        return Row(NAME, "ok", "there is no cluster in the other datacenter yet")
    live = dig(other_live, "spec", "postgresql", "parameters", default={})
    other = name_of(other_live)
    strange = [*_strange(wanted, "what would be applied"), *_strange(live, other)]
    if strange:
        return Row(NAME, "warning", "; ".join(strange), "write whole numbers, so that they can be compared")
    too_low = list(_too_low(wanted, live) if follows else _too_low(live, wanted))
    if not too_low:
        return Row(NAME, "ok", f"{'at least' if follows else 'at most'} as high as {other}'s")
    differences = ", ".join(f"{name} {here} < {there}" for name, here, there in too_low)
    names = ", ".join(name for name, *_ in too_low)
    if follows:
        detail = (
            f"a replica needs at least what its primary {other} has, or it stops replaying: {differences}"
        )
        next_step = f"set {names} at least as high, or lower the primary first: {_command(other_live)}"
    else:
        detail = f"the replica {other} would have less than its primary, and stop replaying: {differences}"
        next_step = f"raise the replica first: {_command(other_live)}"
    return Row(NAME, "failed", detail, next_step, RefusedAsUnsafe)


def _too_low(replica: Mapping[str, str], primary: Mapping[str, str]) -> Iterator[tuple[str, int, int]]:
    for name in STANDBY_DEFAULTS:
        here, there = _value(replica, name), _value(primary, name)
        if here < there:
            yield name, here, there


def _value(parameters: Mapping[str, str], name: str) -> int:
    return int(parameters.get(name, STANDBY_DEFAULTS[name]))


def _strange(parameters: Mapping[str, str], whose: str) -> Iterator[str]:
    """Name what PostgreSQL may take, such as 1e2, and this comparison does not."""
    for name in STANDBY_DEFAULTS:
        try:
            _value(parameters, name)
        except (TypeError, ValueError):
            yield f"{name} of {whose} is {parameters[name]!r}"


def _command(live: Object) -> str:
    labels = dig(live, "metadata", "labels", default={})
    found = [(part, labels.get(f"pgaas.io/{part}")) for part in ("ins", "env", "dc")]
    options = " ".join(f"--{part} {value}" for part, value in found if value)
    return f"pgaas create {options or f'for {name_of(live)}'}"
