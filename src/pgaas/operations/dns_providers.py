"""The ways in which a primary's alias is moved: CoreDNS, dynamic updates, a program of the platform's own."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, TypeVar

from pgaas.config.models.datacenters import Coredns, Hook, Rfc2136
from pgaas.config.naming import (
    alias_record,
    load_balancer_name,
    record_service,
    service_fqdn,
    side_record,
)
from pgaas.errors import KubernetesError, KubernetesUnavailable, PgaasError, ToolFailed
from pgaas.kube import coredns
from pgaas.kube.client import Api
from pgaas.kube.coredns import Pointed
from pgaas.kube.corefile import Alias
from pgaas.operations.rows import Row
from pgaas.operations.subject import Subject
from pgaas.render.topology import side_names
from pgaas.tools.dns_hook import HookRecord, run_hook
from pgaas.tools.dns_update import UpdateServer, delete_cname, probe, replace_cname

Result = TypeVar("Result")
Values = tuple[str, ...]
CHECK = "dns"


class Provider(Protocol):
    """Move one client's alias between datacenters."""

    @property
    def kind(self) -> Literal["A", "CNAME"]:
        """Return the type of the record."""

    def check(self) -> Row:
        """Look whether a move would be taken, and change nothing. Never raise."""

    def values_of(self, dc: str) -> Values:
        """Return what the record holds when it points to a datacenter; raise PgaasError if not known."""

    def owners(self) -> dict[Values, str]:
        """Return whose values these are, as far as it can be found out now."""

    def never_made(self) -> bool:
        """Return whether it is certain that nobody made the record yet."""

    def point_to(self, dc: str) -> dict[str, str]:
        """Move the alias; return the datacenters whose DNS was not changed, and why. Raise PgaasError."""

    def remove(self) -> dict[str, str]:
        """Take the alias away; return what `point_to` does. Raise PgaasError."""

    def side_values(self) -> dict[str, Values]:
        """Return what the name of each side holds, as far as it can be seen now; none if sides have none."""

    def point_sides(self) -> dict[str, str]:
        """Let the sides' names lead to where the sides are; return what `point_to` does. Raise PgaasError."""

    def forget_side(self, dc: str) -> dict[str, str]:
        """Take a side's name away; return what `point_to` does. Raise PgaasError."""


