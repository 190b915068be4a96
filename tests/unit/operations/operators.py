"""A tiny model of one side: PostgreSQL, the operator that looks after it, and the webhook before it.

What it does was measured with CloudNativePG 1.30, or read in its replicaclusterswitch/reconciler.go and
cluster_status.go: a demotion is not noticed at once, then fences, then leaves a token, and only then says it
is done; a replica keeps its token until it is the primary again, and a lastPromotionToken goes with the
token in the spec.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import httpx2
from tests.unit.kube.fakes import failure, path_of
from tests.unit.kube.owners import OwningServer

from pgaas.kube.promotion import HIBERNATION, NUDGE
from pgaas.kube.resources import CLUSTER, DATABASE, POD, Object, condition, dig
from pgaas.kube.snapshot import HEALTHY, UNRECOVERABLE

if TYPE_CHECKING:
    from tests.unit.operations.two_sides import TwoSides

SPACE = "ic1-local"
SYSTEM = "7100000000000000001"
PROMOTING = "Promoting to primary cluster"
WAITING = "waiting for the cluster to become primary"
FENCED = "cnpg.io/fencedInstances"
WRONG = "Promotion token content is not correct for current instance"
SEGMENT = 2**24
CHECKPOINT = 0x100


@dataclass
class Postgres:
    """What an instance has: where it is in its WAL, how it came there, and which rows."""

    recovering: bool
    system: str = SYSTEM
    timeline: int = 1
    lsn: int = 5 * SEGMENT
    history: dict[int, int] = field(default_factory=dict)
    rows: tuple[str, ...] = ()
    up: bool = True

    def line(self) -> str:
        """Answer the query for the position."""
        history = "; ".join(
            f"{timeline} {text_of(lsn)} no recovery target" for timeline, lsn in self.history.items()
        )
        state = "t" if self.recovering else "f"
        return (
            f"{state}|{self.timeline}|{text_of(self.lsn)}|{self.system}|-1|000000010000000000000004|1|"
            f"{'' if self.recovering else history}"
        )

    def replay(self, archive: Postgres) -> None:
        """Apply what an archive holds, if it is of the same history."""
        if not self.recovering or not self.up or archive.system != self.system:
            return
        left = archive.history.get(self.timeline)
        if archive.timeline != self.timeline and (left is None or left < self.lsn):
            return
        if archive.timeline == self.timeline and archive.lsn <= self.lsn:
            return
        self.timeline, self.lsn, self.rows = archive.timeline, archive.lsn, archive.rows
        self.history = dict(archive.history)

    def stop_as_primary(self) -> str:
        """Shut down with a last checkpoint; return the token that says so."""
        redo = self.lsn
        self.lsn += CHECKPOINT
        self.recovering = True
        return token(self.timeline, redo, self.system)

    def promote(self) -> None:
        """Begin a timeline."""
        self.history[self.timeline] = self.lsn
        self.timeline += 1
        self.lsn += CHECKPOINT
        self.recovering = False


def text_of(lsn: int) -> str:
    """Return an LSN as PostgreSQL writes it."""
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"


def token(timeline: int, lsn: int, system: str = SYSTEM, **other: Any) -> str:
    """Return a demotion token."""
    content = {
        "latestCheckpointTimelineID": str(timeline),
        "redoWalFile": f"{timeline:08X}0000000000000005",
        "databaseSystemIdentifier": system,
        "latestCheckpointREDOLocation": text_of(lsn),
        "timeOfLatestCheckpoint": "Tue Nov 24 12:00:00 2026",
        "operatorVersion": "1.30.0",
        **other,
    }
    return base64.b64encode(json.dumps(content).encode()).decode()


def opened(text: str) -> tuple[int, int, str]:
    """Return timeline, LSN and system of a token."""
    content = json.loads(base64.b64decode(text))
    high, _, low = content["latestCheckpointREDOLocation"].partition("/")
    lsn = (int(high, 16) << 32) + int(low, 16)
    return int(content["latestCheckpointTimelineID"]), lsn, content["databaseSystemIdentifier"]


@dataclass
class Pace:
    """How many looks things take, and what goes wrong; `lazy` waits for a nudge where CloudNativePG does."""

    stale: int = 1
    demotion: int = 2
    promotion: int = 1
    lazy: bool = False
    asleep: bool = False
    never_promotes: bool = False


@dataclass
class SideServer(OwningServer):
    """One datacenter's API server, with the operator and the instance behind it."""

    dc: str = ""
    world: TwoSides = None  # type: ignore[assignment]
    postgres: Postgres = field(default_factory=lambda: Postgres(recovering=True))
    pace: Pace = field(default_factory=Pace)
    looks: int = 0
    tokens: list[str] = field(default_factory=list)
    # What PostgreSQL says that it waits for a restart for.
    restarts_for: str = ""

    @property
    def name(self) -> str:
        """Return the Cluster's name."""
        return f"local-ic1-{self.dc}"

    @property
    def path(self) -> str:
        """Return where the Cluster is."""
        return path_of(CLUSTER, SPACE, self.name)

    @property
    def cluster(self) -> Object:
        """Return the live Cluster, to be changed in place."""
        return self.objects[self.path]

    @property
    def replica(self) -> Object:
        """Return the live replica stanza."""
        return dict(dig(self.objects.get(self.path), "spec", "replica", default={}))

    @property
    def claims(self) -> bool:
        """Whether the spec makes this side a primary, and nothing keeps it from being one."""
        live = self.objects.get(self.path)
        hibernated = dig(live, "metadata", "annotations", HIBERNATION) == "on"
        return live is not None and self.replica.get("primary") == self.name and not hibernated

    def admit(self, path: str, old: Any, new: Any) -> httpx2.Response | None:
        """Refuse what the webhook refuses; it names the value, as Kubernetes does."""
        if path != self.path:
            return None
        before, after = (dig(each, "spec", "replica", default={}) for each in (old, new))
        given = after.get("promotionToken", "")
        busy = dig(old, "status", "switchReplicaClusterStatus", "inProgress", default=False)
        if busy and before.get("primary") != after.get("primary"):
            return self._denied(
                'spec.replica: Invalid value: "x": cannot modify the field while there is an ongoing '
                "operation to enable the replica cluster"
            )
        if given and after.get("primary") != self.name:
            return self._denied(
                f'spec.replica.token: Invalid value: "{given}": promotionToken is only allowed for primary '
                "clusters"
            )
        return None

    def look(self, path: str) -> None:
        """Let the operator work whenever somebody looks."""
        if path in (self.path, path_of(POD, SPACE)) and self.path in self.objects:
            self.tick()
        if path.startswith(path_of(DATABASE, SPACE)):
            self._reconcile_databases()

    def position(self) -> str | None:
        """Let time pass and return the position, or None while PostgreSQL is down."""
        with self.model:
            self.tick()
            following = next(
                (each for each in self.world.servers.values() if each.name == self.replica.get("source")),
                None,
            )
            if following:
                self.postgres.replay(self.world.archives[following.dc])
            return self.postgres.line() if self.postgres.up else None

    def archive(self) -> None:
        """Send all WAL that there is to the archive."""
        self.world.archives[self.dc] = replace(self.postgres, history=dict(self.postgres.history))

    def tick(self) -> None:
        """Do what the operator and the instance manager do next."""
        live, status = self.cluster, self.cluster.setdefault("status", {})
        if self.pace.asleep:
            return
        if dig(live, "metadata", "annotations", HIBERNATION) == "on":
            self.postgres.up = False
            for each in [path for path in self.objects if "/pods/" in path]:
                del self.objects[each]
            return
        if not self.replica.get("promotionToken"):
            status["lastPromotionToken"] = ""
        if self.replica.get("primary") == self.name:
            status["demotionToken"] = ""
            self._lead(live, status)
        else:
            self._follow(live, status)
        self.world.watch()

    def _follow(self, live: Object, status: Object) -> None:
        status["phase"] = HEALTHY
        notes = live["metadata"].setdefault("annotations", {})
        switching = dig(status, "switchReplicaClusterStatus", "inProgress", default=False)
        if self.postgres.recovering and not switching:
            return
        self.looks += 1
        if self.looks <= self.pace.stale:
            return
        if not switching:
            notes[FENCED] = '["*"]'
            self._condition(status, "ReplicaClusterSwitch", "False")
            status["switchReplicaClusterStatus"] = {"inProgress": True}
            return
        self.postgres.up = False
        if self.looks <= self.pace.stale + self.pace.demotion or (self.pace.lazy and NUDGE not in notes):
            return
        if not self.postgres.recovering:
            status["demotionToken"] = self.postgres.stop_as_primary()
            self.tokens.append(status["demotionToken"])
            self.archive()
            return
        self._condition(status, "ReplicaClusterSwitch", "True")
        status["switchReplicaClusterStatus"] = {"inProgress": False}
        del notes[FENCED]
        self.looks, self.postgres.up = 0, True

    def _lead(self, live: Object, status: Object) -> None:
        given = self.replica.get("promotionToken", "")
        if not self.postgres.recovering:
            status["lastPromotionToken"] = given
            status["phase"] = HEALTHY
            return
        status["phase"] = PROMOTING
        if given:
            timeline, lsn, system = opened(given)
            ahead = timeline < self.postgres.timeline or self.postgres.lsn > lsn + CHECKPOINT
            if system != self.postgres.system or ahead:
                status["phase"], status["phaseReason"] = UNRECOVERABLE, WRONG
                return
            if self.postgres.lsn <= lsn or timeline > self.postgres.timeline:
                return
        if self.pace.never_promotes:
            return
        if self.pace.lazy and NUDGE not in live["metadata"].get("annotations", {}):
            return
        self.looks += 1
        if self.looks > self.pace.promotion:
            self.looks = 0
            self.postgres.promote()
            for database in self._databases():
                database["status"] = {"applied": False, "message": WAITING, "observedGeneration": 1}

    def _reconcile_databases(self) -> None:
        """Look at every Database whose status says that this generation was not seen."""
        for database in self._databases():
            if dig(database, "status", "observedGeneration") == 0 and not self.postgres.recovering:
                database["status"] = {"applied": True, "observedGeneration": 1}

    def _databases(self) -> list[Object]:
        prefix = path_of(DATABASE, SPACE)
        return [each for path, each in self.objects.items() if path.startswith(prefix)]

    def _condition(self, status: Object, kind: str, value: str) -> None:
        entry = condition(self.cluster, kind)
        if not entry:
            status.setdefault("conditions", []).append({"type": kind, "status": value})
        entry["status"] = value

    def _denied(self, message: str) -> httpx2.Response:
        denied = f'admission webhook "vcluster.cnpg.io" denied the request: Cluster "{self.name}"'
        return failure(422, "Invalid", f"{denied} is invalid: {message}")
