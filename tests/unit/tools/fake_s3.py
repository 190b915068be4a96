"""A small S3 of our own: enough of it for a bucket, objects, pages of a listing, and refusals."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

PAGE = 2
START = datetime(2026, 1, 1, tzinfo=UTC)


class FakeS3(ThreadingHTTPServer):
    """Objects in memory; `refuse` answers a method, or one object's key, with a code.

    `written` says when an object was, and `now` what the clock shows; `page` is how many a listing gives.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.objects: dict[str, bytes] = {}
        self.buckets = {"b"}
        self.forgets = False
        self.refuse: dict[str, tuple[int, str]] = {}
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self.written: dict[str, datetime] = {}
        self.now: datetime | None = None
        self.page = PAGE

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
        bucket, _, key = unquote(path).lstrip("/").partition("/")
        refused = self.server.refuse.get(self.command) or self.server.refuse.get(key)
        if refused:
            self.error(*refused)
        elif self.command == "GET" and not bucket:
            names = "".join(f"<Bucket><Name>{escape(name)}</Name></Bucket>" for name in self.server.buckets)
            xml = f"<ListAllMyBucketsResult><Buckets>{names}</Buckets></ListAllMyBucketsResult>"
            self.answer(200, xml.encode())
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
        elif key and key not in self.server.objects:
            self.error(404, "NoSuchKey")
        elif key:
            self.answer(200, self.server.objects[key])
        else:
            self.listing(query)

    do_GET = do_PUT = do_DELETE = do_HEAD = handle_any

    def listing(self, query: dict[str, list[str]]) -> None:
        prefix = query.get("prefix", [""])[0]
        delimiter = query.get("delimiter", [""])[0]
        after = query.get("continuation-token", [""])[0]
        found: dict[str, bool] = {}
        for key in self.server.objects:
            if key.startswith(prefix):
                head, cut, _ = key[len(prefix) :].partition(delimiter) if delimiter else (key, "", "")
                found[f"{prefix}{head}{cut}" if cut else key] = bool(cut)
        rest = iter(sorted(name for name in found if name > after))
        page = list(islice(rest, self.server.page))
        entries = "".join(
            f"<CommonPrefixes><Prefix>{escape(name)}</Prefix></CommonPrefixes>"
            if found[name]
            else self.entry(name)
            for name in page
        )
        more = next(rest, None) is not None
        token = f"<NextContinuationToken>{escape(page[-1])}</NextContinuationToken>" if more else ""
        truncated = "true" if more else "false"
        xml = f"<ListBucketResult><IsTruncated>{truncated}</IsTruncated>{token}{entries}</ListBucketResult>"
        self.answer(200, xml.encode())

    def entry(self, key: str) -> str:
        written = self.server.written.get(key, START + timedelta(days=len(key)))
        return (
            f"<Contents><Key>{escape(key)}</Key><Size>{len(self.server.objects[key])}</Size>"
            f"<LastModified>{written.isoformat()}</LastModified></Contents>"
        )

    def date_time_string(self, timestamp: float | None = None) -> str:
        now = self.server.now
        return super().date_time_string(now.timestamp() if now else timestamp)

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
