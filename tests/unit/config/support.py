from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pgaas.config.naming import Target
from pgaas.config.resolve import resolve_client
from pgaas.errors import ConfigError

REPOSITORY = Path(__file__).resolve().parents[3]
CLIENTS = "confs/admin/{}/clients.yaml"
USER = "confs/users/ic1/local/databases.yaml"
LOCAL = Target("ic1", "local", "local1")
PROD = Target("ic1", "prod", "dc1")
DEV1 = Target("ic1", "dev1", "dc1")


@dataclass(frozen=True)
class Confs:
    """A root of one's own, with the shipped files in it."""

    root: Path

    def read(self, file: str) -> str:
        return (self.root / file).read_text()

    def write(self, file: str, text: str | bytes) -> Path:
        path = self.root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    def replace(self, file: str, old: str, new: str) -> None:
        text = self.read(file)
        assert text.count(old) >= 1, f"{old!r} is not in {file}"
        self.write(file, text.replace(old, new, 1))

    def issues(self, target: Target = LOCAL) -> list[str]:
        try:
            resolve_client(self.root, target)
        except ConfigError as error:
            found = error.issues
        else:
            return []
        assert found == sorted(found)
        return [str(issue) for issue in found]
