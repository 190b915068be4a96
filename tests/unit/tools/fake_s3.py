"""A small S3 of our own: enough of it for a bucket, objects, pages of a listing, and refusals."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

PAGE = 2


class FakeS3(ThreadingHTTPServer):
    """Objects in memory; `refuse` answers a method with a code."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.objects: dict[str, bytes] = {}
        self.buckets = {"b"}
        self.forgets = False
        self.refuse: dict[str, tuple[int, str]] = {}
        self.asked: list[tuple[str, str, dict[str, str]]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    """Enough of S3: path-style buckets, objects, pages of a listing."""

    server: FakeS3
    # HTTP/1.0 knows no "100 Continue", and botocore waits a second for it.
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Stay silent."""

    def handle_any(self) -> None:
        path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked.append((self.command, path, dict(self.headers)))
        bucket, _, key = path.lstrip("/").partition("/")
        if self.command in self.server.refuse:
            code, name = self.server.refuse[self.command]
            self.error(code, name)
        elif self.command == "PUT" and not key:
            self.server.buckets.add(bucket)
            self.answer(200, b"")
        elif bucket not in self.server.buckets:
            self.error(404, "NoSuchBucket")
        elif self.command == "PUT":
            if not self.server.forgets:
                self.server.objects[key] = body
            self.answer(200, b"")
        elif self.command == "DELETE":
            self.server.objects.pop(key, None)
            self.answer(204, b"")
        elif key:
            self.answer(200, self.server.objects[key])
        else:
            self.listing(query)

    do_GET = do_PUT = do_DELETE = do_HEAD = handle_any

    def listing(self, query: dict[str, list[str]]) -> None:
        prefix = query.get("prefix", [""])[0]
        after = query.get("continuation-token", [""])[0]
        keys = sorted(key for key in self.server.objects if key.startswith(prefix) and key > after)
        page, rest = keys[:PAGE], keys[PAGE:]
        start = datetime(2026, 1, 1, tzinfo=UTC)
        entries = "".join(
            f"<Contents><Key>{key}</Key><Size>{len(self.server.objects[key])}</Size><LastModified>"
            f"{(start + timedelta(days=len(key))).isoformat()}</LastModified></Contents>"
            for key in page
        )
        token = f"<NextContinuationToken>{page[-1]}</NextContinuationToken>" if rest else ""
        truncated = "true" if rest else "false"
        xml = f"<ListBucketResult><IsTruncated>{truncated}</IsTruncated>{token}{entries}</ListBucketResult>"
        self.answer(200, xml.encode())

    def error(self, code: int, name: str) -> None:
        self.answer(code, f"<Error><Code>{name}</Code><Message>{name} it says</Message></Error>".encode())

    def answer(self, code: int, body: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


@contextmanager
def running() -> Iterator[FakeS3]:
    """Serve on a free port of this machine."""
    server = FakeS3()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
