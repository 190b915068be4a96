"""A client's primary alias: where it points to, whether it can be moved, the move, and the wait for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from pgaas.errors import TimedOut
from pgaas.kube.client import Api
from pgaas.kube.wait import Ending, Item, Seen, Waited, wait_for
from pgaas.operations.dns_providers import Provider, Values, provider_for
from pgaas.operations.rows import Row
from pgaas.operations.subject import Subject
from pgaas.tools.dns_read import SYSTEM, Answer, addresses, ask_all

UNKNOWN = "unknown"
INTERVAL = 0.1
# Short, so that a server that is away does not hold up the news from the others.
WAIT_SECONDS = 0.4


@dataclass(frozen=True)
class RecordState:
    """What DNS says about the alias.

    `points_to` is a datacenter, empty without a record, or "unknown" when nobody answers, the servers
    disagree, or the value is no datacenter's. `ttl` is in seconds. `error` says why nobody answers, `drift`
    what is otherwise than the configuration has it; `detail` is one line for a person.
    """

    name: str
    kind: str
    values: tuple[str, ...]
    ttl: int | None
    points_to: str
    detail: str
    error: str = ""
    drift: str = ""


@dataclass
class PrimaryRecord:
    """The alias of one client. `servers` are the DNS servers to ask, and the datacenter of each."""

    name: str
    ttl: int
    provider: Provider
    servers: tuple[tuple[str, str], ...]
    # Datacenters whose DNS cannot be changed now: what they answer is not waited for.
    unchanged: set[str] = field(default_factory=set)

    def check(self) -> Row:
        """Look whether a move would be taken, and change nothing; what is wrong is in the row."""
        return self.provider.check()

    def read(self) -> RecordState:
        """Ask the DNS; what went wrong is in the state, and what the names of the sides have in its drift."""
        with ThreadPoolExecutor(1) as pool:
            beside = pool.submit(self._sides_drift)
            answers = self._ask(self.name)
            asked = [(answer, dc) for answer, (_, dc) in zip(answers, self.servers, strict=True)]
            state = self._state(asked, self.provider.owners())
            drift = "; ".join(beside.result())
        if not drift or state.error or not state.values:
            return state
        return replace(
            state,
            detail=f"{state.detail}; {drift}",
            drift="; ".join(filter(None, (state.drift, drift))),
        )

    def point_to(self, dc: str) -> tuple[str, ...]:
        """Move the alias to a datacenter; the same again does no harm.

        Return a line for each datacenter whose DNS was not changed while another one's was. Raise ToolFailed
        or KubernetesError if none was.
        """
        failed = self.provider.point_to(dc)
        self.unchanged |= failed.keys()
        return _unchanged(failed)

    def wait_for(
        self,
        dc: str,
        timeout: float,
        *,
        on_change: Callable[[list[Item]], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> Waited:
        """Wait until every DNS server that answers says that the alias points to a datacenter.

        A server that is silent misleads nobody, and is not waited for if another one answers; nor is
        that of a datacenter which could not be changed. Raise TimedOut, or KubernetesError if it cannot be
        known what the record would hold.
        """
        wanted = self.provider.values_of(dc)
        servers = [server for server, place in self.servers if place not in self.unchanged] or [
            server for server, _ in self.servers
        ]

        def probe() -> Seen:
            answers = ask_all(servers, self.name, self.provider.kind, timeout=WAIT_SECONDS)
            heard = [answer for answer in answers if not answer.silent] or answers
            return Seen(tuple(_item(answer, wanted) for answer in heard))

        waited = wait_for(
            probe, timeout=timeout, interval=INTERVAL, on_change=on_change, clock=clock, sleep=sleep
        )
        if waited.ending is not Ending.SUCCEEDED:
            seen = "; ".join(f"{item.name} {item.detail}" for item in waited.seen.missing)
            raise TimedOut(
                f"{self.name} does not lead to {dc} after {waited.seconds:.0f} s: {seen}",
                where=f"DNS, {self.provider.kind} {self.name}, wanted: {', '.join(wanted)}",
                next_step="it may be cached for its time to live: look again with pgaas update-dns",
            )
        return waited

    def resolve_primary(self) -> list[str]:
        """Return the addresses to which a client connects now; empty if DNS leads it nowhere."""
        ordered = sorted(self.servers, key=lambda entry: entry[1] in self.unchanged)
        return addresses([server for server, _ in ordered], self.name)

    def remove(self) -> tuple[str, ...]:
        """Take the alias away, as `point_to` moves it; one that is not there is fine."""
        return _unchanged(self.provider.remove())

    def point_sides(self) -> tuple[str, ...]:
        """Let the sides' own names lead to where the sides are; return and raise as `point_to` does."""
        return _unchanged(self.provider.point_sides())

    def forget_side(self, dc: str) -> tuple[str, ...]:
        """Take the name of a side that is gone away; return and raise as `point_to` does."""
        return _unchanged(self.provider.forget_side(dc))

    def _ask(self, name: str) -> list[Answer]:
        return ask_all([server for server, _ in self.servers], name, self.provider.kind)

    def _sides_drift(self) -> list[str]:
        """Say which server that answers leads a side's name elsewhere than to that side."""
        wanted = self.provider.side_values()
        with ThreadPoolExecutor(max(len(wanted), 1)) as pool:
            answers = dict(zip(wanted, pool.map(self._ask, wanted), strict=True))
        return [
            f"{name}: {answer.server} {_said(answer)}, wanted: {', '.join(values)}"
            for name, values in wanted.items()
            for answer in answers[name]
            if not answer.silent and (answer.error or answer.values != values)
        ]

    def _state(self, asked: list[tuple[Answer, str]], owners: Mapping[Values, str]) -> RecordState:
        heard = [(answer, dc) for answer, dc in asked if not answer.error]
        silent = [f"{answer.server} {answer.error}" for answer, _ in asked if answer.error]
        if not heard:
            if self.provider.never_made():
                detail = "there is no such record yet"
                return RecordState(self.name, self.provider.kind, (), None, "", detail)
            error = "; ".join(silent)
            return RecordState(self.name, self.provider.kind, (), None, UNKNOWN, error, error=error)
        # A datacenter that cannot be reached may answer what was true before: the others are believed.
        believed = [each for each in heard if each[1] not in self.unchanged] or heard
        answer = believed[0][0]
        differing = len({each.values for each, _ in heard}) > 1
        points_to = _owner(answer, owners)
        if len({each.values for each, _ in believed}) > 1:
            points_to = UNKNOWN
        drift = [_leads(each, owners) for each, _ in heard] if differing else []
        drift += silent
        if points_to == UNKNOWN and not differing:
            drift.append(f"{', '.join(answer.values)} is no datacenter's")
        drift += [problem for each, _ in heard if (problem := self._ttl_problem(each))]
        leads = ", ".join(answer.values) or f"there is no such {self.provider.kind} record"
        detail = f"{leads} ({points_to})" if points_to else leads
        told = "; ".join(dict.fromkeys(drift))
        return RecordState(
            self.name,
            self.provider.kind,
            answer.values,
            answer.ttl,
            points_to,
            f"{detail}; {told}" if told else detail,
            drift=told,
        )

    def _ttl_problem(self, answer: Answer) -> str:
        """Return what is wrong with the time to live, which only counts down in what is no cache."""
        if (
            answer.ttl is None
            or answer.ttl == self.ttl
            or (answer.ttl < self.ttl and not answer.authoritative)
        ):
            return ""
        return f"its time to live is {answer.ttl} s, not {self.ttl} s"


