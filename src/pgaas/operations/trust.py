"""Trust between datacenters: on each side a bundle of all client CAs, and one of all servers' roots."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pgaas.config.naming import client_ca_bundle_name, server_ca_bundle_name
from pgaas.errors import KubernetesError
from pgaas.kube.client import Api
from pgaas.kube.resources import CONFIG_MAP, SECRET, Object, dig
from pgaas.kube.trust import Authority, days_left, pem_of, read_authorities, unique
from pgaas.operations.subject import Subject

CLIENT, SERVER = "client", "server"
PURPOSES = (CLIENT, SERVER)
KEY = "ca.crt"
RELOAD = "cnpg.io/reload"
# Which datacenter each certificate of a bundle came from: a datacenter that is down cannot be asked.
ORIGINS = "pgaas.io/trusted-from"
TRUSTED, MISSING, KEPT, UNWANTED = "trusted", "missing", "kept", "not wanted"
REASONS = {MISSING: "is missing", UNWANTED: "is one that no datacenter has any more"}


@dataclass(frozen=True)
class Entry:
    """A CA that a bundle holds or should hold; `datacenter` is empty if nobody knows whose it is.

    `state` is trusted, missing, not wanted, or kept: its datacenter could not be asked, or has none now.
    """

    datacenter: str
    subject: str
    fingerprint: str
    not_after: str
    days_left: int
    state: str


@dataclass(frozen=True)
class Bundle:
    """A bundle for one purpose: `client` holds whom PostgreSQL lets in, `server` whom clients believe."""

    purpose: str
    name: str
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class TrustState:
    """What one side trusts. With an `error` it could not be looked at, and nothing else is known.

    `created` says whether it has a client CA of its own; `days_left` is of the CA that ends first.
    """

    datacenter: str
    cluster: str
    created: bool = False
    stale: bool = False
    detail: str = ""
    error: str = ""
    days_left: int | None = None
    bundles: tuple[Bundle, ...] = ()


@dataclass(frozen=True)
class Written:
    """A bundle that was written, or with an `error` could not be; what it has gained and lost."""

    datacenter: str
    purpose: str
    name: str
    added: tuple[Entry, ...] = ()
    removed: tuple[Entry, ...] = ()
    error: str = ""


@dataclass(frozen=True)
class Holding:
    """A bundle as it is; `broken` says why what is in it counts for nothing."""

    live: Object | None = None
    authorities: tuple[Authority, ...] = ()
    origins: Mapping[str, str] = field(default_factory=dict)
    broken: str = ""


@dataclass(frozen=True)
class Side:
    """One look at a datacenter: what it has of its own, and what its bundles hold."""

    subject: Subject
    api: Api | None = None
    error: str = ""
    own: Mapping[str, tuple[Authority, ...]] = field(default_factory=dict)
    holdings: Mapping[str, Holding] = field(default_factory=dict)

    @property
    def created(self) -> bool:
        """Whether this side has a client CA, without which it is not there yet."""
        return bool(self.own.get(CLIENT))

    @property
    def writable(self) -> bool:
        """Whether bundles may be written here."""
        return self.api is not None and not self.error and self.created


Wanted = tuple[tuple[Authority, str], ...]


def look_at_trust(
    subjects: Mapping[str, Subject], apis: Mapping[str, Api | str], *, now: datetime | None = None
) -> dict[str, TrustState]:
    """Return what each side's bundles hold and should hold; never raise for a side that cannot be read.

    Both mappings are by datacenter; a text in place of an API says why there is none.
    """
    sides = look_at_sides(subjects, apis)
    return {dc: state_of(sides, dc, now or datetime.now(UTC)) for dc in sides}


def write_trust(subjects: Mapping[str, Subject], apis: Mapping[str, Api | str]) -> list[Written]:
    """Make every side's bundles hold what they should; return those that changed or could not be written.

    Sides that cannot be read are left out, and what others have of them stays.
    """
    sides = look_at_sides(subjects, apis)
    return write_sides(sides, sides)


def look_at_sides(subjects: Mapping[str, Subject], apis: Mapping[str, Api | str]) -> dict[str, Side]:
    """Look at all sides at once."""
    if not subjects:
        return {}
    with ThreadPoolExecutor(len(subjects)) as pool:
        looks = {dc: pool.submit(look_at_side, subject, apis[dc]) for dc, subject in subjects.items()}
        return {dc: look.result() for dc, look in looks.items()}


def look_at_side(subject: Subject, api: Api | str) -> Side:
    """Look at one side; what keeps it from being read becomes its `error`."""
    if isinstance(api, str):
        return Side(subject, error=api)
    certificates = subject.values.certificates
    try:
        authority = authorities_in(subject, api, certificates.client_ca)
        own = {
            # The second differs while a new CA is there, and what the old one signed is still in use.
            CLIENT: unique((*authority, *authorities_in(subject, api, certificates.replication)))
            if authority
            else (),
            SERVER: authorities_in(subject, api, certificates.server.name),
        }
        holdings = {purpose: _holding(subject, api, purpose) for purpose in PURPOSES}
    except KubernetesError as error:
        return Side(subject, api, error=error.what)
    return Side(subject, api, own=own, holdings=holdings)


def bundle_name(subject: Subject, purpose: str) -> str:
    """Return the name of a side's bundle: a Secret for clients' CAs, a ConfigMap for servers' roots."""
    name = client_ca_bundle_name if purpose == CLIENT else server_ca_bundle_name
    return name(subject.target)


