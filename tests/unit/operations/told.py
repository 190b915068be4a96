"""A Progress that remembers every word."""

from __future__ import annotations


class Told:
    """All that an operation reports, in order."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def started(self, step: str) -> None:
        self.lines.append(f"started {step}")

    def detail(self, text: str) -> None:
        self.lines.append(f"detail {text}")

    def advanced(self, done: int, total: int) -> None:
        self.lines.append(f"advanced {done} {total}")

    def finished(self, text: str = "") -> None:
        self.lines.append(f"finished {text}")

    def failed(self, text: str) -> None:
        self.lines.append(f"failed {text}")

    def note(self, text: str) -> None:
        self.lines.append(f"note {text}")

    def command(self, text: str) -> None:
        self.lines.append(f"command {text}")
