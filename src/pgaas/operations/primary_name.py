"""A client's DNS names beside other work: the primary's moves once nothing but the promotion is left."""

from __future__ import annotations

import threading

from pgaas.errors import PgaasError
from pgaas.kube.client import Api
from pgaas.operations.dns import PrimaryRecord, primary_record
from pgaas.operations.pair import Pair, Subjects, load_pair
from pgaas.operations.subject import Subject
from pgaas.render.topology import side_names


class NameMove:
    """One move of the name to one datacenter, in the background; `finish` says what became of it.

    The old side takes no writes any more when it starts, so that no client is worse off by being led to the
    new one a little early.
    """

    def __init__(self, subjects: Subjects, pair: Pair, dc: str) -> None:
        self._dc = dc
        self.record: PrimaryRecord = primary_record(
            subjects, {name: side.api for name, side in pair.sides.items()}
        )
        self._thread: threading.Thread | None = None
        self._error: PgaasError | None = None
        self.unchanged: tuple[str, ...] = ()

    def start(self) -> None:
        """Begin, once."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._move, daemon=True)
            self._thread.start()

    def finish(self) -> None:
        """Wait until the name is moved, trying once more if that failed; raise what kept it from it."""
        self.start()
        if self._thread:
            self._thread.join()
        if self._error:
            self._error = None
            self.unchanged = self.record.point_to(self._dc)

    def _move(self) -> None:
        try:
            self.unchanged = self.record.point_to(self._dc)
        except PgaasError as error:
            self._error = error


def open_record(subjects: Subjects) -> PrimaryRecord:
    """Return a client's record, without having looked at its clusters; a side that is away has no API."""
    apis: dict[str, Api | None] = {}
    for dc, subject in subjects.items():
        try:
            apis[dc] = subject.api()
        except PgaasError:
            apis[dc] = None
    return primary_record(subjects, apis)


def lead_to_primary(record: PrimaryRecord, dc: str, *, timeout: float) -> str:
    """Make the name lead to the side that is the primary already; return what it does, or did.

    The first time a client's name is written may take a DNS server seconds, which must not fall into the time
    without a primary.
    """
    if record.read().points_to == dc:
        return f"leads to {dc}"
    unchanged = record.point_to(dc)
    record.wait_for(dc, timeout)
    return "; ".join([f"leads to {dc} now", *unchanged])


def see_to_names(subject: Subject, *, timeout: float) -> str:
    """Give the primary's name to a client that has none yet, and the sides theirs; return what to tell.

    The primary's is not touched if it leads elsewhere.
    """
    target = subject.target
    if subject.follows and not side_names(subject.resolved):
        return ""
    try:
        record = open_record(load_pair(subject.root, target.ins, target.env))
        if not subject.follows and record.read().points_to == "":
            return f"{record.name}: {lead_to_primary(record, target.dc, timeout=timeout)}"
        return "; ".join(record.point_sides())
    except PgaasError as error:
        whose, primary = (
            "this side's" if subject.follows else "the primary's",
            subject.resolved.client.primary,
        )
        again = f"pgaas update-dns --ins {target.ins} --env {target.env} --to {primary}"
        return f"{whose} name does not lead here yet: {error.what}; {again}"


def forget_side(subject: Subject) -> str:
    """Take the name of a side that is gone away, whose address may be another client's next.

    Return what to tell.
    """
    target = subject.target
    if not side_names(subject.resolved):
        return ""
    try:
        record = open_record(load_pair(subject.root, target.ins, target.env))
        left = "; ".join(record.forget_side(target.dc))
    except PgaasError as error:
        left = error.what
    return f"{left}: run the same command again when that is mended" if left else ""
