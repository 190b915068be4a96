"""What each changed value does to a running cluster: the table, and how a leaf finds its rule.

Every leaf of GeneratedValues that can change has a rule here, and a test walks the models to see to it. What
CloudNativePG does is what its 1.30 does (internal/controller/cluster_upgrade.go: what differs in a pod's
spec is a rolling restart; internal/webhook/v1/cluster_webhook.go: what is refused).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache

from pgaas.render.effects_access import ACCESS
from pgaas.render.effects_archive import ARCHIVE
from pgaas.render.effects_cluster import CLUSTER
from pgaas.render.effects_pgadmin import PGADMIN
from pgaas.render.leaves import Leaf, Path
from pgaas.render.marks import Effect, unknown
from pgaas.render.sides import Sides

Rule = Effect | Callable[[Leaf, Sides], Effect]
# By path; `*` stands for any name, of a parameter, a role, a key. The first that fits decides.
RULES: Mapping[str, Rule] = {**CLUSTER, **ACCESS, **ARCHIVE, **PGADMIN}
NO_RULE = unknown("pgaas does not know what this does")
# What is never shown: the values, not the keys.
SECRETS = frozenset(
    {
        ("s3", "accessKey"),
        ("s3", "secretKey"),
        ("pgadmin4", "defaultPassword", "value"),
        ("pgadmin4", "ldap", "bindPassword", "value"),
    }
)


def effect_of(leaf: Leaf, sides: Sides) -> Effect:
    """Return what a changed leaf does; one without a rule is unknown, never nothing."""
    rule = rule_for(leaf.path)
    if rule is None:
        return NO_RULE
    return rule if isinstance(rule, Effect) else rule(leaf, sides)


@cache
def rule_for(path: Path) -> Rule | None:
    """Return the rule of a path of the values, or None."""
    return next((rule for parts, rule in _by_length().get(len(path), ()) if fits(parts, path)), None)


@cache
def _by_length() -> dict[int, list[tuple[Path, Rule]]]:
    found: dict[int, list[tuple[Path, Rule]]] = {}
    for pattern, rule in RULES.items():
        parts = tuple(pattern.split("."))
        found.setdefault(len(parts), []).append((parts, rule))
    return found


def fits(pattern: Iterable[str], path: Path) -> bool:
    """Whether a path is one of a pattern's, of the same length."""
    return all(part in ("*", name) for part, name in zip(pattern, path, strict=True))
