"""Ask a DNS server for a record, and find the addresses that a client would connect to."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

TIMEOUT = 1.5
ATTEMPTS = 2
# What a name without a server stands for.
SYSTEM = ""


@dataclass(frozen=True)
class Answer:
    """What a server says about a name: the values of its record, none if there is no such record.

    `ttl` is in seconds, None without a record; from a server that is not `authoritative` it counts down.
    `error` says why there is no answer; it is `silent` if nothing came back at all.
    """

    server: str
    values: tuple[str, ...] = ()
    ttl: int | None = None
    authoritative: bool = False
    error: str = ""
    silent: bool = False


def ask(server: str, name: str, kind: str, *, timeout: float = TIMEOUT) -> Answer:
    """Ask a server (an address with or without a port; SYSTEM for this machine's own) for a record.

    Never raise: what went wrong is in the answer.
    """
    import dns.flags

    response, asked, error, silent = _query(server, name, kind, timeout)
    if response is None:
        return Answer(asked, error=error, silent=silent)
    values, ttl = _record(response, name, kind)
    authoritative = bool(response.flags & dns.flags.AA)
    return Answer(asked, values, ttl, authoritative)


def ask_all(servers: Sequence[str], name: str, kind: str, *, timeout: float = TIMEOUT) -> list[Answer]:
    """Ask several servers at once; the answers come in the servers' order."""
    if len(servers) == 1:
        return [ask(servers[0], name, kind, timeout=timeout)]
    with ThreadPoolExecutor(max(len(servers), 1)) as pool:
        return list(pool.map(lambda server: ask(server, name, kind, timeout=timeout), servers))


def addresses(servers: Sequence[str], name: str, *, timeout: float = TIMEOUT) -> list[str]:
    """Return the addresses that a name leads to, from the first server that knows it; none if nobody does.

    The end of an alias that the server does not know itself is looked up as this machine does.
    """
    for server in servers:
        for kind in ("A", "AAAA"):
            response, *_ = _query(server, name, kind, timeout)
            if response is None:
                break
            chain = _chain(response)
            if chain is None:
                continue
            if chain.answer is not None:
                return [item.to_text() for item in chain.answer]
            if chain.cnames and (found := look_up(chain.canonical_name.to_text(omit_final_dot=True))):
                return found
    return []


def split_server(server: str) -> tuple[str, int]:
    """Return the address and the port of a server as the configuration writes it."""
    if server.startswith("["):
        address, _, port = server[1:].partition("]")
        return address, int(port.removeprefix(":") or 53)
    if server.count(":") == 1:
        address, _, port = server.partition(":")
        return address, int(port)
    return server, 53


def _query(server: str, name: str, kind: str, timeout: float) -> tuple[Any, str, str, bool]:
    """Return the response (or None), the server, why there is none, and whether nothing came back."""
    import dns.exception
    import dns.message
    import dns.rcode

    servers = [server] if server else _system_servers()
    if not servers:
        return None, "this machine's resolver", "this machine has no DNS server (/etc/resolv.conf)", True
    error, silent = "", True
    for each in servers:
        address, port = split_server(each)
        for _ in range(ATTEMPTS):
            try:
                response = _exchange(dns.message.make_query(name, kind), address, port, timeout)
            except dns.exception.Timeout:
                error = f"did not answer within {timeout:g} s"
                continue
            except (OSError, EOFError, dns.exception.DNSException) as problem:
                error = _reason(problem)
                break
            if response.rcode() in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
                return response, each, "", False
            silent = False
            error = _REFUSALS.get(dns.rcode.to_text(response.rcode()), "cannot answer")
            error = f"{error} ({dns.rcode.to_text(response.rcode())})"
            break
    return None, servers[-1], error, silent


def _exchange(query: Any, address: str, port: int, timeout: float) -> Any:
    """Return the response to a query, by TCP if it is too long for UDP."""
    import dns.query

    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as channel:
        channel.setblocking(False)
        # Only a connected socket hears at once that nobody listens.
        channel.connect((address, port))
        response, _ = dns.query.udp_with_fallback(
            query, address, timeout=timeout, port=port, udp_sock=channel
        )
    return response


_REFUSALS = {
    "REFUSED": "refuses to answer for this name",
    "SERVFAIL": "fails to answer for this name",
    "NOTAUTH": "does not serve this name",
    "NOTIMP": "does not know how to answer",
}


def _reason(problem: Exception) -> str:
    if isinstance(problem, ConnectionRefusedError):
        return "cannot be reached: connection refused"
    text = getattr(problem, "strerror", None) or " ".join(str(problem).split()) or type(problem).__name__
    return f"cannot be reached: {text}"


def _record(response: Any, name: str, kind: str) -> tuple[tuple[str, ...], int | None]:
    import dns.name
    import dns.rdataclass
    import dns.rdatatype

    found = response.get_rrset(
        response.answer,
        dns.name.from_text(name),
        dns.rdataclass.IN,
        dns.rdatatype.from_text(kind),
    )
    if found is None:
        return (), None
    return tuple(sorted(item.to_text().rstrip(".").lower() for item in found)), int(found.ttl)


def _chain(response: Any) -> Any:
    import dns.exception

    try:
        return response.resolve_chaining()
    except dns.exception.DNSException:
        # An alias that leads back to itself leads nowhere.
        return None


def _system_servers() -> list[str]:
    import dns.exception
    import dns.resolver

    try:
        servers = dns.resolver.Resolver().nameservers
    except dns.exception.DNSException:
        return []
    return [f"[{server}]" if ":" in str(server) else str(server) for server in servers]


def look_up(name: str) -> list[str]:
    """Return the addresses that this machine finds for a name, as every program on it does."""
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except OSError:
        return []
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))
