"""Tell which version a source tree, or this installation, is: for the build, the pipelines and the command.

The build runs this file before anything is installed: it imports nothing but the standard library and what
does likewise.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from pgaas.errors import PgaasError, UsageError
from pgaas.tools.git import Checkout, commit_of_tag, look

# Lies in the package of a built wheel, and in a tree that was taken out of git to build one.
BUILT = "built.json"
TREE_BUILT = Path("src/pgaas") / BUILT
UNKNOWN = "unknown"
DETACHED = "detached"
SHORT = 7
NAME_LIMIT = 40

_NUMBER = r"(0|[1-9]\d*)"
_TAG = re.compile(rf"v{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:-(alpha|beta|rc)\.{_NUMBER})?", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{7,64}", re.ASCII)
_PYTHON = {"alpha": "a", "beta": "b", "rc": "rc"}
# An earlier version sorts before a later one, and a release after its own candidates.
_STAGES = {"alpha": 0, "beta": 1, "rc": 2, None: 3}


@dataclass(frozen=True)
class Version:
    """A version: `text` names the package (SemVer), `python` the wheel (PEP 440); `source` says from where.

    `tag` is empty for anything but a release; `commit` is empty if it is not known.
    """

    text: str
    python: str
    commit: str
    tag: str
    branch: str
    dirty: bool
    source: str

    @property
    def is_release(self) -> bool:
        """Whether this is what a version's tag names, unchanged."""
        return bool(self.tag)

    @property
    def is_known(self) -> bool:
        """Whether it says what is built; if not, `source` says why."""
        return bool(self.tag or self.commit)


@dataclass(frozen=True)
class Handed:
    """What a pipeline says that it builds: a checkout there knows neither its branch nor always its tag."""

    origin: str
    tag: str
    branch: str
    commit: str


@dataclass(frozen=True)
class _Pipeline:
    """A kind of pipeline: the variable that is always set in it, and those of tag, branch and commit."""

    origin: str
    mark: str
    tag: str
    branches: tuple[str, ...]
    commit: str


_OWN = _Pipeline("PGAAS_BUILD_*", "", "PGAAS_BUILD_TAG", ("PGAAS_BUILD_BRANCH",), "PGAAS_BUILD_COMMIT")
_PIPELINES = (
    _Pipeline(
        "GitLab",
        "GITLAB_CI",
        "CI_COMMIT_TAG",
        ("CI_COMMIT_BRANCH", "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME"),
        "CI_COMMIT_SHA",
    ),
    _Pipeline("Jenkins", "JENKINS_URL", "TAG_NAME", ("BRANCH_NAME",), "GIT_COMMIT"),
)


def own_version() -> Version:
    """Return the version of the pgaas that runs: the one it was built with, or its source tree's."""
    package = Path(__file__).resolve().parents[1]
    root = package.parents[1]
    if package.parent.name == "src" and (root / "pyproject.toml").is_file():
        return tree_version(root)
    if built := _read_built(package / BUILT):
        return replace(built, source=f"built from {built.source}")
    return _unknown("neither a built package nor a source tree")


def tree_version(root: Path, environ: Mapping[str, str] | None = None) -> Version:
    """Return the version of a source tree; `environ` is this process's unless given.

    Raise UsageError if a pipeline names a tag that is no version, or that is of another commit.
    """
    environ = os.environ if environ is None else environ
    checkout, why = None, "a source tree without git"
    try:
        checkout = look(root)
    except PgaasError as error:
        why = f"a source tree that git does not read: {' '.join(error.what.split())}"
    if checkout is None and (built := _read_built(root / TREE_BUILT)):
        return built
    handed = _handed(environ, checkout)
    if handed and handed.tag and checkout:
        _check_tag(root, handed, checkout)
    if handed:
        return _as_handed(handed, checkout, why)
    return _as_checked_out(checkout) if checkout else _unknown(why)


def dump_built(version: Version) -> str:
    """Return the content of the file by which a built package knows its version."""
    return json.dumps(asdict(version), indent=2) + "\n"


