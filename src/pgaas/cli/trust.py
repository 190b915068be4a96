"""`pgaas trust show` and `pgaas trust sync`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

from pgaas.cli.options import EnvOption, InsOption, Output, OutputOption, RootOption, root_folder
from pgaas.cli.output import cell, out, out_json, out_table
from pgaas.errors import KubernetesError, NotHealthy

if TYPE_CHECKING:
    from pgaas.operations.trust import TrustState
    from pgaas.operations.trust_sync import Synced

SHOWN_DIGITS = 16
SIGNS = {"added": "+", "removed": "-"}


def show(ins: InsOption, env: EnvOption, output: OutputOption = Output.text, root: RootOption = None) -> None:
    """Show whom each datacenter of a client trusts, and whether that is whom it should trust.

    The client bundle is whose certificates PostgreSQL lets in, the server bundle is what clients verify
    servers with. Exit 9 when a bundle is stale, 6 when no datacenter can be asked.

    Examples:
      pgaas trust show --ins ic1 --env prod
      pgaas trust show --ins ic1 --env prod -o json
    """
    from pgaas.operations.trust_sync import show_trust

    states = show_trust(root_folder(root), ins, env)
    out_json([asdict(state) for state in states.values()]) if output is Output.json else show_states(states)
    raise_if_stale(states, f"pgaas trust sync --ins {ins} --env {env}")


def sync(ins: InsOption, env: EnvOption, output: OutputOption = Output.text, root: RootOption = None) -> None:
    """Make each datacenter of a client trust the CAs that its datacenters have now, and nothing else.

    Says what was added and removed: what a removed CA has signed is refused from then on. PostgreSQL takes
    the change without a restart. What is known of a datacenter that cannot be asked stays as it is; exit 6
    then.

    Examples:
      pgaas trust sync --ins ic1 --env prod
    """
    from pgaas.operations.trust_sync import sync_trust

    synced = sync_trust(root_folder(root), ins, env)
    out_json(as_json(synced)) if output is Output.json else show_synced(synced)
    raise_if_partial(synced, f"pgaas trust sync --ins {ins} --env {env}")


def show_states(states: Mapping[str, TrustState]) -> None:
    """Print a table of the sides, and one of what their bundles hold."""
    rows = [
        (
            state.datacenter,
            state.cluster,
            "not known" if state.error else "STALE" if state.stale else "ok" if state.created else "-",
            state.days_left,
            state.error or state.detail,
        )
        for state in states.values()
    ]
    out_table(
        ("datacenter", "cluster", "trust", "days left", "detail"), [tuple(map(cell, row)) for row in rows]
    )
    entries = [
        (
            state.datacenter,
            bundle.purpose,
            entry.datacenter or "nobody knows",
            entry.subject,
            entry.state,
            entry.days_left,
            entry.not_after,
            entry.fingerprint[:SHOWN_DIGITS],
        )
        for state in states.values()
        for bundle in state.bundles
        for entry in bundle.entries
    ]
    if entries:
        out("")
        columns = ("in", "bundle", "CA of", "subject", "state", "days left", "ends", "SHA-256")
        out_table(columns, [tuple(map(cell, row)) for row in entries])


def show_synced(synced: Synced) -> None:
    """Print what was written, one line for each CA that came or went."""
    for each in synced.written:
        changes = {"added": each.added, "removed": each.removed}
        lines = [
            f"{SIGNS[what]} {entry.subject}, of {entry.datacenter or 'nobody knows whom'}, "
            f"SHA-256 {entry.fingerprint[:SHOWN_DIGITS]}, {what}"
            for what, entries in changes.items()
            for entry in entries
        ]
        if not each.error:
            out("\n  ".join([f"{each.datacenter}: {each.name}", *(lines or ["put in order"])]))
    if not synced.written:
        out("unchanged: each datacenter that could be asked trusts what it should")


def as_json(synced: Synced) -> dict[str, object]:
    """Return what was written, and how trust is now, for a program."""
    return {
        "written": [asdict(each) for each in synced.written],
        "trust": [asdict(state) for state in synced.states.values()],
    }


def raise_if_stale(states: Mapping[str, TrustState], mend: str) -> None:
    """Raise NotHealthy for stale bundles, KubernetesError if no side could be looked at."""
    stale = [f"\n  {state.datacenter}: {state.detail}" for state in states.values() if state.stale]
    if stale:
        raise NotHealthy(f"trust between the datacenters is stale:{''.join(stale)}", next_step=mend)
    errors = [f"\n  {state.datacenter}: {state.error}" for state in states.values() if state.error]
    if len(errors) == len(states):
        raise KubernetesError(f"no datacenter can be asked whom it trusts:{''.join(errors)}")


def raise_if_partial(synced: Synced, again: str) -> None:
    """Raise KubernetesError for what could not be read or written."""
    failed = [f"\n  {each.datacenter}: {each.error}" for each in synced.states.values() if each.error]
    failed += [f"\n  {each.datacenter}: {each.name}: {each.error}" for each in synced.written if each.error]
    if failed:
        raise KubernetesError(
            f"not every datacenter could be brought up to date:{''.join(failed)}",
            next_step=f"{again}, once they can be",
        )
