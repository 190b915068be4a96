"""`pgaas logs` with fake API servers: lines made readable, merged, filtered, and followed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from tests.cli.daily import CLIENT, HERE, SPACE, Daily
from tests.cli.support import Ran
from tests.unit.kube.fakes import failure, path_of

from pgaas.kube import log_follow, logs
from pgaas.kube.resources import POD

Run = Callable[..., Ran]
ASKED = ("logs", *CLIENT)
PODS = "/api/v1/namespaces/ic1-local/pods"
ONE, TWO = "local-ic1-local1-1", "local-ic1-local1-2"
PATIENCE = 60.0


LATER = 1000.0


class Began:
    """When a test's logs begin: a while ago, and within the time that is shown by default."""

    at = datetime.now(UTC)


@pytest.fixture(autouse=True)
def began() -> None:
    # Anew for each test: the module may have been read long before.
    Began.at = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=300)


def stamp(seconds: float) -> str:
    return f"{Began.at + timedelta(seconds=int(seconds)):%Y-%m-%dT%H:%M:%S}.{round(seconds % 1 * 10**9):09d}Z"


def shown_at(seconds: float) -> str:
    return stamp(seconds).replace("T", " ")[:23]


def record(severity: str, message: str, **more: str) -> str:
    content = {"error_severity": severity, "message": message, **more}
    return json.dumps({"level": "info", "ts": "x", "logger": "postgres", "msg": "record", "record": content})


def agent(level: str, message: str, **more: object) -> str:
    return json.dumps({"level": level, "ts": "x", "logger": "wal-archive", "msg": message, **more})


class Logs:
    """What the kubelet has of each container: lines with their times, and how a reading of them ends."""

    def __init__(self, daily: Daily) -> None:
        self.daily = daily
        self.lines: dict[tuple[str, str], list[tuple[float, str]]] = {}
        self.asked: list[dict[str, str]] = []
        self.changed = threading.Condition()
        self.cut: set[str] = set()
        self.ended: set[str] = set()
        for pod in (ONE, TWO):
            daily.servers[HERE].answers[f"GET {PODS}/{pod}/log"] = self.answer

    def add(self, pod: str, *entries: tuple[float, str], container: str = "postgres") -> None:
        with self.changed:
            self.lines.setdefault((pod, container), []).extend(entries)
            self.changed.notify_all()

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        query = dict(request.url.params)
        self.asked.append({"pod": request.url.path.split("/")[-2], **query})
        pod = request.url.path.split("/")[-2]
        key = (pod, query["container"])
        since = query.get("sinceTime", "")

        def chunks() -> Iterator[bytes]:
            at = 0
            while True:
                with self.changed:
                    new = self.lines.get(key, [])[at:]
                    at += len(new)
                for seconds, text in new:
                    # As the kubelet does: whole seconds.
                    if stamp(seconds)[:19] >= since[:19]:
                        yield f"{stamp(seconds)} {text}\n".encode()
                if query.get("follow") != "true":
                    return
                with self.changed:
                    if pod in self.cut:
                        self.cut.discard(pod)
                        raise httpx2.ReadError("connection lost")
                    if pod in self.ended:
                        self.ended.discard(pod)
                        return
                    if len(self.lines.get(key, [])) == at:
                        self.changed.wait(0.05)

        return httpx2.Response(200, stream=Stream(chunks()))


class Stream(httpx2.SyncByteStream):
    def __init__(self, chunks: Iterator[bytes]) -> None:
        self.chunks = chunks

    def __iter__(self) -> Iterator[bytes]:
        yield from self.chunks


@pytest.fixture
def said(daily: Daily) -> Logs:
    daily.instances(2)
    daily.deploy(HERE)
    return Logs(daily)


def test_instances_are_merged_by_time_and_readable(said: Logs, pgaas: Run) -> None:
    said.add(
        ONE, (1.5, record("LOG", "checkpoint starting: time")), (3, agent("info", "archived", walName="A1"))
    )
    hint = {"user_name": "app_user", "database_name": "app_db", "sql_state_code": "42P01"}
    said.add(
        TWO,
        (2, record("ERROR", 'relation "x" does not exist', query="select * from x", hint="Look.", **hint)),
    )
    ran = pgaas(*ASKED)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines() == [
        f"{shown_at(1.5)} {ONE} info    LOG: checkpoint starting: time",
        f'{shown_at(2)} {TWO} error   [app_user@app_db] ERROR: relation "x" does not exist (42P01)',
        "    HINT: Look.",
        "    STATEMENT: select * from x",
        f"{shown_at(3)} {ONE} info    wal-archive: archived walName=A1",
    ]
    assert {(each["pod"], each["container"], each["timestamps"]) for each in said.asked} == {
        (ONE, "postgres", "true"),
        (TWO, "postgres", "true"),
    }


