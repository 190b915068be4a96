"""The commands: parse, call, print."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Annotated

import typer

from pgaas_lab import charts, lab, lock, machine, paths, teardown, tools
from pgaas_lab import demo as demonstration
from pgaas_lab import status as state
from pgaas_lab.datacenters import select
from pgaas_lab.errors import Interrupted, NotUp
from pgaas_lab.steps import Steps, console

app = typer.Typer(
    help="Two one-node Kubernetes clusters on one machine, for trying and testing pgaas.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


class Output(StrEnum):
    """How a command answers."""

    text = "text"
    json = "json"


Dc = Annotated[str, typer.Option("--dc", help="cluster1, cluster2 or all.")]


@contextmanager
def changing(again: str) -> Iterator[Steps]:
    """Hold the lab's lock, and keep the times of the steps. Raise Interrupted at Ctrl-C."""
    machine.check()
    steps = Steps()
    try:
        with lock.exclusive():
            yield steps
    except KeyboardInterrupt as error:
        raise Interrupted(f"interrupted; `pgaas-lab {again}` goes on from here") from error


@app.command()
def up(
    dc: Dc = "all",
    only_build: Annotated[
        bool, typer.Option("--only-build", help="Fill the cache and start nothing.")
    ] = False,
) -> None:
    """Build what is missing, and start what is not running."""
    with changing("up") as steps:
        lab.up(select(dc), steps, only_build)
        report(steps)


def report(steps: Steps) -> None:
    """Print where the time went, and how to use the lab."""
    steps.save()
    steps.console.print(steps.summary())
    steps.console.print('\nUse it in this shell with: [bold]eval "$(pgaas-lab env)"[/]')


@app.command()
def status(
    dc: Dc = "all",
    output: Annotated[Output, typer.Option("--output", "-o", help="text or json.")] = Output.text,
) -> None:
    """Show what of the lab is up; end with code 9 if not all of it is."""
    found = state.look(select(dc))
    if output is Output.json:
        print(state.as_json(found))
    else:
        console(sys.stdout).print(state.as_table(found))
    if not found.is_up:
        raise NotUp("the lab is not fully up: `pgaas-lab up` mends it")


@app.command()
def down(
    keep: Annotated[bool, typer.Option("--keep", help="Keep the clusters' state for the next `up`.")] = False,
    purge: Annotated[
        bool, typer.Option("--purge", help="Remove the cache of binaries and images too.")
    ] = False,
) -> None:
    """End everything, and leave no process, mount, network namespace or bridge behind."""
    with changing("down") as steps:
        teardown.down(steps, keep=keep, purge=purge)


@app.command()
def demo() -> None:
    """Bring bare clusters up, install all that pgaas needs, create ic1 in both, query and move it."""
    with changing("demo") as steps:
        lab.up(select("all"), steps, bare=True)
        demonstration.run(steps)
        report(steps)


@app.command()
def env() -> None:
    """Print the PATH, KUBECONFIG and PGAAS_CHARTS to use the lab by hand, for eval."""
    print(f'export PATH="{paths.tool_path()}:$PATH"')
    print(f'export KUBECONFIG="{paths.kubeconfig()}"')
    print(f'export PGAAS_CHARTS="{charts.place()}"')


@app.command()
def build(names: Annotated[list[str], typer.Argument(help="Tools, such as helm or cyclonus.")]) -> None:
    """Build single tools into the cache, and print where they are."""
    steps = Steps()
    for name in names:
        tool = tools.find(name)
        with steps.step(f"Build {tool.name} {tools.version(tool)}") as step:
            target = tools.ensure(name, lab.saying(step))
        print(target)
    sys.stdout.flush()
