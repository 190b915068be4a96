"""Find out whether a PostgreSQL that speaks TLS answers at an address, without logging in."""

from __future__ import annotations

import socket
import struct

SECONDS = 3.0
# SSLRequest: its length, and a code that is no protocol version (PostgreSQL's "Message Formats").
SSL_REQUEST = struct.pack("!ii", 8, 80877103)
WILLING = b"S"


def answers(address: str, port: int, *, timeout: float = SECONDS) -> bool:
    """Return whether PostgreSQL at an address and port is willing to speak TLS."""
    try:
        with socket.create_connection((address, port), timeout=timeout) as connection:
            connection.sendall(SSL_REQUEST)
            return connection.recv(1) == WILLING
    except (OSError, UnicodeError):
        return False
