"""`pgaas events` with fake API servers."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.cli.daily import CLIENT, HERE, Daily
from tests.cli.support import Ran
from tests.unit.kube.fakes import failure

from pgaas.cli.events import shown_age
from pgaas.kube.resources import BACKUP, EVENT

Run = Callable[..., Ran]
ASKED = ("events", *CLIENT)
LIST = "GET /api/v1/namespaces/ic1-local/events"
PATIENCE = 60.0


def ago(seconds: float) -> str:
    return f"{datetime.now(UTC) - timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%SZ}"


def event(daily: Daily, name: str, kind: str, reason: str, *, seconds: float = 60, **content: Any) -> None:
    """Let a component note something about an object."""
    about = {"kind": kind, "name": name}
    uid = f"{name}-{reason}"
    daily.put(
        HERE,
        EVENT,
        uid.lower(),
        metadata={"uid": uid},
        involvedObject=about,
        reason=reason,
        **(
            {"type": "Normal", "message": f"{reason} it", "count": 1, "lastTimestamp": ago(seconds)} | content
        ),
    )


@pytest.fixture
def noted(daily: Daily) -> Daily:
    event(daily, "local-ic1-local1-1", "Pod", "Unhealthy", seconds=30, type="Warning", count=7)
    event(daily, "local-ic1-local1", "Cluster", "CreatingInstance", seconds=4000)
    event(daily, "local-ic1-local1-client-app-user", "Certificate", "Issuing", seconds=300)
    event(daily, "ic1-local-local1", "ObjectStore", "Checked", seconds=200)
    daily.put(HERE, BACKUP, "by-hand", spec={"cluster": {"name": "local-ic1-local1"}})
    daily.put(HERE, BACKUP, "of-another", spec={"cluster": {"name": "local-ic1-local10"}})
    event(daily, "by-hand", "Backup", "Completed", seconds=100)
    event(daily, "of-another", "Backup", "Completed")
    event(daily, "local-ic1-local10-1", "Pod", "Started")
    # The newer way of writing: a series, and no count.
    event(
        daily,
        "local-ic1-local1-1",
        "PersistentVolumeClaim",
        "Bound",
        count=None,
        lastTimestamp=None,
        eventTime=ago(900),
        series={"count": 3, "lastObservedTime": ago(150)},
    )
    return daily


def test_what_concerns_the_cluster_is_shown_newest_last(noted: Daily, pgaas: Run) -> None:
    ran = pgaas(*ASKED)
    assert (ran.code, ran.err) == (0, "")
    header, *rows = [line.split() for line in ran.out.splitlines()]
    assert header == ["age", "count", "object", "reason", "message"]
    assert [row[row.index("it") - 2] for row in rows] == [
        "CreatingInstance",
        "Issuing",
        "Checked",
        "Bound",
        "Completed",
        "Unhealthy",
    ]
    assert rows[-1][0] == "!"
    assert rows[0][:3] == ["66m", "1", "Cluster"]
    assert rows[3][1] == "3"
    assert "local10" not in ran.out


def test_a_program_gets_each_with_its_age(noted: Daily, pgaas: Run) -> None:
    found = json.loads(pgaas(*ASKED, "--warnings", "-o", "json").out)
    assert [(each["kind"], each["warning"], each["count"]) for each in found] == [("Pod", True, 7)]
    assert 30 <= found[0]["age_seconds"] < 90


def test_nothing_noted_is_no_error(daily: Daily, pgaas: Run) -> None:
    ran = pgaas(*ASKED)
    assert (ran.code, ran.out) == (0, "")
    assert "Kubernetes forgets them" in ran.err
    assert json.loads(pgaas(*ASKED, "-o", "json").out) == []


def test_hostile_events_do_no_harm(daily: Daily, pgaas: Run) -> None:
    event(daily, "local-ic1-local1", "Cluster", "\x1b[2J", message="a\nb\x07", lastTimestamp="yesterday")
    ran = pgaas(*ASKED)
    assert ran.code == 0
    assert "\x1b" not in ran.out
    assert "a b" in ran.out


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(None, "-"), (0, "0s"), (119, "119s"), (120, "2m"), (7199, "119m"), (7200, "2h"), (172_800, "2d")],
)
def test_an_age_is_short(seconds: float | None, shown: str) -> None:
    assert shown_age(seconds) == shown


@pytest.mark.parametrize("flag", ["--follow", "--watch"])
def test_follow_shows_each_once_and_again_when_it_happens_again(daily: Daily, flag: str) -> None:
    event(daily, "local-ic1-local1", "Cluster", "Created")
    process = subprocess.Popen(
        [sys.executable, "-m", "pgaas", *ASKED, flag, "-o", "json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stderr
    # What it does not say is not waited for without end.
    watchdog = threading.Timer(PATIENCE, process.kill)
    watchdog.start()

    def next_event() -> tuple[str, int]:
        assert process.stdout
        found = json.loads(process.stdout.readline())
        return found["reason"], found["count"]

    try:
        assert next_event() == ("Created", 1)
        event(daily, "local-ic1-local1-1", "Pod", "Unhealthy")
        assert next_event() == ("Unhealthy", 1)
        daily.servers[HERE].answers[LIST] = failure(503, "ServiceUnavailable", "restarting")
        assert "trying again" in process.stderr.readline()
        event(daily, "local-ic1-local1-1", "Pod", "Unhealthy", count=2)
        del daily.servers[HERE].answers[LIST]
        assert "answers again" in process.stderr.readline()
        assert next_event() == ("Unhealthy", 2)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
    finally:
        watchdog.cancel()
        process.kill()
        process.communicate(timeout=PATIENCE)
    assert (process.returncode, out) == (130, "")
    assert "Traceback" not in err
