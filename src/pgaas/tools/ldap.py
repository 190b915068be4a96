"""Ask a directory who somebody is: bind, search, and what each refusal means."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pgaas.errors import ToolFailed

CONNECT_SECONDS = 5
ANSWER_SECONDS = 10
SUCCESS, NO_SUCH_OBJECT, INVALID_CREDENTIALS = 0, 32, 49


class Directory:
    """One LDAP server; every method raises ToolFailed if it does not answer."""

    def __init__(self, host: str, port: int, *, shown: str) -> None:
        """Name the server; `shown` is how it is called in messages."""
        self._host, self._port, self._shown = host, port, shown

    def accepts(self, dn: str, password: str) -> bool:
        """Return whether a password is somebody's."""
        with self._connected() as connection:
            return self._bind(connection, dn, password) == SUCCESS

    def search(self, dn: str, password: str, base: str, ldap_filter: str) -> list[dict[str, Any]]:
        """Return the entries that somebody finds, their attributes by name. Raise ToolFailed if refused.

        An empty `dn` asks anonymously.
        """
        with self._connected() as connection:
            if dn and (code := self._bind(connection, dn, password)) != SUCCESS:
                why = "wrong name or password" if code == INVALID_CREDENTIALS else _said(connection)
                raise ToolFailed(f"the directory refuses {dn}: {why}", where=self._shown)
            connection.search(base, ldap_filter, attributes=["*"])
            if connection.result["result"] not in (SUCCESS, NO_SUCH_OBJECT):
                raise ToolFailed(f"the directory refuses the search: {_said(connection)}", where=self._shown)
            found = connection.response or []
            return [dict(entry["attributes"]) for entry in found if entry["type"] == "searchResEntry"]

    def _bind(self, connection: Any, dn: str, password: str) -> int:
        connection.rebind(user=dn, password=password, authentication="SIMPLE")
        return int(connection.result["result"])

    @contextmanager
    def _connected(self) -> Iterator[Any]:
        from ldap3 import NONE, Connection, Server
        from ldap3.core.exceptions import LDAPException

        server = Server(self._host, self._port, get_info=NONE, connect_timeout=CONNECT_SECONDS)
        connection = Connection(server, receive_timeout=ANSWER_SECONDS, raise_exceptions=False)
        try:
            connection.open()
            yield connection
        except LDAPException as error:
            raise ToolFailed(
                f"the directory does not answer: {' '.join(str(error).split())}",
                where=self._shown,
                next_step="look at the directory's pod and log",
            ) from error
        finally:
            connection.unbind()


def _said(connection: Any) -> str:
    return str(connection.result.get("message") or connection.result.get("description") or "no reason given")
