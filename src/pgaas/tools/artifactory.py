"""Artifactory: put a file where none is, read it back, and fetch one with its checksum compared."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from pgaas.errors import RefusedAsUnsafe, ToolFailed
from pgaas.tools.web import CHUNK, Answer, Sink, Web, shown

SHA256 = "x-checksum-sha256"
ADVICE = {
    401: ("the JFrog token has expired, or is no token of this Artifactory", "renew the token in Vault"),
    403: (
        "the JFrog token may not do this",
        "give it read and deploy on the repository; without delete, nothing can be replaced",
    ),
    404: ("there is no such artifact, or no such repository", "check the version and the repository"),
    409: (
        "Artifactory got other bytes than were sent, or the repository takes no such file",
        "run the same command again; if it stays, look at the proxies in between",
    ),
    413: ("the file is larger than is allowed", "ask for a larger limit"),
}


@dataclass(frozen=True)
class Artifactory:
    """One repository, and the token that opens it."""

    web: Web
    repository_url: str
    token: str = field(repr=False)

    def url(self, path: str) -> str:
        """Return an artifact's address."""
        return f"{self.repository_url}/{path}"

    def stored_checksum(self, path: str) -> str | None:
        """Return the SHA-256 of what is stored there, or None if nothing is."""
        answer = self._ask("HEAD", path, accept=(200, 404))
        if answer.status == 404:
            return None
        # A repository that keeps no SHA-256 is asked for the bytes.
        return answer.headers.get(SHA256, "").lower() or self.read_back(path)

    def put(self, path: str, file: Path) -> None:
        """Send a file with its checksums, by which Artifactory refuses half of it or other bytes."""
        sums = {name: hashlib.new(name, usedforsecurity=False) for name in ("sha256", "sha1", "md5")}
        with file.open("rb") as content:
            while chunk := content.read(CHUNK):
                for each in sums.values():
                    each.update(chunk)
        headers = {f"X-Checksum-{name.capitalize()}": each.hexdigest() for name, each in sums.items()}
        answer = self._ask("PUT", path, headers, body=file, accept=(200, 201, 403))
        # Who may not replace a file is refused a second try too: the first may have arrived, its answer not.
        if answer.status == 403 and self.stored_checksum(path) != sums["sha256"].hexdigest():
            raise self._refused(answer, self.url(path))

    def read_back(self, path: str) -> str:
        """Return the SHA-256 of the bytes that a reader gets."""
        sink = Sink()
        self._ask("GET", path, sink=sink)
        return sink.sha256

    def get(self, path: str, into: IO[bytes]) -> str:
        """Fetch an artifact into a file, and return its SHA-256.

        Raise RefusedAsUnsafe if it is not what Artifactory's own checksum says, ToolFailed if that has none.
        """
        sink = Sink(into)
        answer = self._ask("GET", path, sink=sink)
        expected = answer.headers.get(SHA256, "").lower()
        if not expected:
            expected = self._ask("GET", f"{path}.sha256").text.strip().lower()
        if expected != sink.sha256:
            raise RefusedAsUnsafe(
                f"{path.rpartition('/')[2]} is not what its checksum says: it should have SHA-256 "
                f"{expected[:64]}, and has {sink.sha256}",
                where=shown(self.url(path)),
                next_step="run the same command again; if it stays, the artifact is damaged: publish a new "
                "version",
            )
        return expected

    def _ask(
        self,
        method: str,
        path: str,
        headers: dict[str, str] | None = None,
        *,
        body: Path | None = None,
        sink: Sink | None = None,
        accept: tuple[int, ...] = (200,),
    ) -> Answer:
        url = self.url(path)
        sent = {"Authorization": f"Bearer {self.token}", **(headers or {})}
        # Large artifacts may be given out by another server; the token does not go there.
        answer = self.web.ask(method, url, headers=sent, body=body, sink=sink, follow=method != "PUT")
        if answer.status not in accept:
            raise self._refused(answer, url)
        return answer

    def _refused(self, answer: Answer, url: str) -> ToolFailed:
        unknown = (f"Artifactory answers {answer.status}", "look at Artifactory's own log")
        what, next_step = ADVICE.get(answer.status, unknown)
        return ToolFailed(
            f"{what} ({answer.status}{self.web.said(answer)})", where=shown(url), next_step=next_step
        )


def sha256_of(file: Path) -> str:
    """Return a file's checksum."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
