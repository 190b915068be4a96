"""The documents are true where that can be checked: links lead somewhere, commands and options are there."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.main import get_command

from pgaas.cli import registry
from pgaas.cli.app import app, load

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "charts/*/README.md", "lab/README.md")
    for path in REPOSITORY.glob(pattern)
)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
BLOCK = re.compile(r"^\s*```.*?^\s*```", re.MULTILINE | re.DOTALL)
ASSIGNED = re.compile(r"^[A-Z]+=\$\((.*)\)$")


def name_of(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


def anchors(page: Path) -> set[str]:
    """Return what GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.*)$", BLOCK.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(page: Path) -> Iterator[str]:
    for link in LINK.findall(BLOCK.sub("", page.read_text())):
        if re.match(r"[a-z]+:", link):
            continue
        file, _, anchor = link.partition("#")
        target = page.parent / file if file else page
        is_there = target.exists() and not file.startswith("/")
        if not is_there or (anchor and anchor not in anchors(target)):
            yield link


def commands(text: str) -> Iterator[list[str]]:
    """Return the words of each `$ pgaas …` of a page's blocks."""
    for block in BLOCK.findall(text):
        for line in re.sub(r"\\\n", " ", block).splitlines():
            said = line.strip().removeprefix("$ ") if line.strip().startswith("$ ") else ""
            if inner := ASSIGNED.match(said.partition(" #")[0].strip()):
                said = inner[1]
            said = said.removeprefix("uv run ")
            # Behind `--` and in another program's part of a pipe nothing is pgaas's.
            mine = next((part for part in said.split(" | ") if part.strip().startswith("pgaas ")), "")
            if mine:
                yield shlex.split(mine.partition(" -- ")[0], comments=True)[1:]


def wrong_commands(page: Path) -> Iterator[str]:
    known = registry.runnable(registry.SUMMARIES)
    for words in commands(page.read_text()):
        verb = next((name for name in (" ".join(words[:2]), words[0]) if name in known), "")
        if not verb and not words[0].startswith("-"):
            yield " ".join(words)
            continue
        command = load(verb) if verb else get_command(app)
        context = command.make_context(verb, [], resilient_parsing=True)
        parameters = command.get_params(context)
        options = {option for each in parameters for option in (*each.opts, *each.secondary_opts)}
        yield from (f"{verb}: {word}" for word in words if word.startswith("-") and word not in options)


def test_there_are_pages_to_judge():
    assert {"README.md", "docs/runbook-lost-datacenter.md", "docs/switchover.md"} <= set(map(name_of, PAGES))
    assert len(list(commands((REPOSITORY / "docs/runbook-lost-datacenter.md").read_text()))) > 10


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_somewhere(page: Path):
    assert list(broken_links(page)) == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_and_option_that_is_shown_is_there(page: Path):
    assert list(wrong_commands(page)) == []


def test_every_command_is_in_the_readme():
    readme = (REPOSITORY / "README.md").read_text()
    table = readme[readme.index("## Commands") : readme.index("## Configuration")]
    listed = set(re.findall(r"`([a-z-]+(?: [a-z-]+)?)`", table))
    assert set(registry.runnable(registry.SUMMARIES)) - listed <= {"template-infra", "clean", "version"}


def test_a_wrong_page_is_found(tmp_path: Path):
    page = tmp_path / "page.md"
    page.write_text(
        "# One\n[a](none.md) [b](#two) [c](#one) [d](https://example.com) [e](/etc)\n```console\n"
        "$ pgaas switch --to x\n$ X=$(pgaas demote --new-primary b --nothing)\n"
        "$ pgaas status -o json # -x\n```\n"
    )
    assert list(broken_links(page)) == ["none.md", "#two", "/etc"]
    assert list(wrong_commands(page)) == ["switch --to x", "demote: --nothing"]
