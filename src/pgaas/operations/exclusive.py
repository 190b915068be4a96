"""Let one command at a time act on a client's clusters: it holds a Lease in every datacenter it can reach."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from pgaas.errors import KubernetesError, KubernetesForbidden
from pgaas.kube.client import Api
from pgaas.kube.holder import myself
from pgaas.kube.lease import Lease
from pgaas.kube.namespace import namespace_state
from pgaas.operations.progress import Progress
from pgaas.operations.subject import Subject

# What this process holds, by API server and namespace: a verb that calls another one holds it already.
_HELD: dict[tuple[str, str], Lease] = {}


@dataclass
class Exclusive:
    """The right to act, for as long as the block lasts; `leases` are those that it rests on."""

    leases: tuple[Lease, ...] = ()
    _leave_nothing: bool = field(default=False, init=False)

    def check(self) -> None:
        """Raise RefusedAsUnsafe if the right is lost; to be asked before each step that is dangerous."""
        for lease in self.leases:
            lease.check()

    def check_taken(self) -> None:
        """Raise RefusedAsUnsafe if another command has the right by now.

        For what is to be done even if a datacenter has gone away since: nobody can take its Lease there.
        """
        for lease in self.leases:
            lease.check_taken()

    def leave_nothing(self) -> None:
        """Have the Leases removed at the end, not only left."""
        self._leave_nothing = True


@contextmanager
def exclusive(subjects: Iterable[Subject], verb: str, progress: Progress) -> Iterator[Exclusive]:
    """Hold the Lease of every datacenter that can be reached and has the client's namespace.

    Within another such block of this process it is held already, and stays so until that one ends. Raise
    RefusedAsUnsafe if another command holds one, KubernetesForbidden if the right to Leases is missing,
    KubernetesError if no datacenter can be reached.
    """
    unreachable: dict[str, KubernetesError] = {}
    leases: list[Lease] = []
    with ExitStack() as stack:
        made = Exclusive()
        # Always in the same order, or two commands could each hold what the other waits for.
        for subject in sorted(subjects, key=lambda each: each.target.dc):
            try:
                leases += _hold(subject, subject.api(), verb, progress, stack, made)
            except KubernetesForbidden:
                raise
            except KubernetesError as error:
                unreachable[subject.target.dc] = error
        if unreachable and not leases:
            raise next(iter(unreachable.values()))
        for dc, why in unreachable.items():
            progress.note(f"{dc} is not locked: {why.what}")
        made.leases = tuple(leases)
        yield made


def _hold(
    subject: Subject, api: Api, verb: str, progress: Progress, stack: ExitStack, made: Exclusive
) -> list[Lease]:
    """Take one datacenter's Lease, and have the stack give it back; none if there is no namespace for it."""
    key = (api.server, subject.namespace)
    if key in _HELD:
        return [_HELD[key]]
    if namespace_state(api, subject.namespace) != "Active":
        return []
    lease = Lease(api, f"pgaas-{subject.namespace}", subject.namespace, myself(verb))
    stack.callback(_give_back, key, lease, made)
    try:
        lease.acquire(progress.note)
    except KubernetesForbidden as error:
        raise KubernetesForbidden(
            f"the right to keep others from acting at the same time is missing: {error.what}",
            where=error.where,
            next_step="have get, create, update and delete of leases.coordination.k8s.io granted in "
            f"namespace {subject.namespace}; the Role pgaas-cluster-manager there grants them",
        ) from error
    _HELD[key] = lease
    return [lease]


def _give_back(key: tuple[str, str], lease: Lease, made: Exclusive) -> None:
    _HELD.pop(key, None)
    lease.release(remove=made._leave_nothing)
