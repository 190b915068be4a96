"""What a status is made of, from objects as the API server would give them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pgaas.operations.status_parts import backup_trouble

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def due(late: timedelta) -> str:
    return (NOW - late).isoformat().replace("+00:00", "Z")


@pytest.mark.parametrize(
    ("scheduled", "said"),
    [
        (None, "no ScheduledBackup"),
        ({"spec": {"suspend": True}, "status": {"nextScheduleTime": due(timedelta(0))}}, "suspended"),
        ({"spec": {}, "status": {"nextScheduleTime": due(timedelta(minutes=61))}}, "none was started"),
    ],
)
def test_backups_that_will_not_come_are_told(scheduled: dict[str, object] | None, said: str) -> None:
    assert said in backup_trouble(scheduled, NOW)


@pytest.mark.parametrize("late", [timedelta(hours=-13), timedelta(0), timedelta(minutes=59)])
def test_a_backup_that_is_due_soon_or_was_just_now_is_no_trouble(late: timedelta) -> None:
    assert backup_trouble({"spec": {}, "status": {"nextScheduleTime": due(late)}}, NOW) == ""


def test_a_schedule_that_the_operator_has_not_seen_yet_is_no_trouble() -> None:
    assert backup_trouble({"spec": {}}, NOW) == ""
