"""What a cluster that is restored beside its source may be called, and until when it can be restored."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime

from pgaas.config.environments import CODE, DATACENTER, FIXED_ENVIRONMENTS
from pgaas.config.naming import CLUSTER_NAME_LIMIT, DNS_1035_LABEL, Target, cluster_name
from pgaas.errors import UsageError

# RFC 3339, with a blank for the T as PostgreSQL writes it, and fractions down to PostgreSQL's microseconds.
MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?"
    r"(?P<zone>[Zz]|[+-][0-9]{2}:[0-9]{2})?",
    re.ASCII,
)
EXAMPLE = "2026-11-28T14:30:00Z"
YEARS = range(2000, 9001)


def check_restored_name(name: str, targets: Iterable[Target], datacenters: Iterable[str]) -> None:
    """Raise UsageError if a restored cluster can't be called so.

    It must be no cluster's that pgaas makes, now or later, and neither may begin with the other: what belongs
    to a cluster is found by how its name begins.
    """
    if not DNS_1035_LABEL.fullmatch(name) or len(name) > CLUSTER_NAME_LIMIT:
        raise UsageError(
            f"--as {name[:80]!r} is no name for a cluster: it takes lower-case letters, digits and '-', "
            f"begins with a letter, ends in a letter or digit, {CLUSTER_NAME_LIMIT} in all",
            next_step="such as --as before-the-drop",
        )
    known = set(targets)
    for own in sorted({cluster_name(target) for target in known}):
        if own == name:
            raise UsageError(
                f"--as {name}: pgaas has a cluster of this name, and a restore goes beside it, never over it",
                next_step="choose another name, such as --as before-the-drop",
            )
        if name.startswith(f"{own}-") or own.startswith(f"{name}-"):
            raise UsageError(
                f"--as {name}: one name begins with the other, and its objects would be taken for {own}'s",
                next_step=f"begin differently, such as --as {_suggested(name)}",
            )
    if _is_kept(name, {target.env for target in known}, datacenters):
        raise UsageError(
            f"--as {name}: names of this form, ENV-INS-DC, are kept for clients' own clusters",
            next_step="choose another name, such as --as before-the-drop",
        )


def parse_moment(text: str) -> datetime:
    """Return a time with its zone, in UTC. Raise UsageError for anything else."""
    found = MOMENT.fullmatch(text.strip())
    if not found:
        raise UsageError(
            f"--to-time {text[:80]!r} is no time as RFC 3339 has it",
            next_step=f"write it with its zone, such as --to-time {EXAMPLE} or …+02:00",
        )
    if not found["zone"]:
        raise UsageError(
            f"--to-time {text.strip()} has no zone: an hour off would be another database",
            next_step=f"add Z for UTC, or an offset: --to-time {text.strip().replace(' ', 'T')}Z or …+02:00",
        )
    try:
        moment = datetime.fromisoformat(text.strip().upper())
    except ValueError as error:
        raise UsageError(
            f"--to-time {text.strip()}: there is no such time ({error})", next_step=f"such as {EXAMPLE}"
        ) from error
    if moment.year not in YEARS:
        raise UsageError(f"--to-time {text.strip()}: not in these years", next_step=f"such as {EXAMPLE}")
    return moment.astimezone(UTC)


def moment_text(moment: datetime) -> str:
    """Return a time as CloudNativePG takes it, to the microsecond."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}Z"


def label_value(text: str) -> str:
    """Return a text as a label may hold it."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", text)[:63].strip("-_.")


def _is_kept(name: str, environments: set[str], datacenters: Iterable[str]) -> bool:
    env, _, rest = name.partition("-")
    ins, _, dc = rest.partition("-")
    if not (CODE.fullmatch(env) and CODE.fullmatch(ins) and DATACENTER.fullmatch(dc)):
        return False
    return env in {*FIXED_ENVIRONMENTS, *environments} or dc in set(datacenters)


def _suggested(name: str) -> str:
    """Return a name that no cluster's begins with."""
    shown = f"restored-{name}"
    return shown if len(shown) <= CLUSTER_NAME_LIMIT else "before-the-drop"
