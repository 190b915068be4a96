"""Run a program in a container: exec over a WebSocket, its output handed over as it comes.

The protocol is v4 or v5.channel.k8s.io: each message begins with a byte that names its channel, and the last
one is a Status (k8s.io/apimachinery/pkg/util/remotecommand).
"""

from __future__ import annotations

import contextlib
import json
import queue
import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

if TYPE_CHECKING:
    import httpx2

PROTOCOLS = ["v5.channel.k8s.io", "v4.channel.k8s.io"]
STDOUT, STDERR, STATUS = 1, 2, 3
ENDED_BADLY = "NonZeroExitCode"


def execute(
    client: httpx2.Client,
    pod: str,
    container: str,
    namespace: str,
    argv: list[str],
    *,
    timeout: float,
    take: Callable[[str], bool] | None = None,
) -> tuple[int, str, str]:
    """Return a program's exit code, and what it wrote to stdout and stderr.

    `take` gets each line of stdout instead; once it returns true, the program is left to itself, which ends
    it when it next writes, and the code is 0. Raise httpx2.ReadTimeout after `timeout` seconds.
    """
    import httpx2

    words = [
        ("container", container),
        ("stdout", "true"),
        ("stderr", "true"),
        *(("command", word) for word in argv),
    ]
    url = f"/api/v1/namespaces/{namespace}/pods/{pod}/exec?{urlencode(words)}"
    end = time.monotonic() + timeout
    out, err, rest = bytearray(), bytearray(), b""
    with client.websocket(url, subprotocols=PROTOCOLS) as session:
        try:
            while True:
                try:
                    message = session.receive_bytes(timeout=max(end - time.monotonic(), 0.001))
                except queue.Empty:
                    raise httpx2.ReadTimeout(f"{argv[0]} did not end within {timeout:.0f} s") from None
                channel, content = message[0], message[1:]
                if channel == STATUS:
                    return (
                        _exit_code(content, err),
                        out.decode(errors="replace"),
                        err.decode(errors="replace"),
                    )
                if channel == STDERR:
                    err += content
                elif channel == STDOUT and take is None:
                    out += content
                elif channel == STDOUT and take:
                    *lines, rest = (rest + content).split(b"\n")
                    for line in lines:
                        if line.strip() and take(line.decode(errors="replace")):
                            return 0, "", ""
        finally:
            hang_up(session)


def hang_up(session: Any) -> None:
    """End the connection before its file descriptor is given back.

    httpx2 leaves a thread that reads from it. Closed under its hands, the descriptor's number goes to the
    next connection, and the thread eats the beginning of that one: "wrong version number".
    """
    with contextlib.suppress(Exception):
        session.stream.get_extra_info("socket").shutdown(socket.SHUT_RDWR)


def _exit_code(content: bytes, err: bytearray) -> int:
    status = json.loads(content)
    if status.get("status") == "Success":
        return 0
    if status.get("reason") == ENDED_BADLY:
        causes = status.get("details", {}).get("causes", [])
        return next((int(cause["message"]) for cause in causes if cause.get("reason") == "ExitCode"), 1)
    err += str(status.get("message", "it could not be run")).encode()
    return 126
