"""Who holds a Lease: which process of which machine, and whether it is known to be gone."""

from __future__ import annotations

import getpass
import os
import socket
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pgaas.kube.resources import Object, dig

BY, VERB, SINCE, PROCESS = "pgaas.io/held-by", "pgaas.io/verb", "pgaas.io/since", "pgaas.io/process"
PROC = Path("/proc")
ENDED = ("Z", "X")


@dataclass(frozen=True)
class Process:
    """One process among all of its machine; `started` is in clock ticks since the machine's start.

    `machine` is the host's name, the boot and the space of process ids: containers of one host may share the
    first two. It is empty where the system does not tell.
    """

    machine: str
    pid: int
    started: str

    def __str__(self) -> str:
        return f"{self.pid} {self.started} {self.machine}"


@dataclass(frozen=True)
class Holder:
    """Who holds a Lease, for a machine (`identity`, `process`) and for a person (`who`, `verb`, `since`)."""

    identity: str
    who: str
    verb: str
    since: str
    process: Process | None = None

    @property
    def annotations(self) -> dict[str, str]:
        """Return what tells a person, and another pgaas on this machine, who this is."""
        process = {PROCESS: str(self.process)} if self.process else {}
        return {BY: self.who, VERB: self.verb, SINCE: self.since, **process}

    def __str__(self) -> str:
        doing = f" runs `pgaas {self.verb}`" if self.verb else " holds it"
        process = f", process {self.process.pid}" if self.process else ""
        return f"{self.who}{doing}{f' since {self.since}' if self.since else ''}{process}"


def myself(verb: str) -> Holder:
    """Return a new holder for this process."""
    host = socket.gethostname()
    who = f"{_user()}@{host}"
    process = this_process()
    identity = f"{who} {os.getpid()} {uuid.uuid4().hex[:12]}"
    return Holder(identity, who, verb, f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC", process)


def holder_of(lease: Object) -> Holder | None:
    """Return who holds a Lease, or None if nobody does."""
    identity = str(dig(lease, "spec", "holderIdentity", default=""))
    if not identity:
        return None
    notes = dig(lease, "metadata", "annotations", default={})
    return Holder(
        identity,
        str(notes.get(BY) or identity),
        str(notes.get(VERB, "")),
        str(notes.get(SINCE, "")),
        _process(str(notes.get(PROCESS, ""))),
    )


def is_gone(holder: Holder) -> bool:
    """Return whether the holder is known to be gone: a process of this very machine that has ended."""
    process = holder.process
    if process is None or process.machine != _machine():
        return False
    try:
        os.kill(process.pid, 0)
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:
        pass
    state, started = _stat(process.pid)
    # What cannot be read, as with hidepid, counts as alive.
    return state in ENDED or bool(started and started != process.started)


def this_process() -> Process | None:
    """Return this process, or None where the system does not tell one life of a process id from another."""
    machine, (_, started) = _machine(), _stat(os.getpid())
    return Process(machine, os.getpid(), started) if machine and started else None


def _process(text: str) -> Process | None:
    pid, _, rest = text.partition(" ")
    started, _, machine = rest.partition(" ")
    if not (pid.isascii() and pid.isdigit() and int(pid) > 0 and started and machine):
        return None
    return Process(machine, int(pid), started)


def _machine() -> str:
    try:
        boot = (PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{socket.gethostname()} {boot} {(PROC / 'self/ns/pid').readlink()}"
    except OSError:
        return ""


def _stat(pid: int) -> tuple[str, str]:
    """Return a process's state and start, both empty if they cannot be read."""
    try:
        # The name, in brackets, may hold anything.
        fields = (PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
        return fields[0], fields[19]
    except (OSError, IndexError):
        return "", ""


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
