"""Show and mend the trust between a client's datacenters, and build it while a cluster is created."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from pgaas.config.naming import Target
from pgaas.config.targets import default_datacenter
from pgaas.errors import KubernetesError, UsageError
from pgaas.kube.client import Api
from pgaas.kube.snapshot import Snapshot
from pgaas.kube.wait import Ending, Item, Seen, wait_for
from pgaas.operations.progress import Progress
from pgaas.operations.subject import Subject, load_subject
from pgaas.operations.trust import (
    CLIENT,
    SERVER,
    Side,
    TrustState,
    Written,
    look_at_side,
    look_at_sides,
    look_at_trust,
    wanted,
    write_sides,
    write_trust,
)

# How long cert-manager may take for the CAs of a cluster that nobody waits for.
OWN_SECONDS = 60.0
# Longer than a connection may take to be made; what hangs longer than that is left to `trust sync`.
FAR_SECONDS = 8.0

Result = TypeVar("Result")


@dataclass(frozen=True)
class Synced:
    """What was written, and how trust is now."""

    written: tuple[Written, ...]
    states: dict[str, TrustState]


def show_trust(root: Path, ins: str, env: str) -> dict[str, TrustState]:
    """Return what each side trusts, by datacenter; raise UsageError if the client does not replicate."""
    subjects = load_sides(root, ins, env)
    return look_at_trust(subjects, open_apis(subjects))


def sync_trust(root: Path, ins: str, env: str) -> Synced:
    """Make each side that can be reached trust what it should; raise UsageError as `show_trust` does."""
    subjects = load_sides(root, ins, env)
    apis = open_apis(subjects)
    written = write_trust(subjects, apis)
    return Synced(tuple(written), look_at_trust(subjects, apis))


def load_sides(root: Path, ins: str, env: str) -> dict[str, Subject]:
    """Return a replicating client's subjects by datacenter; raise UsageError if it does not replicate."""
    first = load_subject(root, Target(ins, env, default_datacenter(root, ins, env)))
    if not first.values.replication.enabled:
        raise UsageError(
            f"{ins} does not replicate in {env}: its one client CA needs no bundle",
            next_step="set replication.enabled in clients.yaml, or leave trust to cert-manager",
        )
    return sides_of(first)


def sides_of(subject: Subject) -> dict[str, Subject]:
    """Return the subjects of all of a client's datacenters, in the order of clients.yaml."""
    target = subject.target
    return {
        dc: subject if dc == target.dc else load_subject(subject.root, target._replace(dc=dc))
        for dc in subject.resolved.client.datacenters
    }


def open_apis(subjects: Mapping[str, Subject]) -> dict[str, Api | str]:
    """Return each side's API server, or in words why there is none."""
    apis: dict[str, Api | str] = {}
    for dc, subject in subjects.items():
        try:
            apis[dc] = subject.api()
        except KubernetesError as error:
            apis[dc] = error.what
    return apis


class Background(Generic[Result]):
    """Work that goes on in a thread of its own, and is left to itself if nobody waits for its end."""

    def __init__(self, work: Callable[[], Result]) -> None:
        self._results: list[Result] = []
        self._errors: list[Exception] = []
        self._thread = threading.Thread(target=self._run, args=(work,), daemon=True)
        self._thread.start()

    def _run(self, work: Callable[[], Result]) -> None:
        try:
            self._results.append(work())
        except Exception as error:
            self._errors.append(error)

    def result(self, wait: float = 0.0) -> Result | None:
        """Return the result, or None if it is not there within `wait` seconds; raise what the work raised."""
        self._thread.join(wait)
        if self._errors:
            raise self._errors[0]
        return self._results[0] if self._results else None