def _read_built(path: Path) -> Version | None:
    try:
        return Version(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _handed(environ: Mapping[str, str], checkout: Checkout | None) -> Handed | None:
    """Return what a pipeline handed in about this tree, or None.

    A pipeline of another project may run pgaas from its source tree: what GitLab and Jenkins say counts only
    for the commit that they say it of. PGAAS_BUILD_* is meant for this tree, so it has to be right.
    """
    own = _told(_OWN, environ)
    if own.tag or own.branch or own.commit:
        if own.commit and not _COMMIT.fullmatch(own.commit):
            raise UsageError(
                f"PGAAS_BUILD_COMMIT is {own.commit!r}",
                next_step="give it as git does: a1b2c3d, or all of it",
            )
        if own.commit and checkout and not checkout.commit.startswith(own.commit):
            raise UsageError(
                f"PGAAS_BUILD_COMMIT is {own.commit}, and what is checked out is {checkout.commit}",
                next_step="check out that commit, or unset PGAAS_BUILD_COMMIT",
            )
        return own
    for pipeline in _PIPELINES:
        told = _told(pipeline, environ)
        if environ.get(pipeline.mark) and (told.tag or told.branch) and checkout:
            return told if told.commit in ("", checkout.commit) else None
    return None


def _told(pipeline: _Pipeline, environ: Mapping[str, str]) -> Handed:
    branch = next(filter(None, (environ.get(name, "") for name in pipeline.branches)), "")
    return Handed(pipeline.origin, environ.get(pipeline.tag, ""), branch, environ.get(pipeline.commit, ""))


def _check_tag(root: Path, handed: Handed, checkout: Checkout) -> None:
    """Raise UsageError if the tag that a pipeline names is, as far as git here knows, of another commit."""
    commit = "" if handed.tag in checkout.tags else commit_of_tag(root, handed.tag)
    if commit and commit != checkout.commit:
        raise UsageError(
            f"{handed.origin} says that this is tag {handed.tag}, which is commit {commit[:SHORT]};"
            f" what is checked out is {checkout.commit[:SHORT]}",
            next_step=f"check out {handed.tag}, or find out who moved the tag",
        )


def _as_handed(handed: Handed, checkout: Checkout | None, why: str) -> Version:
    commit = checkout.commit if checkout else handed.commit
    dirty = bool(checkout and checkout.changed)
    if re.match(r"v\d", handed.tag) and not _TAG.fullmatch(handed.tag):
        raise UsageError(
            f"the tag {handed.tag} is no version",
            where=handed.origin,
            next_step="a release's tag is v1.2.3, a candidate's v1.2.3-rc.1 (or -alpha.1, -beta.1)",
        )
    if _TAG.fullmatch(handed.tag) and not dirty:
        return _release(handed.tag, commit, f"tag {handed.tag} ({handed.origin})")
    if not commit:
        return _unknown(f"{why}, and {handed.origin} names no commit")
    name = handed.branch or handed.tag or (checkout.branch if checkout else "")
    return _snapshot(name, commit, dirty=dirty, origin=handed.origin)


def _as_checked_out(checkout: Checkout) -> Version:
    tag = _latest(checkout.tags)
    if tag and not checkout.changed:
        return _release(tag, checkout.commit, f"tag {tag} (git)")
    return _snapshot(checkout.branch, checkout.commit, dirty=bool(checkout.changed), origin="git")


def _latest(tags: Iterable[str]) -> str:
    """Return the latest version among some tags, or nothing if none is one."""
    return max(filter(_TAG.fullmatch, tags), key=_order, default="")


def _order(tag: str) -> tuple[int, ...]:
    match = _TAG.fullmatch(tag)
    assert match
    major, minor, patch, stage, number = match.groups()
    return int(major), int(minor), int(patch), _STAGES[stage], int(number or 0)


def _release(tag: str, commit: str, source: str) -> Version:
    match = _TAG.fullmatch(tag)
    assert match
    major, minor, patch, stage, number = match.groups()
    python = f"{major}.{minor}.{patch}" + (f"{_PYTHON[stage]}{number}" if stage else "")
    return Version(tag.removeprefix("v"), python, commit, tag, "", dirty=False, source=source)


def _snapshot(name: str, commit: str, *, dirty: bool, origin: str) -> Version:
    """Return the version of anything but a release: it never looks like one, and sorts before all of them."""
    parts = [_part(name), short(commit), *(["dirty"] if dirty else [])]
    # PEP 440 takes no hyphen in this place, and a number without leading zeros.
    words = [part for joined in parts for part in joined.split("-")]
    python = ".".join(str(int(word)) if word.isdigit() else word for word in words)
    where = f"branch {name}" if name else "a detached head"
    return Version(
        f"0.0.0-{'.'.join(parts)}",
        f"0.0.0+{python}",
        commit,
        "",
        name,
        dirty,
        f"{where} ({origin}){', with uncommitted changes' if dirty else ''}",
    )


def _part(name: str) -> str:
    """Return a branch's name as a part of a version: lower-case letters, digits and hyphens."""
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:NAME_LIMIT].rstrip("-")
    if not plain:
        return "branch" if name else DETACHED
    # SemVer takes a number for one, and one with leading zeros for a mistake.
    return f"branch-{plain}" if plain.isdigit() else plain


def short(commit: str) -> str:
    """Return a commit's short name: seven characters, or as many more as it takes to be no number.

    Where none makes it one, it is spelled as `git describe` does.
    """
    length = SHORT
    while length < len(commit) and commit[:length].isdigit():
        length += 1
    return f"g{commit[:length]}" if commit[:length].isdigit() else commit[:length]


def _unknown(why: str) -> Version:
    return Version(f"0.0.0-{UNKNOWN}", f"0.0.0+{UNKNOWN}", "", "", "", dirty=False, source=why)
