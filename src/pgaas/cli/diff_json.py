"""A review for a program."""

from __future__ import annotations

from typing import Any

from pgaas.operations.diff_values import Diff, ObjectChange, TargetDiff, ValueChange


def as_json(found: Diff) -> dict[str, Any]:
    """Return a review; null stands for a value that is not there, and secrets are masked."""
    return {
        "compared": found.compared,
        "live": found.live,
        "mark": found.mark.value,
        "targets": [_target(target) for target in found.targets],
        "issues": [issue._asdict() for issue in found.issues],
    }


def _target(target: TargetDiff) -> dict[str, Any]:
    return {
        **target.target._asdict(),
        "cluster": target.cluster,
        "state": target.state,
        "mark": target.mark.value,
        "values": [_value(change) for change in target.values],
        "objects": [_object(change) for change in target.objects],
        "notes": list(target.notes),
        "error": target.error.what if target.error else None,
        "issues": [issue._asdict() for issue in getattr(target.error, "issues", ())],
    }


def _value(change: ValueChange) -> dict[str, Any]:
    places = [
        {"file": each.file, "line": each.line or None, "path": each.path, "gone": each.gone}
        for each in change.places
    ]
    return {
        "path": change.path,
        "before": change.before,
        "after": change.after,
        "mark": change.mark.value,
        "why": change.why,
        "places": places,
    }


def _object(change: ObjectChange) -> dict[str, Any]:
    return {
        "kind": change.kind,
        "name": change.name,
        "action": change.action,
        "mark": change.mark.value,
        "why": change.why,
        "fields": [
            {"field": each.field, "mark": each.effect.mark.value, "why": each.effect.why}
            for each in change.fields
        ],
        "diff": list(change.lines),
    }
