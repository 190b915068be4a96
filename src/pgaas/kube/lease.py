"""A Lease in a client's namespace: whoever holds it is the only pgaas that acts there.

It is renewed by a thread for as long as it is held. A holder that was killed loses it when it has not been
renewed for its duration, or at once if it was a process of this very machine.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

from pgaas.errors import KubernetesConflict, PgaasError, RefusedAsUnsafe
from pgaas.kube.client import Api
from pgaas.kube.holder import Holder, holder_of, is_gone
from pgaas.kube.resources import LEASE, Object, dig

LEASE_SECONDS = 60
RENEW_SECONDS = 15.0
# After a renewal that failed, and between two looks at a Lease that seems left behind.
RETRY_SECONDS = 2.0
# A holder that is alive renews well within this part of the duration, whatever its clock says.
WATCHED_PART = 1 / 3
JOIN_SECONDS = 5.0
ATTEMPTS = 10


def awake() -> float:
    """Return a clock's seconds; where it can be had, one that goes on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


def wall_clock() -> datetime:
    """Return the time of day."""
    return datetime.now(UTC)


class Lease:
    """One Lease, from `acquire` to `release`."""

    def __init__(
        self,
        api: Api,
        name: str,
        namespace: str,
        holder: Holder,
        *,
        clock: Callable[[], float] = awake,
        now: Callable[[], datetime] = wall_clock,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Prepare to hold it; nothing is asked yet."""
        self._api = api
        self._name = name
        self._namespace = namespace
        self.holder = holder
        self._clock = clock
        self._now = now
        self._sleep = sleep
        self._renewed = clock()
        self._problem = ""
        self._lost = ""
        self._tried = False
        self._busy = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep, name=f"renew {namespace}/{name}", daemon=True)

    @property
    def where(self) -> str:
        """Return the place for a message."""
        return f'Lease {self._namespace}/{self._name}, context "{self._api.context}"'

    def acquire(self, on_wait: Callable[[str], None]) -> None:
        """Take the Lease and keep it until `release`; `on_wait` is told if that takes more than a moment.

        Raise RefusedAsUnsafe if somebody else holds it, KubernetesError if the API server refuses.
        """
        for _ in range(ATTEMPTS):
            found = self._api.get(LEASE, self._name, self._namespace)
            other = holder_of(found) if found else None
            if found and other and not is_gone(other):
                patience = self._patience(found)
                if patience is None:
                    age = self._age(found)
                    raise self._held(other, 0.0 if age is None else _duration(found) - age)
                if not self._stays(found, other, patience, on_wait):
                    continue
            began = self._clock()
            self._tried = True
            # Another process that looked at the same moment writes too: the API server takes one of both.
            with suppress(KubernetesConflict):
                self._write(found, taken=True)
                self._renewed = began
                self._thread.start()
                return
        raise RefusedAsUnsafe(
            "others take and leave the Lease all the time", where=self.where, next_step="run this again"
        )

    def check(self) -> None:
        """Raise RefusedAsUnsafe if the Lease is lost: somebody else may be acting by now."""
        if not self._lost and self._clock() - self._renewed >= LEASE_SECONDS and not self.renew():
            seconds = self._clock() - self._renewed
            self._lost = self._lost or f"it could not be renewed for {seconds:.0f} s: {self._problem}"
        self._stop_if_lost()

    def check_taken(self) -> None:
        """Raise RefusedAsUnsafe if somebody else took the Lease; an API server that is away is no loss."""
        if not self._lost and self._clock() - self._renewed >= LEASE_SECONDS:
            self.renew()
        self._stop_if_lost()

    def _stop_if_lost(self) -> None:
        if self._lost:
            raise RefusedAsUnsafe(
                f"stopped: the Lease that keeps others from acting at the same time is lost: {self._lost}",
                where=self.where,
                next_step="see what is there now (pgaas status), then run the same command again",
            )

    def renew(self) -> bool:
        """Renew once; return whether that worked."""
        with self._busy:
            began = self._clock()
            try:
                found = self._api.get(LEASE, self._name, self._namespace)
                other = holder_of(found) if found else None
                if found and (other is None or other.identity != self.holder.identity):
                    self._lost = f"{other} now" if other else "somebody took it, and has left it since"
                    return False
                self._write(found, taken=found is None)
            except PgaasError as error:
                self._problem = error.what
                return False
            self._renewed = began
            return True

    def release(self, *, remove: bool = False) -> None:
        """Leave the Lease to the next one, or remove it; what cannot be done now, its duration does."""
        self._stop.set()
        if not self._tried:
            return
        if self._thread.is_alive():
            self._thread.join(JOIN_SECONDS)
        with suppress(PgaasError):
            found = self._api.get(LEASE, self._name, self._namespace)
            holder = holder_of(found) if found else None
            if found is None or holder is None or holder.identity != self.holder.identity:
                return
            if remove:
                self._api.delete(LEASE, self._name, self._namespace)
                return
            notes = dig(found, "metadata", "annotations", default={})
            kept = {key: note for key, note in notes.items() if key not in self.holder.annotations}
            turns = dig(found, "spec", "leaseTransitions", default=0)
            spec = {"leaseDurationSeconds": 1, "leaseTransitions": turns}
            self._api.replace(
                LEASE, {**found, "metadata": {**found["metadata"], "annotations": kept}, "spec": spec}
            )

    def _keep(self) -> None:
        pause = RENEW_SECONDS
        while not self._stop.wait(pause) and not self._lost:
            pause = RENEW_SECONDS if self.renew() else RETRY_SECONDS

    def _write(self, found: Object | None, *, taken: bool) -> None:
        """Create the Lease, or put it in place of the one that was found."""
        stamp = f"{self._now():%Y-%m-%dT%H:%M:%S.%fZ}"
        old = dig(found, "spec", default={})
        turns = dig(old, "leaseTransitions", default=0) + (1 if taken and found else 0)
        spec = {
            "holderIdentity": self.holder.identity,
            "leaseDurationSeconds": LEASE_SECONDS,
            "acquireTime": stamp if taken else old.get("acquireTime", stamp),
            "renewTime": stamp,
            "leaseTransitions": turns,
        }
        if found is None:
            labels = {"app.kubernetes.io/part-of": "pgaas"}
            metadata = {"name": self._name, "namespace": self._namespace, "labels": labels}
            metadata["annotations"] = self.holder.annotations
            self._api.create(LEASE, {"metadata": metadata, "spec": spec})
            return
        notes = {**dig(found, "metadata", "annotations", default={}), **self.holder.annotations}
        self._api.replace(
            LEASE, {**found, "metadata": {**found["metadata"], "annotations": notes}, "spec": spec}
        )

    def _patience(self, found: Object) -> float | None:
        """Return how long a held Lease must stay as it is to count as left behind; None if it is fresh.

        Two clocks may differ. So one that has expired by ours is watched for a while as well, and one that
        was renewed in our future, which says nothing of its age, for the whole of its duration.
        """
        duration, age = _duration(found), self._age(found)
        if age is not None and abs(age) < duration:
            return None
        if age is not None and age > 0:
            return min(duration * WATCHED_PART, LEASE_SECONDS)
        return duration if duration <= LEASE_SECONDS else None

    def _stays(self, found: Object, other: Holder, patience: float, on_wait: Callable[[str], None]) -> bool:
        """Watch a Lease that seems left behind; return whether it stayed as it is.

        Raise RefusedAsUnsafe if its holder renewed it, and so is alive, or another one took it.
        """
        on_wait(f"{other}, but has not renewed its Lease: watching it for {patience:.0f} s")
        until = self._clock() + patience
        while (left := until - self._clock()) > 0:
            self._sleep(min(RETRY_SECONDS, left))
            again = self._api.get(LEASE, self._name, self._namespace)
            if dig(again, "metadata", "resourceVersion") == dig(found, "metadata", "resourceVersion"):
                continue
            holder = holder_of(again) if again else None
            if again and holder:
                raise self._held(holder, _duration(again))
            return False
        return True

    def _held(self, other: Holder, left: float) -> RefusedAsUnsafe:
        """Return the error for a Lease that runs out in so many seconds, or never by itself."""
        remove = f"remove the Lease (kubectl -n {self._namespace} delete lease {self._name})"
        killed = f"in {math.ceil(left)} s" if left > 0 else remove
        return RefusedAsUnsafe(
            f"another command is at work here: {other}",
            where=self.where,
            next_step=f"run again when it has ended, or {killed} if it was killed",
        )

    def _age(self, found: Object) -> float | None:
        try:
            renewed = datetime.fromisoformat(str(dig(found, "spec", "renewTime", default="")))
            return (self._now() - renewed).total_seconds()
        except (ValueError, TypeError):
            return None


def _duration(found: Object) -> float:
    return float(dig(found, "spec", "leaseDurationSeconds", default=LEASE_SECONDS))