def wanted(sides: Mapping[str, Side], dc: str, purpose: str, *, keep: bool = False) -> Wanted:
    """Return what a side's bundle should hold, and which datacenter each comes from.

    Clients' CAs begin with the side's own, servers' roots are in the same order everywhere. Of a datacenter
    that could not be read or has no CA the bundle keeps what it has; with `keep` it keeps all that it has.
    """
    order = list(sides) if purpose == SERVER else [dc, *(other for other in sides if other != dc)]
    holding = sides[dc].holdings.get(purpose, Holding())
    silent = {other for other, side in sides.items() if side.error or not side.own.get(purpose)}
    found: list[tuple[Authority, str]] = []
    for other in order:
        if other not in silent:
            found += [(authority, other) for authority in sides[other].own[purpose]]
        else:
            found += [(each, other) for each in holding.authorities if _origin(holding, each) == other]
    rest = [each for each in holding.authorities if keep or (silent and not _origin(holding, each))]
    found += [(each, _origin(holding, each)) for each in rest]
    origin_of: dict[str, str] = {}
    for authority, origin in found:
        origin_of.setdefault(authority.identity, origin)
    return tuple((each, origin_of[each.identity]) for each in unique(authority for authority, _ in found))


def state_of(sides: Mapping[str, Side], dc: str, now: datetime) -> TrustState:
    """Return what a side trusts, beside what it should."""
    side = sides[dc]
    cluster = side.subject.cluster
    if side.error:
        return TrustState(dc, cluster, error=side.error)
    bundles = tuple(
        Bundle(purpose, bundle_name(side.subject, purpose), _entries(sides, dc, purpose, now))
        for purpose in PURPOSES
    )
    days = [entry.days_left for bundle in bundles for entry in bundle.entries]
    problems = _problems(side, bundles) if side.created else []
    return TrustState(
        datacenter=dc,
        cluster=cluster,
        created=side.created,
        stale=bool(problems),
        detail="; ".join(problems) or ("as it should be" if side.created else "no client CA yet"),
        days_left=min(days, default=None),
        bundles=bundles,
    )


def write_sides(sides: Mapping[str, Side], only: Collection[str], *, keep: bool = False) -> list[Written]:
    """Write the bundles of the sides named where they differ; `keep` adds, and takes nothing away."""
    results = []
    for dc in (dc for dc in sides if dc in only and sides[dc].writable):
        for purpose in PURPOSES:
            result = _write(sides, dc, purpose, wanted(sides, dc, purpose, keep=keep))
            results += [result] if result else []
    return results


def _write(sides: Mapping[str, Side], dc: str, purpose: str, content: Wanted) -> Written | None:
    """Write one bundle; return None if it is what it should be, or if there is nothing to put into it."""
    side = sides[dc]
    holding = side.holdings[purpose]
    bundle = _object(side.subject, purpose, content)
    if side.api is None or not content or _equal(holding.live, bundle):
        return None
    now = datetime.now(UTC)
    before = {authority.fingerprint for authority in holding.authorities}
    after = {authority.fingerprint for authority, _ in content}
    written = Written(
        dc,
        purpose,
        bundle_name(side.subject, purpose),
        tuple(
            _entry(each, origin, TRUSTED, now) for each, origin in content if each.fingerprint not in before
        ),
        tuple(
            _entry(each, _origin(holding, each), UNWANTED, now)
            for each in holding.authorities
            if each.fingerprint not in after
        ),
    )
    # Whoever wrote it since it was looked at knew more: the API server refuses then.
    version = dig(holding.live, "metadata", "resourceVersion")
    bundle["metadata"] |= {"resourceVersion": version} if version else {}
    try:
        # It is ours alone: what somebody else put into it is what has to be mended.
        side.api.apply(bundle, force=True)
    except KubernetesError as error:
        return Written(dc, purpose, written.name, error=error.what)
    return written


def _object(subject: Subject, purpose: str, content: Wanted) -> Object:
    """Return the Secret or ConfigMap as it should be."""
    origins: dict[str, list[str]] = {}
    for authority, origin in content:
        origins.setdefault(origin, []).append(authority.fingerprint)
    labels = {**subject.labels, "app.kubernetes.io/part-of": "pgaas"}
    text = pem_of(authority for authority, _ in content)
    metadata = {
        "name": bundle_name(subject, purpose),
        "namespace": subject.namespace,
        "labels": labels | ({RELOAD: ""} if purpose == CLIENT else {}),
        "annotations": {ORIGINS: json.dumps(origins, sort_keys=True)},
    }
    if purpose == SERVER:
        return {"apiVersion": "v1", "kind": CONFIG_MAP.kind, "metadata": metadata, "data": {KEY: text}}
    data = {KEY: base64.b64encode(text.encode()).decode()}
    return {"apiVersion": "v1", "kind": SECRET.kind, "type": "Opaque", "metadata": metadata, "data": data}


