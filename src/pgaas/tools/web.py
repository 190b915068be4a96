"""HTTPS to services that ask for a token, such as Vault and Artifactory.

No secret leaves in a message, and none goes to where a redirect leads: what is to be hidden is told to `Web`,
which takes it out of every error, and drops headers with a token as soon as another origin is asked.
"""

from __future__ import annotations

import hashlib
import os
import re
import ssl
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import SplitResult, unquote, urljoin, urlsplit, urlunsplit
from urllib.request import getproxies, proxy_bypass

from pgaas.errors import PgaasError, TimedOut, ToolFailed, UsageError
from pgaas.tools.mask import Mask

if TYPE_CHECKING:
    from urllib3 import PoolManager

CONNECT_SECONDS = 10.0
SILENCE_SECONDS = 60.0
# What a server that only dribbles may take for one request.
WHOLE_SECONDS = 1800.0
# Between the tries of one request; a server's own Retry-After counts up to LONGEST_PAUSE.
PAUSES = (1.0, 2.0, 4.0)
LONGEST_PAUSE = 30.0
AGAIN = (429, 500, 502, 503, 504)
REDIRECTS = (301, 302, 303, 307, 308)
MOST_REDIRECTS = 5
CHUNK = 1 << 16
TEXT_LIMIT = 1 << 20
SAID_LIMIT = 300
LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Sink:
    """Take an answer's body: hashed, counted, and written to a file if there is one."""

    def __init__(self, file: IO[bytes] | None = None, limit: int | None = None) -> None:
        self._file, self._limit = file, limit
        self.restart()

    def restart(self) -> None:
        """Forget what a try before has brought."""
        self.size = 0
        self._sha256 = hashlib.sha256()
        if self._file is not None:
            self._file.seek(0)
            self._file.truncate()

    def write(self, chunk: bytes) -> None:
        """Take some of it. Raise ToolFailed if it is more than is allowed."""
        self.size += len(chunk)
        if self._limit is not None and self.size > self._limit:
            raise ToolFailed(f"the answer is larger than {self._limit} bytes")
        self._sha256.update(chunk)
        if self._file is not None:
            self._file.write(chunk)

    @property
    def sha256(self) -> str:
        """Return the checksum of what has come."""
        return self._sha256.hexdigest()


@dataclass(frozen=True)
class Answer:
    """What a server said; `text` is the body if it was not streamed elsewhere."""

    status: int
    headers: Mapping[str, str]
    text: str = field(default="", repr=False)


@dataclass(frozen=True)
class Request:
    """What is asked; `sink` gets the body of a 200."""

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | Path | None = field(default=None, repr=False)
    sink: Sink | None = None


class _AnotherTry(Exception):
    """One try failed in a way that the next one may not."""

    def __init__(self, error: PgaasError, pause: float | None = None) -> None:
        super().__init__(error.what)
        self.error, self.pause = error, pause


