"""Start, recognise and end the lab's long-running processes."""

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pgaas_lab.command import environment

PROC = Path("/proc")


@dataclass(frozen=True)
class Record:
    """What a pid file holds: enough to tell our process from a stranger with the same number."""

    pid: int
    start: int
    boot: str
    fingerprint: str = ""


def boot_id() -> str:
    """Return the kernel's name for this boot."""
    return (PROC / "sys/kernel/random/boot_id").read_text().strip()


def start_time(pid: int) -> int | None:
    """Return when a process started, in clock ticks since boot, or None if it is gone or a zombie."""
    try:
        text = (PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    return parse_start_time(text)


def parse_start_time(stat: str) -> int | None:
    """Return the start time in the text of /proc/PID/stat, or None for a zombie."""
    # The command's name stands in parentheses and may hold blanks and parentheses itself.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in ("Z", "X") else int(fields[19])


def is_running(record: Record) -> bool:
    """Tell whether the very process of this record is still there."""
    return record.boot == boot_id() and start_time(record.pid) == record.start


def read_record(file: Path) -> Record | None:
    """Return what a pid file says, or None if there is none or it is damaged."""
    try:
        return Record(**json.loads(file.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def running(file: Path) -> Record | None:
    """Return the record of a pid file whose process is running, else None."""
    record = read_record(file)
    return record if record and is_running(record) else None


def spawn(
    argv: Sequence[object],
    *,
    pid_file: Path,
    log: Path,
    cgroup: Path,
    fingerprint: str,
    network_namespace: Path | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path = Path("/"),
) -> Record:
    """Start a process in its own session, cgroup and network namespace, and write its pid file."""
    for folder in (pid_file.parent, log.parent, cgroup):
        folder.mkdir(parents=True, exist_ok=True)
    # nsenter rather than `ip netns exec`: the latter would also make a mount namespace, and containerd
    # could not see the volumes that kubelet mounts.
    enter = ["nsenter", f"--net={network_namespace}"] if network_namespace else []
    launcher = 'echo 0 > "$1/cgroup.procs" && shift && exec "$@"'
    words = ["sh", "-c", launcher, "sh", cgroup, *enter, *argv]
    keep_previous(log)
    with log.open("ab") as output:
        process = subprocess.Popen(
            [str(word) for word in words],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env=environment(env),
            cwd=cwd,
        )
    started = start_time(process.pid) or 0
    record = Record(process.pid, started, boot_id(), fingerprint)
    temporary = pid_file.with_suffix(".new")
    temporary.write_text(json.dumps(asdict(record)))
    temporary.replace(pid_file)
    return record


def keep_previous(log: Path) -> None:
    """Set the log of the last run aside, so that one file is one run."""
    if log.exists():
        log.replace(log.with_suffix(".log.1"))


def send(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process that may be gone."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def stop(file: Path, patience: float = 15) -> bool:
    """End the process of a pid file, by force after `patience` seconds, and remove the file."""
    record = running(file)
    if record:
        send(record.pid, signal.SIGTERM)
        if not wait_gone(record, patience):
            send(record.pid, signal.SIGKILL)
            wait_gone(record, 5)
    gone = record is None or not is_running(record)
    if gone:
        file.unlink(missing_ok=True)
    return gone


def wait_gone(record: Record, patience: float) -> bool:
    """Wait until a process is gone; tell whether it is."""
    deadline = time.monotonic() + patience
    while is_running(record):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
