"""Values that Kubernetes, cert-manager, S3 or DNS will parse, checked before they get there."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Annotated, Any

from pydantic import Field

from pgaas.config.models.base import Check

QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?")
DURATION_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h)")
DURATION_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600}
RETENTION = re.compile(r"[1-9][0-9]{0,4}[dwm]")
PROMETHEUS_DURATION = re.compile(r"[1-9][0-9]{0,5}(ms|s|m|h|d|w|y)")
DNS_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
IPV4 = re.compile(r"[0-9]+(\.[0-9]+){3}")
IMAGE = re.compile(
    r"[a-z0-9][a-z0-9.-]*(:[0-9]{1,5})?(/[a-z0-9]+([._-]+[a-z0-9]+)*)+"
    r":(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})(@sha256:[0-9a-f]{64})?"
)
REGION = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
ANNOTATION_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
# As CODEOWNERS takes it on GitHub and GitLab: @user, @group/team, @@role of GitLab, an e-mail address.
OWNER = re.compile(
    r"@{1,2}[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?(/[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?)*"
    r"|[A-Za-z0-9][A-Za-z0-9._%+-]*@[A-Za-z0-9.-]+"
)
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
# Names are put before these; what a DNS name may hold in all is 253.
DNS_SUFFIX_LIMIT = 140
CRON_FIELDS = (
    ("second", 0, 59, ()),
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of month", 1, 31, ()),
    ("month", 1, 12, ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]),
    ("day of week", 0, 6, ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]),
)


def _number_as_text(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    return str(value)


def check_quantity(value: str) -> str:
    """Return a Kubernetes quantity above zero. Raise ValueError if it is none."""
    found = QUANTITY.fullmatch(value)
    if not found:
        raise ValueError(f"{value!r} is not a Kubernetes quantity such as 500m, 512Mi or 5Gi")
    if not float(found[1]):
        raise ValueError(f"{value!r} must be above zero")
    return value


def check_size(value: str) -> str:
    """Return a quantity of whole bytes. Raise ValueError if it is none."""
    check_quantity(value)
    if value.endswith(("m", "n", "u")):
        raise ValueError(f"{value!r} is a fraction of a byte: did you mean {value[:-1]}Mi?")
    return value


def quantity_value(value: str) -> float:
    """Return a valid quantity as a number, to compare two of them."""
    found = QUANTITY.fullmatch(value)
    assert found, value
    suffix = value[found.end(1) :]
    if suffix[:1] in ("e", "E") and len(suffix) > 1 and suffix != "Ei":
        return float(value)
    powers = {"n": -3, "u": -2, "m": -1, "": 0, "k": 1, "M": 2, "G": 3, "T": 4, "P": 5, "E": 6}
    if suffix.endswith("i"):
        return float(found[1]) * 1024.0 ** " KMGTPE".index(suffix[0])
    return float(found[1]) * 1000.0 ** powers[suffix]


def duration_seconds(value: str) -> float:
    """Return a Go duration in seconds. Raise ValueError if it is none."""
    end, seconds = 0, 0.0
    while found := DURATION_PART.match(value, end):
        seconds += float(found[1]) * DURATION_SECONDS[found[2]]
        end = found.end()
    if end != len(value) or not value:
        raise ValueError(f"{value!r} is not a duration such as 2160h or 1h30m (its largest unit is h)")
    return seconds


def check_duration(value: str) -> str:
    """Return a Go duration above zero. Raise ValueError if it is none."""
    if not duration_seconds(value):
        raise ValueError(f"{value!r} must be above zero")
    return value


def _matching(pattern: re.Pattern[str], example: str) -> Callable[[str], str]:
    def check(value: str) -> str:
        if not pattern.fullmatch(value):
            raise ValueError(f"{value!r} is not {example}")
        return value

    return check


def check_schedule(value: str) -> str:
    """Return a schedule of six fields, seconds first. Raise ValueError if it is none."""
    fields = value.split()
    if len(fields) != len(CRON_FIELDS):
        raise ValueError(f"{value!r} has {len(fields)} fields, not six: second minute hour day month weekday")
    for text, (name, low, high, names) in zip(fields, CRON_FIELDS, strict=True):
        for item in text.split(","):
            _check_cron_item(item, name, low, high, names)
    return value


def _check_cron_item(item: str, name: str, low: int, high: int, names: Sequence[str]) -> None:
    body, slash, step = item.partition("/")
    if slash and not (step.isascii() and step.isdigit() and 0 < int(step[:9]) <= max(high, 1)):
        raise ValueError(f"{item!r} is not a {name}: the step after / must be 1 to {high}")
    if body == "*" or (body == "?" and name.startswith("day")):
        return
    first, dash, last = body.partition("-")
    bounds = [_cron_number(part, names, low) for part in ((first, last) if dash else (first,))]
    if any(bound is None or not low <= bound <= high for bound in bounds) or bounds != sorted(
        bounds, key=str_key
    ):
        raise ValueError(f"{item!r} is not a {name} from {low} to {high}")


def str_key(value: int | None) -> int:
    """Sort what is no number first."""
    return -1 if value is None else value


def _cron_number(text: str, names: Sequence[str], low: int) -> int | None:
    if text.isascii() and text.isdigit() and len(text) <= 4:
        return int(text)
    return names.index(text.lower()) + low if text.lower() in names else None


def check_dns_name(value: str) -> str:
    """Return a lower-case DNS name. Raise ValueError if it is none."""
    if len(value) > 253 or not all(DNS_LABEL.fullmatch(label) for label in value.split(".")):
        raise ValueError(
            f"{value!r} is not a DNS name: lower-case letters, digits and '-', in labels of 1 to 63"
        )
    return value


def check_dns_suffix(value: str) -> str:
    """Return a DNS name short enough to put names before it. Raise ValueError if it is too long."""
    if len(value) > DNS_SUFFIX_LIMIT:
        raise ValueError(
            f"has {len(value)} characters: names are put before it, so at most {DNS_SUFFIX_LIMIT}"
        )
    return check_dns_name(value)


def check_bucket(value: str) -> str:
    """Return a bucket's name. Raise ValueError if S3 would refuse it."""
    if not BUCKET.fullmatch(value) or ".." in value or IPV4.fullmatch(value):
        raise ValueError(
            f"{value!r} is not a bucket name: 3 to 63 lower-case letters, digits, '.', '-', and no address"
        )
    return value


