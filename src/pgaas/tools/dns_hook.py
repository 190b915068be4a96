"""Run the program that moves an alias, for DNS that nothing else here can change.

It is called as `PROGRAM ACTION NAME TYPE VALUE TTL`. ACTION is `check` (say by the exit code whether a move
would work, change nothing; VALUE is empty), `set` (let NAME have this one record) or `delete` (no VALUE).
The same, and the zone, stand in its environment as PGAAS_DNS_ACTION, _NAME, _TYPE, _VALUE, _TTL and _ZONE. It
must do no harm when it is called again with the same arguments. Exit code 0 means done.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pgaas.errors import TimedOut, ToolFailed, ToolMissing
from pgaas.tools.command import inherited_environment, run

Action = Literal["check", "set", "delete"]
ANY_CODE = range(-128, 256)
# Whoever gives a program a secret by a variable calls it so.
SECRET_NAME = re.compile(r"SECRET|TOKEN|PASS|KEY|CREDENTIAL|AUTH", re.IGNORECASE)
SHORTEST_SECRET = 4


@dataclass(frozen=True)
class HookRecord:
    """The record that a program is to make; `ttl` is in seconds."""

    name: str
    kind: str
    value: str
    ttl: int
    zone: str


def run_hook(program: str, action: Action, record: HookRecord, *, root: Path, timeout: float) -> None:
    """Run the program in the root folder; a path with a slash is looked for below it.

    Raise ToolMissing if it cannot be started, ToolFailed if it fails or is not done after `timeout` seconds.
    """
    path = str(root / program) if "/" in program else program
    environment = inherited_environment(_environment(action, record))
    secrets = [
        value
        for name, value in os.environ.items()
        if SECRET_NAME.search(name) and len(value) >= SHORTEST_SECRET
    ]
    argv = [path, action, record.name, record.kind, record.value, str(record.ttl)]
    if "/" in program and not os.access(path, os.X_OK):
        raise ToolMissing(
            f"the DNS program {program} is not there, or may not be run",
            where=path,
            next_step="put it there and make it executable, or correct dns.hook.program",
        )
    try:
        done = run(argv, env=environment, cwd=root, timeout=timeout, masked=secrets, accept=ANY_CODE)
    except TimedOut as error:
        raise ToolFailed(
            f"the DNS program {program} was not done with {action} after {timeout:g} s, and was ended",
            where=f"{action} {record.name}",
            next_step="see what it waits for, or raise dns.hook.timeout; then run the same command again",
        ) from error
    if done.returncode == 0:
        return
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    said = f": {lines[-1][:500]}" if lines else ", and said nothing on stderr"
    how = f"exit code {done.returncode}" if done.returncode > 0 else f"signal {-done.returncode}"
    raise ToolFailed(
        f"the DNS program {program} failed to {action} {record.name} ({how}){said}",
        where=f"{path} {action}",
        next_step="mend what it says, then run the same command again",
    )


def _environment(action: Action, record: HookRecord) -> dict[str, str]:
    return {
        "PGAAS_DNS_ACTION": action,
        "PGAAS_DNS_NAME": record.name,
        "PGAAS_DNS_TYPE": record.kind,
        "PGAAS_DNS_VALUE": record.value,
        "PGAAS_DNS_TTL": str(record.ttl),
        "PGAAS_DNS_ZONE": record.zone,
    }
