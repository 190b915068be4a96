"""One line of the fleet: how a cluster is, and in what it differs from its configuration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from pgaas.config.naming import Target, cluster_name, namespace
from pgaas.errors import ConfigError
from pgaas.kube.promotion import HIBERNATION
from pgaas.kube.release import Release
from pgaas.kube.resources import Object, dig, name_of
from pgaas.kube.snapshot import is_following, major_of
from pgaas.operations.health import Expected, expected_of, judge_alone
from pgaas.operations.preflight_live import unchanged_identity
from pgaas.operations.subject import RESTORED_FROM, RESTORED_IN, Subject

INS_LABEL, ENV_LABEL, DC_LABEL = "pgaas.io/ins", "pgaas.io/env", "pgaas.io/dc"
DEPLOYED = "deployed"
PRIMARY, REPLICA, FENCED, RESTORED = "primary", "replica", "fenced", "restored"
TWO_PRIMARIES = "TWO PRIMARIES"
# So many settings that differ are named; the rest is counted.
NAMED = 3


class Finding(NamedTuple):
    """In what a cluster differs from what it should be: the kind of difference, and words."""

    kind: str
    text: str


@dataclass(frozen=True)
class Row:
    """One cluster, or a client that has none yet.

    `state` is live, not healthy, not live, unreachable, not seen (no context leads there), not configured
    (it lives, and is in no file), restored (beside its source), not pgaas's, or no databases.yaml. `live` is
    None where nobody can tell.
    """

    ins: str
    env: str
    datacenter: str
    cluster: str
    namespace: str
    context: str
    state: str
    configured: bool
    live: bool | None
    profile: str = ""
    replicated: bool = False
    role: str = ""
    instances_ready: int = 0
    instances_wanted: int = 0
    major: int = 0
    image: str = ""
    phase: str = ""
    findings: list[Finding] = field(default_factory=list)

    def place(self) -> tuple[str, str, str, str, str]:
        """Return what rows are sorted by."""
        return self.ins, self.env, self.datacenter, self.context, self.cluster


def configured_row(
    subject: Subject,
    context: str,
    live: Object,
    releases: Mapping[tuple[str, str], Release | None] | None,
    key: tuple[str, str],
) -> Row:
    """Return the row of a cluster that is configured and lives.

    `releases` are Helm's records by namespace and name, None if they could not be read; `key` is its own.
    """
    ill = [item for item in judge_alone(live, expected_of(subject)) if not item.ok]
    findings = [*_identity(subject, live), *_image(subject, live)]
    if releases is not None:
        findings += _release(subject, releases.get(key), recorded=key in releases)
    findings += [Finding("health", f"{item.name}: {item.detail}") for item in ill]
    state = "not healthy" if ill or dig(live, "metadata", "deletionTimestamp") else "live"
    row = _of_subject(subject, context, state, live=True)
    return _filled(row, live, findings)


def absent_row(subject: Subject, context: str) -> Row:
    """Return the row of a cluster that is configured and does not live."""
    finding = Finding("absent", f"configured, and not live: {subject.command('create')}")
    return _of_subject(subject, context, "not live", live=False, findings=[finding])


def hidden_row(subject: Subject, context: str, state: str, why: str) -> Row:
    """Return the row of a cluster of which nothing can be seen."""
    return _of_subject(subject, context, state, live=None, findings=[Finding(state, why)])


def broken_row(target: Target, context: str, live: Object | None, error: ConfigError) -> Row:
    """Return the row of a cluster whose files have issues: nobody can tell what it should be."""
    row = Row(
        *target, cluster_name(target), namespace(target), context,
        "live" if live else "not live", configured=True, live=live is not None,
    )  # fmt: skip
    finding = Finding("configuration", "; ".join([error.what, *map(str, error.issues[:NAMED])]))
    return _filled(row, live, [finding]) if live else replace(row, findings=[finding])


def fileless_row(ins: str, team_env: str) -> Row:
    """Return the row of a client that is registered and has no file."""
    finding = Finding("configuration", "registered in clients.yaml, without a databases.yaml")
    return Row(
        ins, team_env, "", "", "", "", "no databases.yaml", configured=False, live=None, findings=[finding]
    )


def unconfigured_row(live: Object, context: str, *, told: bool) -> Row:
    """Return the row of a cluster that is in no file; `told` says that the files could be read."""
    labels = dig(live, "metadata", "labels", default={})
    ours = INS_LABEL in labels
    if not ours:
        state, text = "not pgaas's", "somebody else's Cluster"
    elif told:
        state, text = "not configured", "it lives, and is in no file"
    else:
        state, text = "not configured", "it lives, and its environment's files have issues"
    row = Row(
        str(labels.get(INS_LABEL, "")), str(labels.get(ENV_LABEL, "")), str(labels.get(DC_LABEL, "")),
        name_of(live), str(dig(live, "metadata", "namespace", default="")), context,
        state, configured=False, live=True,
    )  # fmt: skip
    source = str(labels.get(RESTORED_FROM, "")) if ours else ""
    expected = _as_it_is(live, archives=not source)
    ill = [item for item in judge_alone(live, expected) if not item.ok]
    health = [Finding("health", f"{item.name}: {item.detail}") for item in ill]
    if source:
        # It takes writes, and nobody is led to it: no second primary.
        row = replace(row, datacenter=str(labels.get(RESTORED_IN, "")))
        asked = f"--ins {row.ins} --env {row.env} --dc {row.datacenter} --as {row.cluster}"
        text = f"restored from {source}: pgaas restore {asked} --remove removes it"
        filled = _filled(row, live, [Finding(RESTORED, text), *health])
        return replace(filled, state=RESTORED, role=RESTORED)
    return _filled(row, live, [Finding("unconfigured", text), *health])


def add_two_primaries(rows: Sequence[Row]) -> None:
    """Add to each cluster that takes writes that another one of its client does too, where they replicate."""
    sides: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if row.role == PRIMARY and row.replicated:
            sides.setdefault((row.ins, row.env), []).append(row)
    for both in sides.values():
        if len(both) > 1:
            names = " and ".join(row.cluster for row in both)
            for row in both:
                text = f"{names} are both to take writes: pgaas status --ins {row.ins} --env {row.env}"
                row.findings.insert(0, Finding(TWO_PRIMARIES, text))


# Where a cluster was deployed from is a record: every commit of any client moves it, and nothing differs.
RECORD = "cluster.usersRevision"


def differing(old: Any, new: Any, path: str = "") -> Iterator[str]:
    """Return the paths at which two trees differ; what is missing counts as null."""
    if old == new:
        return
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in dict.fromkeys([*old, *new]):
            yield from differing(old.get(key), new.get(key), f"{path}.{key}" if path else str(key))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (before, after) in enumerate(zip(old, new, strict=True)):
            yield from differing(before, after, f"{path}.{index}")
    else:
        yield path


def _identity(subject: Subject, live: Object) -> Iterator[Finding]:
    for row in unchanged_identity(subject, live):
        if row.state == "failed":
            # What follows the colon is about applying it, which nobody does here.
            yield Finding(row.name, row.detail.partition(": ")[0])


def _image(subject: Subject, live: Object) -> Iterator[Finding]:
    running = str(dig(live, "status", "image", default=""))
    if running and running != subject.image and major_of(live) == subject.values.image_catalog.major:
        yield Finding("image", f"runs {running}, confs say {subject.image}: {subject.command('upgrade')}")


def _release(subject: Subject, release: Release | None, *, recorded: bool) -> Iterator[Finding]:
    if not recorded:
        yield Finding("release", "Helm has no record of it")
        return
    if release is None:
        yield Finding("release", "Helm's record of it cannot be read")
        return
    if release.status != DEPLOYED:
        yield Finding("release", f"revision {release.revision} is {release.status}")
    paths = [path for path in differing(release.values, subject.values.plain()) if path != RECORD]
    if paths:
        more = f" and {len(paths) - NAMED} more" if len(paths) > NAMED else ""
        named = ", ".join(paths[:NAMED])
        yield Finding("values", f"confs say otherwise than what is deployed: {named}{more}")


def _of_subject(
    subject: Subject, context: str, state: str, *, live: bool | None, findings: list[Finding] | None = None
) -> Row:
    client = subject.resolved.client
    return Row(
        *subject.target, subject.cluster, subject.namespace, context, state,
        configured=True,
        live=live,
        profile=client.storage_profile,
        instances_wanted=subject.values.cluster.instances,
        major=subject.values.image_catalog.major,
        replicated=client.replication.enabled,
        findings=findings or [],
    )  # fmt: skip


def _filled(row: Row, live: Object, findings: list[Finding]) -> Row:
    """Return a row with what the live Cluster says."""
    annotations = dig(live, "metadata", "annotations", default={})
    role = FENCED if annotations.get(HIBERNATION) == "on" else REPLICA if is_following(live) else PRIMARY
    return replace(
        row,
        role=role,
        instances_ready=int(dig(live, "status", "readyInstances", default=0)),
        instances_wanted=int(dig(live, "spec", "instances", default=0)),
        major=major_of(live) or row.major,
        image=str(dig(live, "status", "image", default="")),
        phase=str(dig(live, "status", "phase", default="")),
        findings=findings,
    )


def _as_it_is(live: Object, *, archives: bool) -> Expected:
    """Return what a cluster that is in no file is to be: what its own spec says."""
    return Expected(int(dig(live, "spec", "instances", default=0)), (), (), {}, (), archives)