def check_cidr(value: str) -> str:
    """Return a network such as 10.0.0.0/8. Raise ValueError if it is none, or a host inside of one."""
    import ipaddress

    if "/" not in value:
        raise ValueError(f"{value!r} is not a network such as 10.0.0.0/8")
    try:
        network = ipaddress.ip_network(value, strict=False)
    except ValueError:
        raise ValueError(f"{value!r} is not a network such as 10.0.0.0/8") from None
    if str(network.network_address) != value.split("/")[0] or str(network) != value:
        raise ValueError(f"{value!r} must be written as {network}")
    return value


def _url(schemes: tuple[str, ...], example: str) -> Callable[[str], str]:
    def check(value: str) -> str:
        from urllib.parse import urlsplit

        try:
            parts = urlsplit(value)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            raise ValueError(f"{value!r} is not a URL such as {example}") from None
        plain = value.isascii() and not CONTROL.search(value) and not set(value) & set(" \"'<>\\^`{|}")
        if not plain or parts.scheme not in schemes or not host or port == 0:
            raise ValueError(f"{value!r} is not a URL such as {example}")
        if parts.username is not None:
            raise ValueError("must not hold a user name or a password")
        if parts.path.strip("/") or parts.query or parts.fragment:
            raise ValueError(f"{value!r} must end after the host and port")
        if not host.startswith(tuple("0123456789")) and ":" not in host:
            check_dns_name(host)
        return value

    return check


def check_image(value: str) -> str:
    """Return a container image with its tag. Raise ValueError if it has none, or one that moves by design."""
    found = IMAGE.fullmatch(value)
    if not found:
        raise ValueError(
            f"{value!r} is not an image with a tag, such as registry.example.com/postgresql:17.11"
        )
    if not re.match(r"[0-9]+(\.|-|$)", found["tag"]):
        raise ValueError(f"the tag {found['tag']!r} must begin with the PostgreSQL version")
    return value