def primary_record(subjects: Mapping[str, Subject], apis: Mapping[str, Api | None]) -> PrimaryRecord:
    """Return the alias of a client with these sides; a side's API is None where it cannot be reached."""
    some = next(iter(subjects.values()))
    datacenters = some.resolved.datacenters.datacenters
    servers = tuple(
        (resolver, dc) for dc in subjects if (resolver := datacenters[dc].dns.resolver) is not None
    )
    unreachable = {dc for dc in subjects if apis.get(dc) is None}
    return PrimaryRecord(
        name=some.values.dns.primary_fqdn,
        ttl=some.values.dns.ttl,
        provider=provider_for(subjects, apis),
        servers=servers or ((SYSTEM, ""),),
        unchanged=unreachable if some.resolved.datacenters.dns.provider == "coredns" else set(),
    )


def _owner(answer: Answer, owners: Mapping[Values, str]) -> str:
    return owners.get(answer.values, UNKNOWN) if answer.values else ""


def _leads(answer: Answer, owners: Mapping[Values, str]) -> str:
    if not answer.values:
        return f"{answer.server} has no record"
    return f"{answer.server} answers {', '.join(answer.values)} ({_owner(answer, owners)})"


def _item(answer: Answer, wanted: Values) -> Item:
    return Item(answer.server, not answer.error and answer.values == wanted, _said(answer))


def _said(answer: Answer) -> str:
    return answer.error or f"answers {', '.join(answer.values) or 'that there is none'}"


def _unchanged(failed: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(f"{place}: its DNS was not changed: {reason}" for place, reason in failed.items())