class Web:
    """A client of HTTPS services; `ca_file` adds a private CA to the system's."""

    def __init__(
        self,
        *,
        ca_file: Path | None = None,
        silence: float = SILENCE_SECONDS,
        echo: Callable[[str], None] = lambda _: None,
        tell: Callable[[str], None] = lambda _: None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._ca_file, self._silence = ca_file, silence
        self._echo, self._tell, self._sleep = echo, tell, sleep
        self._secrets: list[str] = []

    def hide(self, secret: str) -> str:
        """Keep a secret out of everything that is said from now on, and return it."""
        self._secrets.append(secret)
        return secret

    def mask(self, text: str) -> str:
        """Return a text without the secrets."""
        return Mask(self._secrets)(text)

    def said(self, answer: Answer) -> str:
        """Return what a server said of an error, as the end of a sentence: shortened, without the secrets."""
        line = self._short(_message(answer))
        return f": {line}" if line else ""

    def ask(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | Path | None = None,
        sink: Sink | None = None,
        follow: bool = False,
        once: bool = False,
    ) -> Answer:
        """Ask, and again where that can help (unless `once`), and return the answer, whatever its status.

        `sink` gets the body of a 200; `follow` goes where a redirect leads, without the headers if that is
        another origin. Raise ToolFailed if the server cannot be reached, is not whom its certificate says,
        fails again and again, or redirects what is not to be followed; TimedOut if it stays silent.
        """
        request = Request(method, url, dict(headers or {}), body, sink)
        for pause in (*(() if once else PAUSES), None):
            try:
                return self._through_redirects(request, follow=follow)
            except _AnotherTry as failed:
                if pause is None:
                    raise failed.error from failed
                pause = pause if failed.pause is None else min(failed.pause, LONGEST_PAUSE)
                self._tell(self.mask(f"{failed.error.what}: trying again in {pause:g} s"))
                self._sleep(pause)
        raise AssertionError("the last pause is None")

    def _through_redirects(self, request: Request, *, follow: bool) -> Answer:
        for _ in range(MOST_REDIRECTS):
            answer = self._once(request)
            if answer.status not in REDIRECTS:
                return answer
            there = _joined(request.url, answer.headers.get("location", ""))
            if not follow:
                raise ToolFailed(
                    f"the server answers with a redirect to {shown(there)}, and a token goes nowhere else",
                    where=shown(request.url),
                    next_step="set the service's address to where it really is",
                )
            if not _is_safe(urlsplit(there)):
                raise ToolFailed(
                    f"the server redirects to {shown(there)}, which is not HTTPS", where=shown(request.url)
                )
            headers = request.headers if origin(there) == origin(request.url) else {}
            request = replace(request, url=there, headers=headers)
        raise ToolFailed(f"more than {MOST_REDIRECTS} redirects", where=shown(request.url))

    def _once(self, request: Request) -> Answer:
        from urllib3 import exceptions

        url, where = request.url, shown(request.url)
        try:
            answer = self._exchange(request)
        except exceptions.SSLError as error:
            raise self._untrusted(error, where) from None
        except exceptions.NewConnectionError as error:
            raise self._lost(error, url) from None
        except exceptions.TimeoutError:
            late = f"no answer within {self._silence:g} seconds"
            raise _AnotherTry(TimedOut(late, where=where, next_step=LATER)) from None
        except (exceptions.HTTPError, ConnectionError) as error:
            raise self._lost(error, url) from None
        self._echo(f"{request.method} {where}: {answer.status}")
        if answer.status in AGAIN:
            what = f"{origin(url)} answers {answer.status}{self.said(answer)}"
            after = answer.headers.get("retry-after", "")
            pause = float(after) if after.isdecimal() else None
            raise _AnotherTry(ToolFailed(what, where=where, next_step=LATER), pause)
        return answer

    def _exchange(self, request: Request) -> Answer:
        deadline = time.monotonic() + WHOLE_SECONDS
        sent = {"User-Agent": "pgaas", "Accept-Encoding": "identity", **request.headers}
        with _opened(request.body, sent, deadline) as content:
            response = self._pool(request.url).request(
                request.method,
                request.url,
                headers=sent,
                body=content,
                preload_content=False,
                redirect=False,
                retries=False,
                decode_content=False,
            )
        try:
            text = Sink(limit=TEXT_LIMIT) if response.status != 200 or request.sink is None else None
            parts: list[bytes] = []
            taker = text or request.sink
            assert taker is not None
            taker.restart()
            for chunk in response.stream(CHUNK, decode_content=False):
                taker.write(chunk)
                if text is not None:
                    parts.append(chunk)
                _in_time(deadline)
        finally:
            response.close()
        plain = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status, plain, b"".join(parts).decode("utf-8", "replace"))

    def _lost(self, error: Exception, url: str) -> _AnotherTry:
        what = f"the connection to {origin(url)} failed: {self._short(_reason(error))}"
        return _AnotherTry(ToolFailed(what, where=shown(url), next_step=REACH))

    def _untrusted(self, error: Exception, where: str) -> ToolFailed:
        return ToolFailed(
            f"the certificate is not trusted: {self._short(_reason(error))}",
            where=where,
            next_step="name the CA that signed it with --ca-file or PGAAS_CA_FILE (PEM)",
        )

    def _short(self, text: str) -> str:
        # Secrets go first: of one that is cut in two, nobody would know the half.
        return " ".join(self.mask(text).split())[:SAID_LIMIT]

    @cached_property
    def _context(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        if self._ca_file is not None:
            try:
                context.load_verify_locations(cafile=self._ca_file)
            except (OSError, ssl.SSLError) as error:
                why = error.strerror if isinstance(error, FileNotFoundError) else "it holds no certificate"
                raise UsageError(
                    f"can't use the CA file: {why}",
                    where=str(self._ca_file),
                    next_step="--ca-file (PGAAS_CA_FILE) names a file of certificates in PEM",
                ) from error
        return context

    def _pool(self, url: str) -> PoolManager:
        import urllib3

        options: dict[str, Any] = {
            "ssl_context": self._context,
            "timeout": urllib3.Timeout(connect=min(CONNECT_SECONDS, self._silence), read=self._silence),
        }
        host = urlsplit(url).hostname or ""
        proxy = getproxies().get(urlsplit(url).scheme)
        if not proxy or host in LOOPBACK or proxy_bypass(host):
            return urllib3.PoolManager(**options)
        parts = _split(proxy if "://" in proxy else f"http://{proxy}")
        if parts is None or not parts.hostname:
            raise UsageError(
                "HTTPS_PROXY (or what stands for it on this machine) is no address",
                next_step="set it to an address such as http://proxy.example.com:3128",
            )
        if parts.username:
            # Special characters in a login are escaped in an address, and meant as they are.
            login = f"{unquote(parts.username)}:{self.hide(unquote(parts.password or ''))}"
            options["proxy_headers"] = urllib3.make_headers(proxy_basic_auth=self.hide(login))
        bare = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], "", "", ""))
        return urllib3.ProxyManager(bare, **options)


