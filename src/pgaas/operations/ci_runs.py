"""How far a deployment of several clients is: what its run notes down, and its reports tell."""

from __future__ import annotations

from dataclasses import dataclass

from pgaas.operations.ci_fetch import Release

DONE, FAILED, INTERRUPTED, NOT_BEGUN = "done", "failed", "interrupted", "not begun"
# Stays in a report only if the run was killed: nobody was left to say how it ended.
RUNNING = "running"


@dataclass(frozen=True)
class ClientRun:
    """How far one client is; `changed` is False where a run found nothing to do."""

    ins: str
    cluster: str = ""
    dc: str = ""
    state: str = NOT_BEGUN
    changed: bool | None = None
    seconds: float = 0.0
    error: str = ""
    where: str = ""
    next_step: str = ""
    exit_code: int = 0


@dataclass(frozen=True)
class Deployment:
    """What was asked for, and how far each client is, in the order in which they are done."""

    action: str
    env: str
    release: Release | None
    clients: tuple[ClientRun, ...]

    def named(self, state: str) -> list[str]:
        """Return the clients in one state."""
        return [each.ins for each in self.clients if each.state == state]

    @property
    def summary(self) -> str:
        """Return one line that names every client."""
        states = (DONE, FAILED, INTERRUPTED, NOT_BEGUN)
        return "; ".join(f"{state}: {', '.join(found)}" for state in states if (found := self.named(state)))
