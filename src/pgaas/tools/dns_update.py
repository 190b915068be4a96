"""Move a CNAME on a DNS server that takes dynamic updates (RFC 2136) signed with TSIG (RFC 8945)."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pgaas.errors import ToolFailed
from pgaas.tools.dns_read import ask

if TYPE_CHECKING:
    from dns.update import UpdateMessage

# A value that no alias has: to take it away changes nothing, but asks for the same right as a move.
NOBODY = "nobody.pgaas.invalid."

SERVER_SAYS = {
    "NOTAUTH": "it does not serve the zone {zone} as its primary server",
    "NOTZONE": "{name} does not lie in the zone {zone}",
    "REFUSED": "it refuses updates of {name} with the key {key}",
    "SERVFAIL": "it failed: perhaps it cannot write the zone's files",
    "NOTIMP": "it does not know dynamic updates",
    "FORMERR": "it does not understand the update",
}
HELP = {
    "NOTAUTH": "name the zone's primary server as dns.rfc2136.server, or the zone as dns.rfc2136.zone",
    "NOTZONE": "set dns.rfc2136.zone to the zone that holds the alias",
    "REFUSED": "let this key update this name there (BIND: allow-update or update-policy)",
    "SERVFAIL": "look at the server's log",
}
# RFC 8945's own errors, as dnspython raises them.
KEY_SAYS = {
    "PeerBadKey": ("BADKEY", "it does not know the key {key}, or expects another algorithm than {algorithm}"),
    "PeerBadSignature": ("BADSIG", "it knows the key {key}, but with another secret"),
    "PeerBadTime": ("BADTIME", "its clock and this machine's are too far apart"),
    "PeerBadTruncation": ("BADTRUNC", "it wants a longer signature"),
    "BadSignature": ("BADSIG", "its answer is not signed with the key {key}"),
    "BadTime": ("BADTIME", "its answer is signed at another time: its clock and this machine's differ"),
}
KEY_HELP = {
    "BADKEY": "compare dns.rfc2136.tsigName and tsigAlgorithm with the server's key",
    "BADSIG": "compare the secret that dns.rfc2136.tsigSecret names with the server's",
    "BADTIME": "set both clocks (NTP)",
}


@dataclass(frozen=True)
class UpdateServer:
    """A zone's primary server, and the key that may change it: `secret` in base64, `timeout` in seconds."""

    host: str
    port: int
    zone: str
    key: str
    algorithm: str
    secret: str = field(repr=False)
    timeout: float = 5.0

    @property
    def where(self) -> str:
        """Return the place for a message."""
        return f"DNS server {self.host}:{self.port}, zone {self.zone}"


def replace_cname(server: UpdateServer, name: str, target: str, ttl: int) -> None:
    """Let a name be an alias of another one, in one update; whatever else the name had is taken away.

    Raise ToolFailed if the server does not take it, or answers something else afterwards.
    """
    update = _update(server)
    update.delete(_absolute(name))
    update.add(_absolute(name), ttl, "CNAME", _absolute(target))
    address = _send(server, update, name)
    seen = ask(_text(address, server.port), name, "CNAME", timeout=server.timeout)
    if not seen.error and seen.values != (target.lower(),):
        raise ToolFailed(
            f"the server took the update, and answers {', '.join(seen.values) or 'nothing'} for {name}",
            where=server.where,
            next_step="look at the server's log; several servers may stand behind this address",
        )


def delete_cname(server: UpdateServer, name: str) -> None:
    """Take an alias away; one that is not there is fine. Raise ToolFailed."""
    update = _update(server)
    update.delete(_absolute(name), "CNAME")
    _send(server, update, name)


def probe(server: UpdateServer, name: str) -> None:
    """Ask for an update that changes nothing, to learn whether a move would be taken. Raise ToolFailed."""
    update = _update(server)
    update.delete(_absolute(name), "CNAME", NOBODY)
    _send(server, update, name)


def _absolute(name: str) -> str:
    return f"{name.rstrip('.')}."


def _text(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _update(server: UpdateServer) -> UpdateMessage:
    import base64

    import dns.name
    import dns.tsigkeyring
    import dns.update

    try:
        usable = bool(base64.b64decode(server.secret, validate=True))
    except ValueError:
        usable = False
    if not usable:
        raise ToolFailed(
            f"the secret of the key {server.key} is not base64",
            where=server.where,
            next_step="give what dns.rfc2136.tsigSecret names the secret as the server's key file writes it",
        )
    keyring = dns.tsigkeyring.from_text({server.key: server.secret})
    key = dns.name.from_text(server.key)
    return dns.update.UpdateMessage(
        _absolute(server.zone), keyring=keyring, keyname=key, keyalgorithm=server.algorithm
    )


def _send(server: UpdateServer, update: UpdateMessage, name: str) -> str:
    """Send an update and return the address that took it."""
    import dns.exception
    import dns.query
    import dns.rcode

    addresses = _addresses(server)
    response: Any = None
    for index, address in enumerate(addresses):
        try:
            # TCP: nobody else can answer, and a server that is not there says so.
            response = dns.query.tcp(update, address, timeout=server.timeout, port=server.port)
            break
        except dns.exception.Timeout:
            reason = f"it did not answer within {server.timeout:g} s"
        except (OSError, EOFError) as error:
            reason = getattr(error, "strerror", None) or str(error) or "it closed the connection"
        except dns.exception.DNSException as error:
            raise _refused(server, name, *_of_exception(error)) from error
        if index == len(addresses) - 1:
            raise ToolFailed(
                f"the DNS server cannot be reached: {reason}",
                where=server.where,
                next_step="check that it runs, and that this machine may reach it by TCP",
            )
    code = response.rcode()
    if code != dns.rcode.NOERROR:
        word = dns.rcode.to_text(code)
        raise _refused(server, name, word, SERVER_SAYS.get(word, "it gives no reason"), HELP.get(word, ""))
    return addresses[index]


def _addresses(server: UpdateServer) -> list[str]:
    try:
        found = socket.getaddrinfo(server.host, server.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise ToolFailed(
            f"the DNS server's name {server.host} leads nowhere: {error.strerror or error}",
            where=server.where,
            next_step="correct dns.rfc2136.server, or name an address",
        ) from error
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _of_exception(error: Exception) -> tuple[str, str, str]:
    word, text = KEY_SAYS.get(type(error).__name__, ("", f"its answer makes no sense: {error}"))
    return word or type(error).__name__, text, KEY_HELP.get(word, "look at the server's log")


def _refused(server: UpdateServer, name: str, word: str, text: str, next_step: str) -> ToolFailed:
    told = text.format(zone=server.zone, name=name, key=server.key, algorithm=server.algorithm)
    return ToolFailed(
        f"the DNS server does not take the update: {told} ({word})",
        where=server.where,
        next_step=next_step or "look at the server's log",
    )
