"""Shorten the checkpoint that a base backup begins with."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from pgaas.errors import PgaasError
from pgaas.kube.client import Api
from pgaas.kube.postgres import CONTAINER
from pgaas.kube.resources import Object, dig, name_of

STARTED: Final = ("started", "running")
LOOK_EVERY = 3.0
# PostgreSQL spreads a checkpoint over checkpoint_timeout, which is five minutes by default, at the most.
LOOK_FOR = 300.0
CHECKPOINT_SECONDS = 300.0
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
        self._begun: dict[str, float] = {}
        self._looked: dict[str, float] = {}
        self._done: set[str] = set()

    def __call__(self, backup: Object) -> None:
        """Look at a Backup that is under way, at most every few seconds, until it was helped on once."""
        name, now = name_of(backup), self._clock()
        pod = str(dig(backup, "status", "instanceID", "podName", default=""))
        if name in self._done or not pod or dig(backup, "status", "phase") not in STARTED:
            return
        if now - self._looked.get(name, float("-inf")) < LOOK_EVERY:
            return
        self._looked[name] = now
        if now - self._begun.setdefault(name, now) > LOOK_FOR:
            self._done.add(name)
            return
        namespace = str(dig(backup, "metadata", "namespace", default=""))
        try:
            if int(self._ask(pod, namespace, WAITING)):
                self._done.add(name)
                self._ask(pod, namespace, "CHECKPOINT")
        except (PgaasError, ValueError):
            self._done.add(name)

    def _ask(self, pod: str, namespace: str, statement: str) -> str:
        argv = ["psql", "-XAtqc", statement]
        return self._api.execute(pod, CONTAINER, namespace, argv, timeout=CHECKPOINT_SECONDS)