def image_major(image: str) -> int:
    """Return the PostgreSQL major version that a valid image's tag begins with."""
    found = IMAGE.fullmatch(image)
    number = re.match(r"[0-9]+", found["tag"]) if found else None
    assert number, image
    return int(number[0])


def check_line(value: str) -> str:
    """Return text without line breaks or control characters. Raise ValueError if it is empty or has some.

    The text is not repeated in the message: it may be a secret.
    """
    if not value.strip():
        raise ValueError("is empty")
    if CONTROL.search(value):
        raise ValueError("holds a line break or a control character")
    return value


def check_distinguished_name(value: str) -> str:
    """Return an LDAP distinguished name. Raise ValueError if it is none."""
    check_line(value)
    # A comma behind a backslash belongs to the value.
    for part in re.split(r"(?<!\\),", value):
        if not re.fullmatch(r"\s*[A-Za-z0-9.-]+\s*=\s*\S.*", part):
            raise ValueError(f"{value!r} is not a distinguished name such as ou=people,dc=example,dc=com")
    return value


def check_search_filter(value: str) -> str:
    """Return an LDAP filter that pgAdmin can AND with its own. Raise ValueError if it is none."""
    check_line(value)
    if "{" in value.replace("{ins}", ""):
        raise ValueError(
            f"{value!r}: only {{ins}}, the client's code, is filled in, and pgAdmin adds (uid=LOGIN) itself"
        )
    depths = list(accumulate((character == "(") - (character == ")") for character in value))
    if not value.endswith(")") or depths[-1] != 0 or min(depths[:-1], default=0) < 1:
        raise ValueError(f"{value!r} is not an LDAP filter in parentheses, such as (objectclass=person)")
    return value


def check_annotation(value: str) -> str:
    """Return the name of an annotation. Raise ValueError if Kubernetes would refuse it."""
    prefix, slash, name = value.rpartition("/")
    if slash:
        check_dns_name(prefix)
    if not ANNOTATION_NAME.fullmatch(name):
        raise ValueError(f"{value!r} is not the name of an annotation")
    return value


def check_text(value: str) -> str:
    """Return text without control characters. Raise ValueError if it has some."""
    if CONTROL.search(value):
        raise ValueError("holds a line break or a control character")
    return value


Quantity = Annotated[str, Check(check_quantity, _number_as_text)]
Size = Annotated[str, Check(check_size, _number_as_text)]
Duration = Annotated[str, Check(check_duration)]
Retention = Annotated[str, Check(_matching(RETENTION, "a retention such as 14d, 4w or 3m"))]
PrometheusDuration = Annotated[str, Check(_matching(PROMETHEUS_DURATION, "a duration such as 30s or 15d"))]
Schedule = Annotated[str, Check(check_schedule)]
DnsLabel = Annotated[str, Check(_matching(DNS_LABEL, "a name of lower-case letters, digits and '-'"))]
DnsName = Annotated[str, Check(check_dns_name)]
DnsSuffix = Annotated[str, Check(check_dns_suffix)]
Bucket = Annotated[str, Check(check_bucket)]
Cidr = Annotated[str, Check(check_cidr)]
HttpUrl = Annotated[str, Check(_url(("http", "https"), "https://s3.example.com:9000"))]
LdapUrl = Annotated[str, Check(_url(("ldap", "ldaps"), "ldaps://ldap.example.com:636"))]
Image = Annotated[str, Check(check_image)]
Region = Annotated[str, Check(_matching(REGION, "a region such as eu-west-1"))]
Line = Annotated[str, Check(check_line)]
Text = Annotated[str, Check(check_text)]
DistinguishedName = Annotated[str, Check(check_distinguished_name)]
SearchFilter = Annotated[str, Check(check_search_filter)]
Owner = Annotated[str, Check(_matching(OWNER, "an owner such as @user, @group/team or team@example.com"))]
AnnotationName = Annotated[str, Check(check_annotation)]
Port = Annotated[int, Field(ge=1, le=65535)]
