"""Shorten the checkpoint that a base backup begins with."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Final

from pgaas.errors import PgaasError
from pgaas.kube.client import Api
from pgaas.kube.postgres import ask
from pgaas.kube.resources import Object, dig, name_of

STARTED: Final = ("started", "running")
LOOK_EVERY = 3.0
# PostgreSQL spreads a checkpoint over checkpoint_timeout, which is five minutes by default, at the most.
LOOK_FOR = 300.0
CHECKPOINT, CHECKPOINT_SECONDS = "CHECKPOINT", 300.0
# pg_backup_start waits for its checkpoint; what else may wait for one is no slower for it.
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'CheckpointDone'"


class Hurry:
    """Ask for a checkpoint at full speed once a backup is seen to wait for one that is spread over minutes.

    The one that is under way goes at full speed from then on: PostgreSQL looks for such a request between two
    pages (CheckpointWriteDelay). The backup works without it and takes longer, so nothing here fails: whoever
    may not exec in the instance waits.
    """

    def __init__(self, api: Api, clock: Callable[[], float] = time.monotonic) -> None:
        self._api = api
        self._clock = clock
        # By the Backup's name: until when it is looked at, and when next; endlessly far once that is over.
        self._until: dict[str, float] = {}
        self._next: dict[str, float] = {}

    def __call__(self, backup: Object) -> None:
        """Look at a Backup that is under way, at most every few seconds, until it was helped on once."""
        name, now = name_of(backup), self._clock()
        pod = str(dig(backup, "status", "instanceID", "podName", default=""))
        if now < self._next.get(name, now) or not pod or dig(backup, "status", "phase") not in STARTED:
            return
        self._next[name] = now + LOOK_EVERY
        late = now > self._until.setdefault(name, now + LOOK_FOR)
        if late or self._is_over(pod, str(dig(backup, "metadata", "namespace", default=""))):
            self._next[name] = math.inf

    def _is_over(self, pod: str, namespace: str) -> bool:
        """Help a backup on that waits; return whether there is nothing more to do for it."""
        try:
            waits = bool(int(ask(self._api, pod, namespace, WAITING)))
            if waits:
                ask(self._api, pod, namespace, CHECKPOINT, timeout=CHECKPOINT_SECONDS)
        except (PgaasError, ValueError):
            return True
        return waits