class TrustBundles:
    """Give a new cluster the bundle that it waits for, then let both datacenters trust each other.

    It adds, and takes nothing away: a certificate that works goes on working until `pgaas trust sync`. The
    other datacenters are spoken to in the background, so that one that is down costs no time.
    """

    def __init__(self, subject: Subject, api: Api, progress: Progress) -> None:
        self._subject = subject
        self._api = api
        self._progress = progress
        self._subjects = sides_of(subject)
        others = {dc: each for dc, each in self._subjects.items() if dc != subject.target.dc}
        self._far = Background(lambda: look_at_sides(others, open_apis(others)))
        self._meeting: Background[tuple[dict[str, Side], list[Written]]] | None = None
        self._noted: set[str] = set()
        self._own_written = False
        self._done = False

    def __call__(self, _snapshot: Snapshot) -> None:
        """Do what can be done now."""
        self._look()

    def own_written(self) -> bool:
        """Do what can be done now, and return whether this cluster has the bundle that it waits for."""
        self._look()
        return self._own_written

    def settle(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Bring it to an end: wait for this cluster's CAs, and a moment for the other datacenters."""

        def probe() -> Seen:
            self._look()
            return Seen((Item("bundles", self._own_written),))

        timing: dict[str, Any] = {"timeout": OWN_SECONDS, "clock": clock, "sleep": sleep}
        if wait_for(probe, on_change=lambda _: None, **timing).ending is not Ending.SUCCEEDED:
            self._note(f"{self._subject.cluster} waits for its bundle of client CAs: {self._sync} writes it")
            return
        self._look(FAR_SECONDS)
        if not self._done:
            self._note(f"another datacenter did not answer in time; once it does: {self._sync}")

    def _look(self, wait: float = 0.0) -> None:
        """Do what can be done now; wait up to `wait` seconds for each answer of other datacenters."""
        if self._done:
            return
        here = self._subject.target.dc
        own = look_at_side(self._subject, self._api)
        if own.error:
            self._note(f"the bundle of client CAs cannot be looked at: {own.error}")
        if not own.writable:
            return
        far = self._far.result(wait)
        not_asked = {dc: Side(each, error="not asked yet") for dc, each in self._subjects.items()}
        sides = {**not_asked, **(far or {}), here: own}
        written = write_sides(sides, [here], keep=True)
        self._tell(written)
        self._own_written = bool(own.own[SERVER]) and not any(each.error for each in written)
        if far is None or not self._own_written:
            return
        if self._meeting is None:
            self._meeting = Background(lambda: self._meet(far))
        met = self._meeting.result(wait)
        if met is not None:
            self._done = True
            self._conclude(*met)

    def _meet(self, far: Mapping[str, Side]) -> tuple[dict[str, Side], list[Written]]:
        """Look again, as the other side may be being created too, and write all bundles."""
        answered = {dc: each for dc, each in self._subjects.items() if dc not in far or not far[dc].error}
        sides = {**{dc: far.get(dc) for dc in self._subjects}, **look_at_sides(answered, open_apis(answered))}
        known = {dc: side for dc, side in sides.items() if side is not None}
        return known, write_sides(known, known, keep=True)

    def _conclude(self, sides: dict[str, Side], written: list[Written]) -> None:
        here = self._subject.target.dc
        self._tell(written)
        for each in written:
            gained = {entry.datacenter for entry in each.added}
            if each.datacenter != here and each.purpose == CLIENT and here in gained:
                self._note(f"{each.datacenter} lets in what {here} signs from now on")
        for dc, side in sides.items():
            if side.error:
                self._note(
                    f"{dc} could not be asked whom it trusts ({side.error}); once it can be: {self._sync}"
                )
            elif side.writable and len(wanted(sides, dc, CLIENT)) < len(wanted(sides, dc, CLIENT, keep=True)):
                self._note(f"{dc} still trusts a CA that no datacenter has any more: {self._sync} ends that")

    def _tell(self, written: list[Written]) -> None:
        for each in written:
            if each.error:
                self._note(
                    f"{each.name} of {each.datacenter} could not be written: {each.error}; {self._sync}"
                )

    def _note(self, text: str) -> None:
        """Say something once."""
        if text not in self._noted:
            self._noted.add(text)
            self._progress.note(text)

    @property
    def _sync(self) -> str:
        return f"pgaas trust sync --ins {self._subject.target.ins} --env {self._subject.target.env}"
