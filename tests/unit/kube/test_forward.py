"""A pod's port on this machine, with a WebSocket that a thread answers."""

from __future__ import annotations

import contextlib
import queue
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from pgaas.kube.forward import LOOPBACK, forwarded

PORT = (389).to_bytes(2, "little")


class Session:
    """The kubelet's end: it names the port on both channels, then sends back what it gets, in capitals."""

    def __init__(self, complaint: bytes = b"") -> None:
        self.inbox: queue.Queue[bytes] = queue.Queue()
        self.inbox.put(b"\x00" + PORT)
        self.inbox.put(b"\x01" + PORT)
        if complaint:
            self.inbox.put(b"\x01" + complaint)

    def receive_bytes(self, timeout: float) -> bytes:
        return self.inbox.get(timeout=timeout)

    def send_bytes(self, message: bytes) -> None:
        self.inbox.put(message[:1] + message[1:].upper())


class Client:
    def __init__(self, complaint: bytes = b"", refuses: str = "") -> None:
        self.complaint, self.refuses = complaint, refuses
        self.asked: list[tuple[str, Any]] = []

    @contextlib.contextmanager
    def websocket(self, url: str, subprotocols: list[str]) -> Iterator[Session]:
        self.asked.append((url, subprotocols))
        if self.refuses:
            raise RuntimeError(self.refuses)
        yield Session(self.complaint)


def connect(port: int) -> socket.socket:
    return socket.create_connection((LOOPBACK, port), timeout=10)


def test_bytes_go_both_ways_and_the_port_s_name_is_none_of_them() -> None:
    client, complaints = Client(), []
    with forwarded(client, "slapd-0", "infra", 389, complaints.append) as port:  # type: ignore[arg-type]
        for word in (b"one", b"two"):
            with connect(port) as near:
                near.sendall(word)
                assert near.recv(100) == word.upper()
    url = "/api/v1/namespaces/infra/pods/slapd-0/portforward?ports=389"
    assert client.asked == [(url, ["v4.channel.k8s.io"])] * 2
    assert complaints == []


def test_a_complaint_of_the_kubelet_s_ends_the_connection_and_is_told() -> None:
    complaints: list[str] = []
    client: Any = Client(complaint=b"connection refused\n")
    with forwarded(client, "p", "n", 389, complaints.append) as port, connect(port) as near:
        assert near.recv(100) == b""
    assert complaints == ["connection refused"]


def test_an_api_server_that_refuses_ends_the_connection_and_is_told() -> None:
    complaints: list[str] = []
    client: Any = Client(refuses="forbidden:\n pods/portforward")
    with forwarded(client, "p", "n", 389, complaints.append) as port, connect(port) as near:
        assert near.recv(100) == b""
    assert complaints == ["forbidden: pods/portforward"]


def test_nobody_listens_any_more_once_the_block_is_over() -> None:
    client: Any = Client()
    with forwarded(client, "p", "n", 389, lambda _: None) as port:
        held = connect(port)
    held.close()
    with pytest.raises(ConnectionRefusedError):
        connect(port)
