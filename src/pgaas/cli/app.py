"""The Typer app: one group whose commands load when they are called."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from pgaas.cli import registry

PROGRAM = "pgaas"
SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
HELP = """PostgreSQL as a service on Kubernetes, with CloudNativePG.

What admins and clients wrote in confs/ becomes a running, certificate-only PostgreSQL cluster.

Examples:
  pgaas preview --ins ic1 --env local --dc local1
  pgaas create --ins ic1 --env local --dc local1
  pgaas status --ins ic1 --env local --dc local1 -o json

Exit codes: 0 ok, 1 a bug in pgaas, 2 usage, 3 configuration, 4 tool missing, 5 tool failed,
6 Kubernetes unreachable or refused, 7 timed out, 8 refused as unsafe, 9 not healthy, 130 interrupted.
"""


def write_help(text: str, formatter: Any) -> None:
    """Write a help text: paragraphs wrapped to the terminal, those with indented lines as they stand."""
    for paragraph in text.strip().split("\n\n"):
        formatter.write_paragraph()
        lines = paragraph.splitlines()
        with formatter.indentation():
            if any(line.startswith(" ") for line in lines):
                for line in lines:
                    formatter.write(f"{' ' * formatter.current_indent}{line}\n")
            else:
                formatter.write_text(" ".join(lines))


class Command(TyperCommand):
    """A command whose docstring is its help text, examples included."""

    def format_help_text(self, _ctx: Any, formatter: Any) -> None:
        """Write the help text."""
        write_help(self.help or "", formatter)


class LazyGroup(TyperGroup):
    """List commands from the registry, and import a command's module only when it is called."""

    # The words before the commands of this group: none for pgaas itself.
    prefix = ""

    @property
    def summaries(self) -> Mapping[str, str]:
        """Return the commands of this group, each with its summary."""
        return registry.GROUPS[self.prefix] if self.prefix else registry.SUMMARIES

    def list_commands(self, _ctx: Any) -> list[str]:
        """Return every command's name, in the registry's order."""
        return list(self.summaries)

    def get_command(self, _ctx: Any, cmd_name: str) -> Any:
        """Return a command, importing its module; None if there is no such command."""
        return load(f"{self.prefix} {cmd_name}".strip()) if cmd_name in self.summaries else None

    def format_help_text(self, _ctx: Any, formatter: Any) -> None:
        """Write the help text."""
        write_help(self.help or "", formatter)

    def format_commands(self, _ctx: Any, formatter: Any) -> None:
        """Write the commands under their headings."""
        headings = {"Commands": registry.GROUPS[self.prefix]} if self.prefix else registry.COMMANDS
        for heading, commands in headings.items():
            with formatter.section(heading):
                formatter.write_dl(list(commands.items()))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command that was called; an unknown one is answered with the nearest names."""
        if not ctx.resilient_parsing and not args[0].startswith("-") and args[0] not in self.summaries:
            program = f"{PROGRAM} {self.prefix}".strip()
            raise unknown(args[0], "command", self.summaries, f"`{program} --help` lists them")
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """Complete a command's name without importing any."""
        from typer._click.shell_completion import CompletionItem

        return [
            CompletionItem(name, help=summary)
            for name, summary in self.summaries.items()
            if name.startswith(incomplete)
        ] or super().shell_complete(ctx, incomplete)


def unknown(name: str, kind: str, known: Iterable[str], otherwise: str) -> Exception:
    """Return the error for a name that is not among the known ones, with the nearest of them."""
    from pgaas.errors import UsageError

    matches = get_close_matches(name, list(known), n=3)
    hint = f"did you mean {' or '.join(matches)}?" if matches else otherwise
    return UsageError(f"no {kind} {name!r}", next_step=hint)


def load(name: str) -> Any:
    """Import a command's module and return the command; a group imports nothing yet."""
    if name in registry.GROUPS:
        return _group_of(name)
    from pgaas.cli.options import with_users

    group, _, verb = name.rpartition(" ")
    identifier = verb.replace("-", "_")
    module = import_module(f"pgaas.cli.{group.replace('-', '_') or identifier}")
    function: Callable[..., None] = getattr(module, identifier)
    single = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    takes = function if name in registry.WITHOUT_USERS else with_users(function)
    single.command(verb, cls=Command, context_settings=SETTINGS)(takes)
    return typer.main.get_command(single)


def _group_of(name: str) -> Any:
    """Return a group of commands, which is listed as a command itself."""
    kind = type("Group", (LazyGroup,), {"prefix": name})
    return kind(name=name, help=registry.SUMMARIES[name], context_settings=SETTINGS, rich_markup_mode=None)


app = typer.Typer(
    name=PROGRAM,
    cls=LazyGroup,
    help=HELP,
    context_settings=SETTINGS,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from pgaas.cli.version import version

        version()
        raise typer.Exit


@app.callback()
def _group(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Hold the group's own options; the commands are in the registry."""
