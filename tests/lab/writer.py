"""A client that writes numbered rows by a name, as an application would, and remembers what was taken."""

from __future__ import annotations

import itertools
import select
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import dns.exception
import dns.message
import dns.query
import psycopg
from psycopg import pq

EVERY = 0.02
# libpq itself knows whole seconds only, and none for a statement: a restart must not hold the client up.
CONNECT_SECONDS = 1.0
STATEMENT_SECONDS = 1.0
DNS_SECONDS = 0.5
PAUSE = 0.05
JOIN_SECONDS = 30.0

Resolve = Callable[[], list[str]]


class Failed(Exception):
    """A connection or a statement that did not come to a good end in time."""


def resolver(name: str, servers: list[tuple[str, int]]) -> Resolve:
    """Return what asks these DNS servers, in this order, for a name's addresses; nothing is kept."""

    def resolve() -> list[str]:
        for server, port in servers:
            try:
                answer = dns.query.udp(
                    dns.message.make_query(name, "A"), server, port=port, timeout=DNS_SECONDS
                )
            except (OSError, dns.exception.DNSException):
                continue
            found = [str(item) for records in answer.answer for item in records if item.rdtype == 1]
            if found:
                return found
        return []

    return resolve


@dataclass(frozen=True)
class Login:
    """What libpq needs besides the address: the name to verify, and whose certificate is shown."""

    host: str
    database: str
    user: str
    certificate: str
    key: str
    root: str

    def conninfo(self, address: str) -> bytes:
        """Return the connection string for one address of the name."""
        words = {
            "host": self.host,
            "hostaddr": address,
            "port": "5432",
            "dbname": self.database,
            "user": self.user,
            "sslmode": "verify-full",
            "sslcert": self.certificate,
            "sslkey": self.key,
            "sslrootcert": self.root,
            "tcp_user_timeout": "2000",
            "application_name": "writer",
        }
        return " ".join(f"{key}='{value}'" for key, value in words.items()).encode()


def connect(conninfo: bytes, patience: float = CONNECT_SECONDS) -> pq.abc.PGconn:
    """Connect within so many seconds; raise Failed."""
    deadline = time.monotonic() + patience
    connection = pq.PGconn.connect_start(conninfo)
    try:
        while True:
            if connection.status == pq.ConnStatus.BAD:
                raise Failed(text(connection))
            state = connection.connect_poll()
            if state == pq.PollingStatus.OK:
                connection.nonblocking = 1
                return connection
            if state == pq.PollingStatus.FAILED:
                raise Failed(text(connection))
            _wait(connection.socket, state == pq.PollingStatus.READING, deadline)
    except BaseException:
        connection.finish()
        raise


def execute(
    connection: pq.abc.PGconn, sql: str, *values: str, patience: float = STATEMENT_SECONDS
) -> list[tuple[str, ...]]:
    """Run one statement within so many seconds, and return its rows; raise Failed."""
    deadline = time.monotonic() + patience
    try:
        connection.send_query_params(sql.encode(), [value.encode() for value in values])
        while connection.flush():
            _wait(connection.socket, False, deadline)
        rows: list[tuple[str, ...]] = []
        while True:
            while connection.is_busy():
                _wait(connection.socket, True, deadline)
                connection.consume_input()
            result = connection.get_result()
            if result is None:
                return rows
            if result.status not in (pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK):
                raise Failed(" ".join(result.error_message.decode(errors="replace").split()))
            rows += [
                tuple((result.get_value(row, column) or b"").decode() for column in range(result.nfields))
                for row in range(result.ntuples)
            ]
    except psycopg.Error as error:
        raise Failed(str(error)) from error


def text(connection: pq.abc.PGconn) -> str:
    """Return what a connection says is wrong with it."""
    return " ".join(connection.error_message.decode(errors="replace").split()) or "no connection"


def _wait(socket: int, reading: bool, deadline: float) -> None:
    left = deadline - time.monotonic()
    wanted = [socket]
    ready = select.select(wanted if reading else [], [] if reading else wanted, [], max(left, 0))
    if left <= 0 or not (ready[0] or ready[1]):
        raise Failed("no answer in time")


@dataclass
class Writer:
    """Insert numbers one by one, each at most once; `acknowledged` has the moment of each that succeeded."""

    login: Login
    resolve: Resolve
    table: str = "written"
    acknowledged: dict[int, float] = field(default_factory=dict)
    failed: dict[int, str] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    stop: threading.Event = field(default_factory=threading.Event)
    first: int = 1

    def run(self) -> None:
        """Write until told to stop, asking DNS anew for every connection."""
        connection: pq.abc.PGconn | None = None
        number = self.first - 1
        due = time.monotonic()
        while not self.stop.is_set():
            if connection is None:
                connection = self._connect()
                continue
            number += 1
            try:
                execute(connection, f"insert into {self.table} values ($1)", str(number))
            except Failed as error:
                self.failed[number] = str(error)
                connection.finish()
                connection = None
                self.stop.wait(PAUSE)
            else:
                self.acknowledged[number] = time.monotonic()
            due = max(due + EVERY, time.monotonic())
            self.stop.wait(due - time.monotonic())
        if connection:
            connection.finish()

    def _connect(self) -> pq.abc.PGconn | None:
        for address in self.resolve():
            try:
                return connect(self.login.conninfo(address))
            except Failed as error:
                self.refused[str(error)] = self.refused.get(str(error), 0) + 1
        self.stop.wait(PAUSE)
        return None

    def gap(self, since: float = 0.0, until: float = float("inf")) -> float:
        """Return the longest time between two acknowledgements, both within these moments, in seconds."""
        moments = [moment for moment in self.acknowledged.values() if since <= moment <= until]
        return max((later - earlier for earlier, later in itertools.pairwise(moments)), default=0.0)

    def written_after(self, moment: float) -> float | None:
        """Return the moment of the first acknowledgement after another one, or None."""
        return next((found for found in self.acknowledged.values() if found > moment), None)


@dataclass(frozen=True)
class Verdict:
    """What became of the acknowledged rows: those that are gone, and those that are there more than once."""

    lost: list[int]
    doubled: list[int]


def judge(writer: Writer, rows: dict[int, int]) -> Verdict:
    """Compare what was acknowledged with how often each number is in the table."""
    return Verdict(
        sorted(number for number in writer.acknowledged if number not in rows),
        sorted(number for number, times in rows.items() if times > 1),
    )


def rows_of(login: Login, address: str, table: str = "written") -> dict[int, int]:
    """Return how often each number is in the table, as this server has it."""
    connection = connect(login.conninfo(address), patience=10)
    try:
        found = execute(connection, f"select number, count(*) from {table} group by 1", patience=60)
    finally:
        connection.finish()
    return {int(number): int(times) for number, times in found}


@contextmanager
def writing(writer: Writer) -> Iterator[Writer]:
    """Keep a client writing in the background for as long as the block lasts."""
    thread = threading.Thread(target=writer.run, name="writer", daemon=True)
    thread.start()
    try:
        yield writer
    finally:
        writer.stop.set()
        thread.join(timeout=JOIN_SECONDS)
        assert not thread.is_alive(), "the writer hangs"
