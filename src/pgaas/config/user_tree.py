"""The folders of all clients: who has a file for which environment, and what lies where nobody reads it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pgaas.config.environments import FIXED_ENVIRONMENTS, SHARED_ENVIRONMENT, USER_FILE, code_problem
from pgaas.config.users import Users, leads_out
from pgaas.errors import ConfigIssue

Issues = dict[ConfigIssue, None]
# What people call the file by mistake, in lower case; on some machines the case makes no difference.
NEARLY = ("databases.yaml", "databases.yml")


class Entry(NamedTuple):
    """What is in a folder: a name, whether it is a folder and whether it is a link."""

    name: str
    is_folder: bool
    is_link: bool


def user_files(users: Users, issues: Issues) -> Iterator[tuple[str, str]]:
    """Return each client and environment that has a file, and add what is wrong with the folders."""
    real = users.real
    for entry in _entries(users.folder, users.name or ".", issues):
        place = users.called(entry.name)
        if entry.is_link and (entry.is_folder or not code_problem(entry.name)):
            # Even one to another client's folder: a client's name would show that client's databases.
            issues[ConfigIssue(place, 0, "", "is a link: a client's folder can't be one")] = None
        elif not entry.is_folder:
            continue
        elif problem := code_problem(entry.name):
            issues[ConfigIssue(place, 0, "", problem)] = None
        else:
            yield from user_environments_of(users, entry.name, issues, real)


def user_environments_of(
    users: Users, ins: str, issues: Issues, real: str | None = None
) -> Iterator[tuple[str, str]]:
    """Return a client with each environment that it has a file for."""
    folder = _Folder(users, ins, real or users.real, issues)
    for name in folder.inner(()):
        place = users.called(ins, name)
        if name == SHARED_ENVIRONMENT:
            for env in folder.inner((name,)):
                if env in (*FIXED_ENVIRONMENTS, SHARED_ENVIRONMENT):
                    issues[ConfigIssue(f"{place}/{env}", 0, "", f"{env} is no sub-environment of hp")] = None
                elif problem := code_problem(env):
                    issues[ConfigIssue(f"{place}/{env}", 0, "", problem)] = None
                elif folder.has_file((name, env)):
                    yield ins, env
        elif name in FIXED_ENVIRONMENTS:
            if folder.has_file((name,)):
                yield ins, name
        else:
            belongs = users.called(ins, SHARED_ENVIRONMENT, name)
            message = f"is not an environment: a sub-environment of hp belongs in {belongs}"
            issues[ConfigIssue(place, 0, "", message)] = None


class _Folder:
    """One client's folder."""

    def __init__(self, users: Users, ins: str, real: str, issues: Issues) -> None:
        self.users = users
        self.ins = ins
        self.real = real
        self.issues = issues

    def inner(self, parts: tuple[str, ...]) -> list[str]:
        """Return the folders in a folder that takes no file of its own, and complain of one that is there."""
        names = []
        for entry in self._entries(parts):
            if entry.is_folder:
                names.append(entry.name)
            elif entry.name.lower() in NEARLY:
                message = f"is not read: it belongs into an environment's folder, such as {self.ins}/prod"
                self._complain((*parts, entry.name), message)
        return names

    def has_file(self, parts: tuple[str, ...]) -> bool:
        """Tell whether an environment's folder holds the client's file; complain of one named nearly so."""
        names = [entry.name for entry in self._entries(parts)]
        for name in names:
            if name != USER_FILE and name.lower() in NEARLY:
                self._complain((*parts, name), f"is not read: call it {USER_FILE}")
        return USER_FILE in names

    def _entries(self, parts: tuple[str, ...]) -> list[Entry]:
        found = []
        for entry in _entries(self.users.folder.joinpath(self.ins, *parts), self._name(parts), self.issues):
            path = self.users.folder.joinpath(self.ins, *parts, entry.name)
            # A file that is one is refused when it is read, with all else that is wrong with it.
            if entry.is_link and entry.name != USER_FILE:
                if leads_out(os.path.realpath(path), self.ins, self.real):
                    message = f"is a link that leads out of {self._name(())}"
                    self._complain((*parts, entry.name), message)
                    continue
                if not path.exists():
                    self._complain((*parts, entry.name), "is a link that leads nowhere")
                    continue
            found.append(entry)
        return found

    def _name(self, parts: tuple[str, ...]) -> str:
        return self.users.called(self.ins, *parts)

    def _complain(self, parts: tuple[str, ...], message: str) -> None:
        self.issues[ConfigIssue(self._name(parts), 0, "", message)] = None


def _entries(path: Path, name: str, issues: Issues) -> list[Entry]:
    """Return what is in a folder, by name; hidden entries are passed over."""
    try:
        with os.scandir(path) as entries:
            return sorted(
                Entry(entry.name, _is_folder(entry), entry.is_symlink())
                for entry in entries
                if not entry.name.startswith(".")
            )
    except FileNotFoundError:
        return []
    except OSError as error:
        issues[ConfigIssue(name, 0, "", f"can't be read: {error.strerror or error}")] = None
        return []


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Tell whether an entry is a folder or leads to one; a link that leads in a circle is none."""
    try:
        return entry.is_dir()
    except OSError:
        return False
