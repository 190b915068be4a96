"""Reach a pod's port from here through the API server, as `kubectl port-forward` does.

The protocol is v4.channel.k8s.io over a WebSocket, one for each connection: channel 0 carries the data,
channel 1 the kubelet's complaints, and the first message of each names the port.
"""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from pgaas.kube.execute import hang_up

if TYPE_CHECKING:
    import httpx2

PROTOCOL = "v4.channel.k8s.io"
DATA, COMPLAINT = 0, 1
CHUNK = 32768
POLL_SECONDS = 0.5
LOOPBACK = "127.0.0.1"


@contextlib.contextmanager
def forwarded(
    client: httpx2.Client, pod: str, namespace: str, port: int, complaints: Callable[[str], None]
) -> Iterator[int]:
    """Listen on a free port of the loopback address while the block lasts, and return it.

    Each connection to it is one to the pod's port; what goes wrong on the way there is told to `complaints`,
    and the connection ends.
    """
    over = threading.Event()
    listener = socket.create_server((LOOPBACK, 0))
    listener.settimeout(POLL_SECONDS)
    url = f"/api/v1/namespaces/{namespace}/pods/{pod}/portforward?ports={port}"
    threads: list[threading.Thread] = []

    def serve() -> None:
        while not over.is_set():
            try:
                accepted, _ = listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            thread = threading.Thread(
                target=_carry, args=(client, url, accepted, over, complaints), daemon=True
            )
            thread.start()
            threads.append(thread)

    server = threading.Thread(target=serve, daemon=True)
    server.start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        over.set()
        listener.close()
        for thread in (server, *threads):
            thread.join()


def _carry(
    client: httpx2.Client,
    url: str,
    near: socket.socket,
    over: threading.Event,
    complaints: Callable[[str], None],
) -> None:
    """Carry one connection's bytes both ways until either end is closed."""
    with near:
        try:
            with client.websocket(url, subprotocols=[PROTOCOL]) as session:
                try:
                    _pump(session, near, over, complaints)
                finally:
                    hang_up(session)
        except Exception as error:
            # The near end sees its connection closed; this says why.
            complaints(" ".join(str(error).split()) or type(error).__name__)


def _pump(
    session: Any, near: socket.socket, over: threading.Event, complaints: Callable[[str], None]
) -> None:
    outward = threading.Thread(target=_send, args=(session, near), daemon=True)
    outward.start()
    named: set[int] = set()
    while not over.is_set() and outward.is_alive():
        try:
            message = session.receive_bytes(timeout=POLL_SECONDS)
        except queue.Empty:
            continue
        channel, content = message[0], message[1:]
        if channel not in named:
            # The port, in two bytes.
            named.add(channel)
            content = content[2:]
        if content and channel == COMPLAINT:
            complaints(content.decode(errors="replace").strip())
            break
        if content and channel == DATA:
            near.sendall(content)
    with contextlib.suppress(OSError):
        near.shutdown(socket.SHUT_RDWR)
    outward.join()


def _send(session: Any, near: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while content := near.recv(CHUNK):
            session.send_bytes(bytes([DATA]) + content)