LATER = "look at the service's state, then run the same command again"
REACH = "check the address, the network and the proxy (HTTPS_PROXY, NO_PROXY), then run it again"


@contextmanager
def _opened(
    body: bytes | Path | None, headers: dict[str, str], deadline: float
) -> Iterator[bytes | Iterator[bytes] | None]:
    """Open what is to be sent, and say how long it is; a file is read as the server takes it."""
    if not isinstance(body, Path):
        yield body
        return
    with body.open("rb") as file:
        headers["Content-Length"] = str(os.fstat(file.fileno()).st_size)
        yield _chunks(file, deadline)


def _chunks(file: IO[bytes], deadline: float) -> Iterator[bytes]:
    while chunk := file.read(CHUNK):
        _in_time(deadline)
        yield chunk


def _in_time(deadline: float) -> None:
    if time.monotonic() > deadline:
        raise TimedOut(f"not through after {WHOLE_SECONDS:g} seconds", next_step=LATER)


def check_address(name: str, url: str) -> str:
    """Return a service's address without a slash at its end.

    Raise UsageError if it is not one that a secret can be sent to: HTTPS, or this machine itself.
    """
    parts = _split(url)
    problem = ""
    if parts is None or not parts.hostname or parts.scheme not in ("http", "https"):
        problem = "is not an address such as https://vault.example.com"
    elif parts.username is not None or parts.password is not None:
        problem = "holds a user or a password, which would be shown: leave it out"
    elif parts.query or parts.fragment:
        problem = "has a query or a fragment"
    elif not _is_safe(parts):
        problem = "is not HTTPS: secrets would go through the network in the clear"
    if problem:
        raise UsageError(f"{name} {problem}", next_step=f"set {name} to an https:// address")
    return url.rstrip("/")


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts


def _joined(url: str, location: str) -> str:
    """Return where a redirect leads. Raise ToolFailed if that is no address."""
    with suppress(ValueError):
        there = urljoin(url, location)
        if _split(there):
            return there
    raise ToolFailed("the server redirects to what is no address", where=shown(url))


def _is_safe(parts: SplitResult) -> bool:
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)


def origin(url: str) -> str:
    """Return the scheme, host and port of a URL, which is what a token is meant for."""
    parts = urlsplit(url)
    port = parts.port or {"https": 443, "http": 80}.get(parts.scheme, 0)
    return f"{parts.scheme}://{parts.hostname}:{port}"


def shown(url: str) -> str:
    """Return a URL as it may be shown: what signs a request is in its query, or before the host."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _message(answer: Answer) -> str:
    """Return what a server said of an error: JSON's `errors`, or a text that is no page."""
    import json

    try:
        content = json.loads(answer.text)
    except (ValueError, RecursionError):
        content = None
    errors = content.get("errors") if isinstance(content, dict) else None
    if isinstance(errors, Collection) and not isinstance(errors, str):
        return " ".join(str(each.get("message", "") if isinstance(each, dict) else each) for each in errors)
    return "" if answer.text.lstrip().startswith("<") else answer.text


def _reason(error: Exception) -> str:
    """Return the innermost words of an error, without the object that urllib3 puts in front of them."""
    text = str(error.args[-1] if error.args else error) or type(error).__name__
    return re.sub(r"^.*?(?:>|\)): ", "", text, count=1)
