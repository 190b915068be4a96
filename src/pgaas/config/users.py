"""Where the clients' files of a root are: in its confs/users, or in a clone of the clients' own repository.

Every operation is handed the root as a path. Which folder stands for its confs/users is said once, before any
file is read, and kept here: so no operation can read one client from here and another from there.
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import NamedTuple

from pgaas.config.environments import USERS_FOLDER, Environment
from pgaas.config.load import USER_FILE_LIMIT, Document, parse_document, read_document
from pgaas.errors import ConfigIssue


class Users(NamedTuple):
    """The folder of all clients, what messages call it, and the commit that it is at, if that was asked.

    A commit with -dirty behind it is one that somebody changed files of.
    """

    folder: Path
    name: str
    revision: str = ""

    @property
    def real(self) -> str:
        """Return the folder without links: it may itself be one, to a clone or a submodule."""
        return os.path.realpath(self.folder)

    def called(self, *parts: object) -> str:
        """Return what messages call something in the folder."""
        return "/".join(printable(str(part)) for part in ((self.name, *parts) if self.name else parts))


def printable(name: str) -> str:
    """Return a file's name with what could pass for another line of a message escaped."""
    return name if name.isprintable() else repr(name)[1:-1]


_PLACED: dict[Path, Users] = {}


def place_users(root: Path, users: Users | None) -> None:
    """Say which folder stands for confs/users of a root; None is its own."""
    _PLACED.pop(root, None)
    if users is not None:
        _PLACED[root] = users


def users_of(root: Path) -> Users:
    """Return where the clients' files of a root are."""
    return _PLACED.get(root) or Users(root / USERS_FOLDER, USERS_FOLDER.as_posix())


def are_named(root: Path) -> bool:
    """Tell whether somebody said where the clients' files of a root are, or at which commit."""
    return root in _PLACED


def users_option(root: Path) -> str:
    """Return what a command needs to read the same clients' files: nothing, or --users and a blank before."""
    users = users_of(root)
    return "" if users.folder == root / USERS_FOLDER else f" --users {shlex.quote(users.name)}"


def user_file_name(root: Path, ins: str, environment: Environment) -> str:
    """Return a client's file as messages show it."""
    return users_of(root).called(environment.user_place(ins))


def user_file_path(root: Path, ins: str, environment: Environment) -> Path:
    """Return where a client's file is."""
    return users_of(root).folder / environment.user_place(ins)


def leads_out(real: str, ins: str, real_users: str) -> bool:
    """Tell whether a path without links is not in a client's own folder."""
    own = os.path.join(real_users, ins)  # noqa: PTH118 - this is called for every client
    return real != own and not real.startswith(own + os.sep)


def read_user_document(
    users: Users, ins: str, environment: Environment, real_users: str, draft: bytes | None = None
) -> Document | None:
    """Read a client's file, or its draft, or return None if the client has no folder for the environment.

    A link in a client's folder could show another client's file, or one of this machine: it is refused if it
    leads out of the folder.
    """
    place = environment.user_place(ins)
    name = users.called(place)
    real = os.path.realpath(users.folder / place)
    if leads_out(real, ins, real_users):
        issue = ConfigIssue(name, 0, "", f"is a link that leads out of {users.called(ins)}")
        return Document(name, None, {}, (issue,))
    if draft is not None:
        return parse_document(name, draft)
    if not os.path.isdir(os.path.dirname(real)):  # noqa: PTH112, PTH120 - this is called for every client
        return None
    return read_document(Path(real), users.folder, USER_FILE_LIMIT, name)
