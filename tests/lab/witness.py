"""Watch both sides of a pair all along, and prove that they were never both writable at one moment."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from psycopg import pq
from tests.lab.writer import JOIN_SECONDS, Failed, Login, connect, execute

EVERY = 0.05
ASKED = "select pg_is_in_recovery(), pg_postmaster_start_time()"


@dataclass
class Life:
    """The time in which one run of a server is proved to have taken writes.

    A server that takes writes does so until it ends, so that it did at every moment between two such answers
    of one and the same run.
    """

    began: str
    first: float
    last: float


@dataclass
class Watch:
    """What one side has answered."""

    name: str
    login: Login
    address: str
    stop: threading.Event
    lives: list[Life] = field(default_factory=list)
    answers: int = 0

    def run(self) -> None:
        """Ask again and again until told to stop."""
        connection: pq.abc.PGconn | None = None
        while not self.stop.is_set():
            try:
                connection = connection or connect(self.login.conninfo(self.address))
                asked = time.monotonic()
                [(recovering, began)] = execute(connection, ASKED)
                self.note(recovering == "f", began, asked, time.monotonic())
            except Failed:
                if connection:
                    connection.finish()
                connection = None
            self.stop.wait(EVERY)
        if connection:
            connection.finish()

    def note(self, writable: bool, began: str, asked: float, answered: float) -> None:
        """Take one answer, which was true at some moment between the two."""
        self.answers += 1
        if not writable:
            return
        if not self.lives or self.lives[-1].began != began:
            self.lives.append(Life(began, answered, answered))
        # A single answer proves no time at all: nobody knows when between the two it was true.
        self.lives[-1].last = max(asked, self.lives[-1].first)


@dataclass
class Witness:
    """Both sides, and what was seen of them."""

    watches: list[Watch]

    def overlaps(self) -> list[str]:
        """Return the times in which both sides took writes."""
        first, second = self.watches
        return [
            f"{first.name} and {second.name} both took writes for {end - start:.2f} s"
            for one in first.lives
            for other in second.lives
            if (end := min(one.last, other.last)) > (start := max(one.first, other.first))
        ]


@contextmanager
def witnessing(login: Login, addresses: dict[str, str]) -> Iterator[Witness]:
    """Watch both sides for as long as the block lasts, and fail if both took writes at one moment."""
    stop = threading.Event()
    witness = Witness([Watch(name, login, address, stop) for name, address in addresses.items()])
    threads = [threading.Thread(target=watch.run, daemon=True) for watch in witness.watches]
    for thread in threads:
        thread.start()
    try:
        yield witness
    finally:
        stop.set()
        for thread in threads:
            thread.join(timeout=JOIN_SECONDS)
    assert all(watch.answers for watch in witness.watches), "a side has never answered: nothing is proved"
    assert witness.overlaps() == []
