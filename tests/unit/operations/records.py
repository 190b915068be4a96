"""The DNS name of a client with two sides in memory."""

from __future__ import annotations

from tests.unit.operations.two_sides import ONE, TWO, TwoSides

from pgaas.errors import TimedOut, ToolFailed
from pgaas.operations.dns import RecordState
from pgaas.operations.rows import Row

ADDRESSES = {ONE: "192.0.2.1", TWO: "192.0.2.2"}


class FakeRecord:
    """The client's DNS name."""

    def __init__(self, world: TwoSides) -> None:
        self.name = "primary.ic1-local.pgaas.local"
        self._world, self._life = world, world.life

    def check(self) -> Row:
        """Say that it can be moved, or cannot."""
        return (
            Row("dns", "ok", "can be moved")
            if self._world.name_moves
            else Row("dns", "failed", "stuck", "mend it")
        )

    def read(self) -> RecordState:
        """Say where it leads."""
        dc = self._world.name_leads_to
        return RecordState(self.name, "A", (ADDRESSES[dc],), 5, dc, f"leads to {dc}")

    def point_to(self, dc: str) -> tuple[str, ...]:
        """Move it."""
        self._world.alive(self._life)
        if not self._world.name_moves:
            raise ToolFailed("the DNS server refuses", next_step="mend it")
        if self._world.name_leads_to != dc:
            self._world.name_leads_to = dc
            self._world.step(f"name to {dc}", self._life)
        return ()

    def wait_for(self, dc: str, _timeout: float) -> None:
        """Look where it leads."""
        if self._world.name_leads_to != dc:
            raise TimedOut(f"{self.name} does not lead to {dc}")

    def resolve_primary(self) -> list[str]:
        """Return the address that it leads to."""
        return [ADDRESSES[self._world.name_leads_to]]
