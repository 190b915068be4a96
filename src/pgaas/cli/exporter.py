"""`pgaas exporter`."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pgaas.cli.durations import parse_duration
from pgaas.cli.options import OptionalEnvOption, RootOption, root_folder
from pgaas.cli.output import harmless, out_lines, say
from pgaas.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from pgaas.tools.exposition import Sample

ADDRESS = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<name>[^:\s\[\]]+)):(?P<port>\d{1,5})")


@dataclass(frozen=True)
class Address:
    """Where to listen; typer takes a tuple for two words."""

    host: str
    port: int


def parse_address(text: str) -> Address:
    """Return the host and the port of HOST:PORT; raise typer.BadParameter for anything else."""
    found = ADDRESS.fullmatch(text)
    if not found or not 0 < int(found["port"]) < 65536:
        raise typer.BadParameter(f"{text!r} is no address: write 127.0.0.1:9188, 0.0.0.0:9188 or [::1]:9188")
    return Address(found["six"] or found["name"], int(found["port"]))


ListenOption = Annotated[
    Address,
    typer.Option("--listen", help="Where to answer Prometheus.", metavar="HOST:PORT", parser=parse_address),
]
IntervalOption = Annotated[
    float,
    typer.Option(
        "--interval",
        help="The time from one look's begin to the next's.",
        metavar="DURATION",
        parser=parse_duration,
    ),
]
OnceOption = Annotated[bool, typer.Option("--once", help="Look once, print what is found, and end.")]


def exporter(
    env: OptionalEnvOption = None,
    listen: ListenOption = "127.0.0.1:9188",  # type: ignore[assignment]
    interval: IntervalOption = "30s",  # type: ignore[assignment]
    once: OnceOption = False,
    root: RootOption = None,
) -> None:
    """Tell Prometheus what only pgaas knows of every client, until Ctrl-C or SIGTERM.

    How many datacenters take writes, whether the replica follows and how far behind it is, where DNS points,
    the age of WAL and base backups in the archive, when certificates end. Without --env, of all environments.
    It only reads, and answers at once with its last look. docs/alerts.md says what it all means.

    Examples:
      pgaas exporter --env prod
      pgaas exporter --env prod --listen 0.0.0.0:9188 --interval 1m
      pgaas exporter --env local --once
    """
    if once:
        print_once(root_folder(root), env)
    else:
        serve(root_folder(root), env, listen, interval)


@dataclass
class News:
    """Says on stderr what is wrong, and not again what it said after the look before."""

    before: set[str] = field(default_factory=set)
    now: set[str] = field(default_factory=set)

    def tell(self, text: str) -> None:
        """Say a complaint, if it is new."""
        if text not in self.before | self.now:
            say(harmless(text))
        self.now.add(text)

    def turn(self) -> None:
        """Begin the next look."""
        self.before, self.now = self.now, set()


def print_once(folder: Path, env: str | None) -> None:
    """Look once, and print what is found; what is wrong goes to stderr."""
    from pgaas.operations.exporter import Looks, collect, look_at_client
    from pgaas.operations.exporter_samples import FAMILIES
    from pgaas.tools.exposition import text_of

    out_lines(text_of(FAMILIES, collect(folder, env, Looks(look_at_client), News().tell)))


def serve(folder: Path, env: str | None, listen: Address, interval: float) -> None:
    """Look again and again, and answer with what was found last, until interrupted.

    Raise what keeps the first look from being begun; later ones are tried again.
    """
    from pgaas.operations.exporter import Looks, clients_of, collect, look_at_client
    from pgaas.operations.exporter_samples import FAMILIES
    from pgaas.tools.exposition import served

    clients_of(folder, env)
    looks, news = Looks(look_at_client), News()
    latest: list[Sample] = []
    shown = f"[{listen.host}]" if ":" in listen.host else listen.host
    try:
        with served(listen.host, listen.port, FAMILIES, lambda: latest) as taken:
            whose = env or "every environment"
            say(f"http://{shown}:{taken}/metrics: a look at {whose} every {interval:g} s")
            while True:
                begun = time.monotonic()
                try:
                    latest = collect(folder, env, looks, news.tell)
                except (UsageError, ConfigError) as error:
                    # Nothing that was known of the clients before is known to be true any more.
                    latest = []
                    news.tell("; ".join([error.what, *map(str, getattr(error, "issues", []))]))
                news.turn()
                pause(max(0.0, interval - (time.monotonic() - begun)))
    except KeyboardInterrupt:
        say("ended")


def pause(seconds: float) -> None:
    """Wait for the next look."""
    time.sleep(seconds)
