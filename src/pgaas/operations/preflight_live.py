"""The preflight checks of what is there already: namespace, release, and the live cluster's identity."""

from __future__ import annotations

from collections.abc import Iterator

from pgaas.errors import RefusedAsUnsafe
from pgaas.kube.client import Api
from pgaas.kube.release import latest_release
from pgaas.kube.resources import CLUSTER, Object, dig, name_of
from pgaas.kube.snapshot import major_of, server_name
from pgaas.operations.rows import Row
from pgaas.operations.subject import Subject


def namespace(subject: Subject, state: str) -> Row:
    """Check that the namespace is not on its way out."""
    if state == "Terminating":
        return Row(
            "namespace",
            "failed",
            f"{subject.namespace} is still being deleted",
            "run the same command again when it is gone",
        )
    return Row("namespace", "ok", f"{subject.namespace} {'exists' if state else 'will be made'}")


def datacenter(subject: Subject, api: Api, state: str) -> Row:
    """Check that this is the datacenter that is meant: none other's cluster of this client lives in it."""
    dc = subject.target.dc
    found = api.find(CLUSTER, subject.namespace, labels={"pgaas.io/ins": subject.target.ins}) if state else []
    strange = {
        name_of(each): str(other)
        for each in found
        if (other := dig(each, "metadata", "labels", "pgaas.io/dc")) and other != dc
    }
    named = subject.resolved.datacenters.datacenters[dc].kube_context
    mend = f"correct kubeContext of {dc} in datacenters.yaml"
    if not named:
        mend = f"give {dc} a kubeContext in datacenters.yaml, or change to it: kubectl config use-context"
    if strange:
        return Row(
            "datacenter",
            "failed",
            f'the context "{api.context}" is not {dc}: {", ".join(strange)} of '
            f"{', '.join(sorted(set(strange.values())))} lives in it",
            mend,
            RefusedAsUnsafe,
        )
    if not named and len(subject.resolved.client.datacenters) > 1:
        return Row(
            "datacenter",
            "warning",
            f'no kubeContext for {dc} in datacenters.yaml: taken to be the current context, "{api.context}"',
            mend,
        )
    return Row("datacenter", "ok", f'{dc} is the context "{api.context}"')


def release(subject: Subject, api: Api, state: str) -> Row:
    """Check that no deletion was left half done."""
    record = latest_release(api, subject.cluster, subject.namespace) if state else None
    if record and record.status == "uninstalling":
        return Row(
            "release",
            "failed",
            f"a deletion of {subject.cluster} was interrupted",
            f"finish it first: {subject.command('delete')}",
            RefusedAsUnsafe,
        )
    text = f"revision {record.revision} {record.status}" if record else "none yet"
    return Row("release", "ok", text)


def unchanged_identity(subject: Subject, live: Object | None) -> Iterator[Row]:
    """Check that what would be applied keeps the live cluster's major version, primary and archive."""
    if live is None:
        yield Row("live cluster", "ok", "none yet")
        return
    if dig(live, "metadata", "deletionTimestamp"):
        yield Row(
            "live cluster",
            "failed",
            f"{subject.cluster} is being deleted",
            f"finish it first: {subject.command('delete')}",
            RefusedAsUnsafe,
        )
        return
    yield _major(subject, live)
    yield _primary(subject, live)
    yield _archive(subject, live)


def _major(subject: Subject, live: Object) -> Row:
    running, wanted = major_of(live), subject.values.image_catalog.major
    if running and running != wanted:
        return Row(
            "major version",
            "failed",
            f"{subject.cluster} runs PostgreSQL {running}, but databases.yaml says {wanted}: that would be "
            "an offline upgrade, with a new system id and no way back",
            f"set majorVersion back to {running}; a change of major version is not made by this command",
            RefusedAsUnsafe,
        )
    return Row("major version", "ok", str(running or wanted))


def _primary(subject: Subject, live: Object) -> Row:
    replication = subject.values.replication
    running = str(dig(live, "spec", "replica", "primary", default=""))
    wanted = replication.primary if replication.enabled else ""
    myself = (subject.cluster, "")
    if running == wanted or (running in myself and wanted in myself):
        return Row("primary", "ok", running or subject.cluster)
    return Row(
        "primary",
        "failed",
        f"the live primary is {running or subject.cluster}, but confs say {wanted or subject.cluster}: "
        "applying that would promote or demote it without a token",
        "bring clients.yaml up to date (git pull), or set primaryDatacenter to what is live; to move it: "
        f"pgaas switchover --ins {subject.target.ins} --env {subject.target.env} --to DC",
        RefusedAsUnsafe,
    )


def _archive(subject: Subject, live: Object) -> Row:
    running, wanted = server_name(live), subject.server_name
    if running and running != wanted:
        return Row(
            "archive",
            "failed",
            f"the live cluster archives as {running}, but confs say {wanted}: that would split its archive",
            "set archiveGenerations in clients.yaml back to the live generation",
            RefusedAsUnsafe,
        )
    return Row("archive", "ok", running or wanted)