def _equal(live: Object | None, bundle: Object) -> bool:
    """Return whether a live bundle has what it should, whatever others have added to its metadata."""
    if live is None or dig(live, "data", KEY) != bundle["data"][KEY]:
        return False
    return all(
        (dig(live, "metadata", part, default={})).get(key) == value
        for part in ("labels", "annotations")
        for key, value in bundle["metadata"][part].items()
    )


def authorities_in(subject: Subject, api: Api, secret: str) -> tuple[Authority, ...]:
    """Return the CAs in the ca.crt of a Secret that cert-manager makes; none if it is not there yet."""
    found = api.get(SECRET, secret, subject.namespace)
    return read_authorities(_text(found, secret), f"{KEY} of Secret {subject.namespace}/{secret}")


def _holding(subject: Subject, api: Api, purpose: str) -> Holding:
    kind = SECRET if purpose == CLIENT else CONFIG_MAP
    name = bundle_name(subject, purpose)
    live = api.get(kind, name, subject.namespace)
    try:
        text = _text(live, name) if purpose == CLIENT else str(dig(live, "data", KEY, default=""))
        authorities = read_authorities(text, f"{KEY} of {kind.kind} {subject.namespace}/{name}")
    except KubernetesError as error:
        return Holding(live, broken=error.what)
    return Holding(live, authorities, _origins(live))


def _text(secret: Object | None, name: str) -> str:
    try:
        return base64.b64decode(str(dig(secret, "data", KEY, default="")), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise KubernetesError(f"{KEY} of Secret {name} is no text: {error}") from error


def _origins(live: Object | None) -> dict[str, str]:
    """Return which datacenter each fingerprint came from, as far as a bundle's annotation can be read."""
    try:
        noted = json.loads(str(dig(live, "metadata", "annotations", ORIGINS, default="{}")))
        return {str(each): str(dc) for dc, fingerprints in noted.items() for each in fingerprints}
    except (ValueError, AttributeError, TypeError):
        return {}


def _origin(holding: Holding, authority: Authority) -> str:
    return holding.origins.get(authority.fingerprint, "")


def _entries(sides: Mapping[str, Side], dc: str, purpose: str, now: datetime) -> tuple[Entry, ...]:
    """Return what a bundle should hold, in that order, then what it holds without need."""
    holding = sides[dc].holdings[purpose]
    held = {authority.fingerprint for authority in holding.authorities}
    content = wanted(sides, dc, purpose)
    entries = []
    for authority, origin in content:
        asked = origin in sides and not sides[origin].error and sides[origin].own.get(purpose)
        state = MISSING if authority.fingerprint not in held else TRUSTED if asked else KEPT
        entries.append(_entry(authority, origin, state, now))
    known = {authority.fingerprint for authority, _ in content}
    for authority in holding.authorities:
        if authority.fingerprint not in known:
            entries.append(_entry(authority, _origin(holding, authority), UNWANTED, now))
    return tuple(entries)


def _entry(authority: Authority, origin: str, state: str, now: datetime) -> Entry:
    ends = authority.not_after.strftime("%Y-%m-%dT%H:%M:%SZ")
    days = days_left(authority, now)
    return Entry(origin, authority.subject, authority.fingerprint, ends, days, state)


def _problems(side: Side, bundles: tuple[Bundle, ...]) -> list[str]:
    """Return in words in what a side's bundles are not what they should be."""
    problems = []
    for bundle in bundles:
        holding = side.holdings[bundle.purpose]
        wrong = [entry for entry in bundle.entries if entry.state in REASONS]
        if holding.broken:
            problems.append(holding.broken)
        elif holding.live is None and bundle.entries:
            problems.append(f"{bundle.name} is missing")
        elif wrong:
            problems += [f"{bundle.name}: {entry.subject} {_whose(entry)}" for entry in wrong]
        elif holding.live and bundle.purpose == CLIENT and _mislaid(side, holding.live):
            problems.append(
                f"{bundle.name}: PostgreSQL does not hear of its changes, or looks at another CA first"
            )
    return problems


def _whose(entry: Entry) -> str:
    return f"({entry.datacenter or 'whose it is, nobody knows'}) {REASONS[entry.state]}"


def _mislaid(side: Side, live: Object) -> bool:
    """Return whether a bundle that holds the right CAs lacks the reload label, or begins with another's."""
    first = side.holdings[CLIENT].authorities[0].identity
    labels = dig(live, "metadata", "labels", default={})
    return RELOAD not in labels or first != side.own[CLIENT][0].identity