def test_raw_lines_are_as_they_came_and_json_is_one_document_a_line(said: Logs, pgaas: Run) -> None:
    line = record("FATAL", "the database system is shutting down\x85")
    said.add(ONE, (1, line), (2, "no json at all: WARNING:  low on space"))
    assert pgaas(*ASKED, "--raw").out.splitlines() == [line, "no json at all: WARNING:  low on space"]
    first, second = map(json.loads, pgaas(*ASKED, "-o", "json").out.splitlines())
    assert first["message"] == "FATAL: the database system is shutting down\x85"
    assert (first["at"], first["pod"], first["level"]) == (f"{stamp(1)[:19]}Z", ONE, "fatal")
    assert (second["level"], second["logger"]) == ("warning", "")


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        (("--level", "warning"), ["disk", "broken", "panic"]),
        (("--level", "fatal"), ["panic"]),
        (("--grep", "bro.en"), ["broken"]),
        (("--grep", "(?i)DISK"), ["disk"]),
        (("--level", "error", "--grep", "disk"), []),
        (("--instance", "2"), ["panic"]),
        (("--instance", TWO), ["panic"]),
        (("--container", "plugin-barman-cloud"), ["upload"]),
        (("--container", "all", "--instance", "1"), ["hello", "disk", "broken", "upload"]),
    ],
)
def test_lines_are_chosen(said: Logs, pgaas: Run, options: tuple[str, ...], shown: list[str]) -> None:
    said.add(ONE, (1, record("LOG", "hello")), (2, record("WARNING", "disk")), (3, agent("error", "broken")))
    said.add(ONE, (5, agent("info", "upload")), container="plugin-barman-cloud")
    said.add(TWO, (4, record("PANIC", "panic")))
    ran = pgaas(*ASKED, *options, "-o", "json")
    assert ran.code == 0, ran.err
    words = [json.loads(line)["message"].split(": ")[-1] for line in ran.out.splitlines()]
    assert words == shown
    assert ("--since looks further back" in ran.err) is (not shown)


def test_since_is_passed_on_and_previous_is_another_log(said: Logs, pgaas: Run) -> None:
    pgaas(*ASKED, "--since", "1h")
    assert all("sinceTime" in each and "previous" not in each for each in said.asked)
    said.asked.clear()
    pgaas(*ASKED, "--previous")
    assert all(each["previous"] == "true" and "sinceTime" not in each for each in said.asked)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--instance", "7"), f"known: {ONE}, {TWO}"),
        (("--container", "nope"), "known: bootstrap-controller, plugin-barman-cloud, postgres"),
        (("--grep", "("), "no regular expression"),
        (("--since", "soon"), "is no duration"),
        (("--since", "99999999h"), "is no duration of up to ten years"),
        (("--since", "9" * 400), "is no duration of up to ten years"),
        (("--level", "loud"), "loud"),
    ],
)
def test_what_there_is_not_is_answered_with_what_there_is(
    said: Logs, pgaas: Run, options: tuple[str, ...], told: str
) -> None:
    ran = pgaas(*ASKED, *options)
    assert (ran.code, ran.out) == (2, "")
    assert told in ran.err


def test_without_pods_it_says_where_to_look(daily: Daily, pgaas: Run) -> None:
    ran = pgaas(*ASKED)
    assert ran.code == 9
    assert "local-ic1-local1 has no pods" in ran.err
    assert "pgaas events --ins ic1 --env local --dc local1" in ran.err


def test_a_log_that_cannot_be_read_keeps_no_other_from_it(said: Logs, pgaas: Run) -> None:
    said.add(ONE, (1, record("LOG", "hello")))
    why = failure(400, "BadRequest", 'container "postgres" in pod is waiting to start: PodInitializing')
    said.daily.servers[HERE].answers[f"GET {PODS}/{TWO}/log"] = why
    ran = pgaas(*ASKED)
    assert ran.code == 0
    assert "hello" in ran.out
    assert f"note: {TWO}, postgres: " in ran.err
    assert "waiting to start" in ran.err


def test_without_any_log_that_can_be_read_it_fails(said: Logs, pgaas: Run) -> None:
    """A script that looks for errors must not take this for none."""
    for pod in (ONE, TWO):
        why = failure(403, "Forbidden", f'pods "{pod}" is forbidden: User "x" cannot get resource "pods/log"')
        said.daily.servers[HERE].answers[f"GET {PODS}/{pod}/log"] = why
    ran = pgaas(*ASKED, "--level", "error")
    assert (ran.code, ran.out) == (6, "")
    assert "pods/log" in ran.err
    assert "nothing like that" not in ran.err


def test_hostile_lines_do_not_command_the_terminal(said: Logs, pgaas: Run) -> None:
    lines = [
        "\x1b[2Jcleared",
        "[" * 100_000,
        '{"level": 7, "record": {"message": null}}',
        "null",
        '"x"',
        "",
        "\xff",
    ]
    said.add(ONE, *((number, line) for number, line in enumerate(lines)))
    ran = pgaas(*ASKED)
    assert (ran.code, ran.err) == (0, "")
    assert "\x1b" not in ran.out
    assert len(ran.out.splitlines()) == len(lines)