@dataclass(frozen=True)
class CorednsProvider:
    """Address records in the CoreDNS of every datacenter that can be reached.

    `sides` are the names that never move, each to its own datacenter's balancer. Of a side that is away they
    stay as they are.
    """

    subjects: Mapping[str, Subject]
    apis: Mapping[str, Api | None]
    config_map: str
    alias: Alias
    sides: Mapping[str, Alias] = field(default_factory=dict)

    @property
    def kind(self) -> Literal["A", "CNAME"]:
        """Return the type of the record: CoreDNS answers for the balancer's IPv4 address."""
        return "A"

    def check(self) -> Row:
        """Ask each API server whether it would take the change, and each balancer for its address."""
        live, _ = self._live()
        wanted = [self.alias, *(alias for dc, alias in self.sides.items() if dc in live)]

        def look(dc: str, api: Api) -> str:
            addresses = self.values_of(dc)
            changed = coredns.install(api, self.config_map, wanted, dry_run=True)
            coredns.point(api, self.alias, Pointed(addresses, dc), dry_run=True)
            return f"{dc}: {', '.join(addresses)}" + (", not in its Corefile yet" if changed else "")

        seen, failed = self._everywhere(look)
        unreachable = [dc for dc in failed if self.apis.get(dc) is None]
        broken = {dc: error for dc, error in failed.items() if dc not in unreachable}
        parts = [*seen.values(), *(f"{dc}: {_told(error)}" for dc, error in broken.items())]
        parts += [f"{dc}: its API server cannot be reached" for dc in unreachable]
        detail = "CoreDNS: " + "; ".join(parts)
        if not broken and seen:
            return Row(CHECK, "warning" if unreachable else "ok", detail)
        first = next(iter(broken.values()), None)
        next_step = first.next_step if first else "mend the way to one of the API servers"
        return Row(CHECK, "failed", detail, next_step, type(first) if first else KubernetesError)

    def values_of(self, dc: str) -> Values:
        """Return the addresses of a datacenter's balancer."""
        subject = self.subjects[dc]
        service = load_balancer_name(subject.target, "rw")
        return tuple(sorted(coredns.balancer_addresses(self._api(dc), service, subject.namespace)))

    def owners(self) -> dict[Values, str]:
        """Return whose addresses these are; of a side that is away, as the other sides' records say."""
        return {values: dc for dc, values in self._known(*self._live()).items()}

    def never_made(self) -> bool:
        """Return whether no datacenter that can be reached holds addresses for the alias."""
        records, _ = self._everywhere(lambda _, api: coredns.pointed(api, self.alias))
        return bool(records) and not any(record.addresses for record in records.values())

    def point_to(self, dc: str) -> dict[str, str]:
        """Change every datacenter's CoreDNS; one is enough, and what failed elsewhere is returned."""
        live, missing = self._live()
        to = Pointed(self.values_of(dc), dc, self._known(live, missing))

        def change(_: str, api: Api) -> None:
            # First what CoreDNS sees at once: its Corefile has changed long ago, but for the first time.
            coredns.point(api, self.alias, to)
            self._write(api, live, self.alias)

        return self._some(change)

    def remove(self) -> dict[str, str]:
        """Take the alias, and the names of the sides, out of every datacenter's CoreDNS."""
        every = [self.alias, *self.sides.values()]
        return self._some(lambda _, api: coredns.uninstall(api, self.config_map, every))

    def side_values(self) -> dict[str, Values]:
        """Return the addresses of each side that is seen now."""
        live, _ = self._live() if self.sides else ({}, {})
        return {alias.fqdn: live[dc] for dc, alias in self.sides.items() if dc in live}

    def point_sides(self) -> dict[str, str]:
        """Write the sides that are seen now into every datacenter's CoreDNS."""
        live, _ = self._live()
        return self._some(lambda _, api: self._write(api, live))

    def forget_side(self, dc: str) -> dict[str, str]:
        """Take a side's name out of every datacenter's CoreDNS."""
        own = [self.sides[dc]] if dc in self.sides else []
        return self._some(lambda _, api: coredns.uninstall(api, self.config_map, own))

    def _write(self, api: Api, live: Mapping[str, Values], *others: Alias) -> None:
        """Point the names of the sides that are seen, and let the Corefile answer for them and others."""
        seen = {dc: alias for dc, alias in self.sides.items() if dc in live}
        for dc, alias in seen.items():
            coredns.point(api, alias, Pointed(live[dc], dc))
        coredns.install(api, self.config_map, [*others, *seen.values()])

    def _live(self) -> tuple[dict[str, Values], dict[str, PgaasError]]:
        """Return the addresses of each datacenter's balancer, and what keeps others from being seen."""
        return self._everywhere(lambda dc, _: self.values_of(dc))

    def _known(self, live: Mapping[str, Values], missing: Mapping[str, PgaasError]) -> dict[str, Values]:
        """Return each datacenter's addresses; of one that is away, as the others' records remember them."""
        seen = dict(live)
        if missing:
            records, _ = self._everywhere(lambda _, api: coredns.pointed(api, self.alias))
            for record in records.values():
                for dc in missing.keys() & record.known.keys():
                    seen.setdefault(dc, tuple(sorted(record.known[dc])))
        return seen

    def _api(self, dc: str) -> Api:
        api = self.apis.get(dc)
        if api is None:
            raise KubernetesUnavailable(
                f"the API server of {dc} cannot be reached",
                where=f"{self.subjects[dc].target}",
                next_step="check that the cluster runs and that this machine may reach it",
            )
        return api

    def _some(self, act: Callable[[str, Api], Result]) -> dict[str, str]:
        done, failed = self._everywhere(act)
        if not done:
            raise next(iter(failed.values()))
        return {dc: _told(error) for dc, error in failed.items()}

    def _everywhere(
        self, act: Callable[[str, Api], Result]
    ) -> tuple[dict[str, Result], dict[str, PgaasError]]:
        """Do something in all datacenters at once; return what came out, and what failed."""

        def guarded(dc: str) -> Result | PgaasError:
            try:
                return act(dc, self._api(dc))
            except PgaasError as error:
                return error

        with ThreadPoolExecutor(max(len(self.subjects), 1)) as pool:
            results = dict(zip(self.subjects, pool.map(guarded, self.subjects), strict=True))
        failed = {dc: result for dc, result in results.items() if isinstance(result, PgaasError)}
        return {dc: each for dc, each in results.items() if not isinstance(each, PgaasError)}, failed


@dataclass(frozen=True)
class _Alias:
    """What providers of a CNAME share: it is another name, which the configuration alone decides."""

    subjects: Mapping[str, Subject]

    @property
    def kind(self) -> Literal["A", "CNAME"]:
        """Return the type of the record."""
        return "CNAME"

    def values_of(self, dc: str) -> Values:
        """Return the name of a datacenter's Service outside Kubernetes."""
        subject = self.subjects[dc]
        suffix = subject.resolved.datacenters.datacenters[dc].dns_suffix
        return (service_fqdn(subject.target, "rw", suffix),)

    def owners(self) -> dict[Values, str]:
        """Return whose names these are."""
        return {self.values_of(dc): dc for dc in self.subjects}

    def never_made(self) -> bool:
        """Return false: only the DNS knows."""
        return False

    def side_values(self) -> dict[str, Values]:
        """Return nothing: sides have the names of their Services."""
        return {}

    def point_sides(self) -> dict[str, str]:
        """Do nothing, for the same reason."""
        return {}

    def forget_side(self, dc: str) -> dict[str, str]:  # noqa: ARG002
        """Do nothing, for the same reason."""
        return {}

    @property
    def name(self) -> str:
        """Return the alias."""
        return next(iter(self.subjects.values())).values.dns.primary_fqdn

    @property
    def ttl(self) -> int:
        """Return the time to live, in seconds."""
        return next(iter(self.subjects.values())).values.dns.ttl