class Following:
    """`pgaas logs --follow` as a process, read line by line."""

    def __init__(self, *options: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pgaas", *ASKED, "--follow", "-o", "json", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        # What it does not say is not waited for without end.
        self.watchdog = threading.Timer(PATIENCE, self.process.kill)
        self.watchdog.start()

    def next(self) -> str:
        assert self.process.stdout
        return str(json.loads(self.process.stdout.readline())["message"])

    def stop(self, number: signal.Signals = signal.SIGINT) -> tuple[int, str, str]:
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, out, err


@pytest.fixture
def following(said: Logs) -> Iterator[Callable[..., Following]]:
    started: list[Following] = []

    def start(*options: str) -> Following:
        started.append(Following(*options))
        return started[-1]

    yield start
    for each in started:
        each.watchdog.cancel()
        each.process.kill()
        each.process.communicate(timeout=PATIENCE)


def test_follow_goes_on_over_lost_connections_and_new_pods_without_a_line_twice(
    said: Logs, following: Callable[..., Following]
) -> None:
    said.add(ONE, (1, "one"), (1, "one again"), (1.25, "two"))
    run = following()
    assert [run.next() for _ in range(3)] == ["one", "one again", "two"]
    said.add(ONE, (1.5, "three"))
    assert run.next() == "three"
    with said.changed:
        said.cut.add(ONE)
    # The same second again: the kubelet sends all of it anew.
    said.add(ONE, (1.5, "four"), (1.75, "five"))
    assert [run.next() for _ in range(2)] == ["four", "five"]
    with said.changed:
        said.ended.add(ONE)
    said.add(ONE, (2, "six"))
    assert run.next() == "six"
    # The instance is made anew under its name: what it says from the beginning is news.
    pod = dict(said.daily.get(HERE, POD, TWO))
    del said.daily.servers[HERE].objects[path_of(POD, SPACE, TWO)]
    said.daily.servers[HERE].put(POD, {**pod, "metadata": {**pod["metadata"], "uid": "another"}})
    said.add(TWO, (LATER, "born again"))
    assert run.next() == "born again"
    code, out, err = run.stop()
    assert (code, out) == (130, "")
    assert "interrupted: the log goes on without you" in err
    assert "Traceback" not in err


def test_follow_without_the_right_to_read_logs_ends(said: Logs, following: Callable[..., Following]) -> None:
    for pod in (ONE, TWO):
        why = failure(403, "Forbidden", f'pods "{pod}" is forbidden: User "x" cannot get resource "pods/log"')
        said.daily.servers[HERE].answers[f"GET {PODS}/{pod}/log"] = why
    process = following().process
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 6
    assert "pods/log" in err


def test_follow_says_that_the_api_server_is_away_once_and_goes_on(
    said: Logs, following: Callable[..., Following]
) -> None:
    said.add(ONE, (1, "one"))
    run = following()
    assert run.next() == "one"
    asked = f"GET {PODS}"
    said.daily.servers[HERE].answers[asked] = failure(503, "ServiceUnavailable", "restarting")
    assert run.process.stderr
    assert "trying again" in run.process.stderr.readline()
    del said.daily.servers[HERE].answers[asked]
    assert "answers again" in run.process.stderr.readline()
    said.add(ONE, (2, "two"))
    assert run.next() == "two"
    assert run.stop(signal.SIGTERM)[0] == 143


def test_follow_into_a_pipe_that_closes_ends(said: Logs, following: Callable[..., Following]) -> None:
    said.add(ONE, (1, "one"))
    run = following()
    assert run.next() == "one"
    assert run.process.stdout
    run.process.stdout.close()
    said.add(ONE, (2, "two"), (3, "three"))
    assert run.process.wait(PATIENCE) == 141


def test_a_line_s_time_is_read_to_the_nanosecond_in_any_zone() -> None:
    source = logs.Source("p", "c")
    first = logs.parse_line("2026-11-28T03:00:00.1+01:00 x", source)
    second = logs.parse_line("2026-11-28T02:00:00.100000001Z x", source)
    assert second.at - first.at == 1
    assert logs.parse_line("no time at all", source) == logs.Line(0, source, "no time at all")


def test_what_was_seen_is_not_news_and_what_has_the_same_time_is() -> None:
    source = logs.Source("p", "c")
    lines = [logs.Line(at, source, text) for at, text in ((1, "a"), (2, "b"), (2, "c"))]
    seen = log_follow.Seen()
    for line in lines:
        seen.note(line)
    is_new = seen.fresh()
    again: list[Any] = [*lines, logs.Line(2, source, "d"), logs.Line(3, source, "e")]
    assert [line.text for line in again if is_new(line)] == ["d", "e"]