@dataclass(frozen=True)
class Rfc2136Provider(_Alias):
    """A CNAME on a DNS server that takes signed updates."""

    settings: Rfc2136
    zone: str

    def check(self) -> Row:
        """Send an update that changes nothing."""
        return _row(lambda: probe(self._server(), self.name), f"{self.settings.server} takes updates")

    def point_to(self, dc: str) -> dict[str, str]:
        """Replace the record, in one update."""
        (target,) = self.values_of(dc)
        replace_cname(self._server(), self.name, target, self.ttl)
        return {}

    def remove(self) -> dict[str, str]:
        """Delete the record."""
        delete_cname(self._server(), self.name)
        return {}

    def _server(self) -> UpdateServer:
        settings = self.settings
        return UpdateServer(
            host=settings.server,
            port=settings.port,
            zone=settings.zone or self.zone,
            key=settings.tsig_name,
            algorithm=settings.tsig_algorithm,
            secret=read_secret(settings.tsig_secret.environment, settings.tsig_secret.file),
            timeout=float(settings.timeout),
        )


@dataclass(frozen=True)
class HookProvider(_Alias):
    """A CNAME that a program of the platform's own makes."""

    settings: Hook
    zone: str
    root: Path

    def check(self) -> Row:
        """Let the program say whether it could."""
        return _row(lambda: self._run("check", ""), f"{self.settings.program} says that it can")

    def point_to(self, dc: str) -> dict[str, str]:
        """Let the program make the record."""
        self._run("set", *self.values_of(dc))
        return {}

    def remove(self) -> dict[str, str]:
        """Let the program delete the record."""
        self._run("delete", "")
        return {}

    def _run(self, action: Literal["check", "set", "delete"], value: str) -> None:
        record = HookRecord(self.name, self.kind, value, self.ttl, self.zone)
        run_hook(self.settings.program, action, record, root=self.root, timeout=float(self.settings.timeout))


def provider_for(subjects: Mapping[str, Subject], apis: Mapping[str, Api | None]) -> Provider:
    """Return the provider that the client's environment uses."""
    some = next(iter(subjects.values()))
    dns = some.resolved.datacenters.dns
    if dns.provider == "rfc2136" and dns.rfc2136:
        return Rfc2136Provider(subjects, dns.rfc2136, dns.zone)
    if dns.provider == "hook" and dns.hook:
        return HookProvider(subjects, dns.hook, dns.zone, some.root)
    settings = dns.coredns or Coredns()

    def alias(fqdn: str, record: str) -> Alias:
        return Alias(fqdn, settings.namespace, record_service(record), label=record, ttl=dns.ttl)

    names = side_names(some.resolved)
    return CorednsProvider(
        subjects,
        apis,
        settings.config_map,
        alias(some.values.dns.primary_fqdn, alias_record(some.target)),
        {dc: alias(names[dc], side_record(each.target)) for dc, each in subjects.items() if dc in names},
    )


def read_secret(variable: str | None, file: str | None) -> str:
    """Return the secret that a variable or a file holds. Raise ToolFailed if there is none."""
    if variable is not None:
        found, place = os.environ.get(variable, ""), f"environment variable {variable}"
    else:
        place = str(file)
        try:
            found = Path(place).expanduser().read_text(encoding="ascii", errors="replace")
        except OSError as error:
            raise ToolFailed(
                f"the TSIG secret cannot be read: {error.strerror or error}",
                where=place,
                next_step="put the key's secret there, in base64, or correct dns.rfc2136.tsigSecret",
            ) from error
    if not found.strip():
        raise ToolFailed(
            "there is no TSIG secret: without it the DNS server takes no update",
            where=place,
            next_step="put the key's secret there, in base64, or correct dns.rfc2136.tsigSecret",
        )
    return found.strip()


def _row(act: Callable[[], None], good: str) -> Row:
    try:
        act()
    except PgaasError as error:
        return Row(CHECK, "failed", f"{_told(error)} ({error.where})", error.next_step, type(error))
    return Row(CHECK, "ok", good)


def _told(error: PgaasError) -> str:
    return error.what.partition("\n")[0]
