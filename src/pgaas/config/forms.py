"""What each of our checks lets pass, as JSON Schema says it.

A form may take more than its check, and never less: an editor that complains of what pgaas takes is worse
than one that is silent. Patterns keep to what the regular expressions of JavaScript and Python share.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from pgaas.config import identifiers, parameters
from pgaas.config.models import datacenters, observability, types, user

Form = dict[str, Any]
_NAMED_GROUP = re.compile(r"\(\?P<[a-z_]+>")
_CONTROL = r"\x00-\x1f\x7f-\x9f\u2028\u2029"
_LABEL = types.DNS_LABEL.pattern
# A number with a digit above zero before its unit.
_ABOVE_ZERO = r"(?=[0-9.]*[1-9])"
DNS_NAME_LIMIT = 253


def whole(pattern: str, **more: Any) -> Form:
    """Return the form of a text that matches from its begin to its end."""
    return {"type": "string", "pattern": f"^(?:{_NAMED_GROUP.sub('(', pattern)})$", **more}


def _of(annotated: Any) -> Callable[[str], str]:
    """Return the check of a type that is `Annotated[str, Check(…)]`."""
    check: Callable[[str], str] = annotated.__metadata__[0].after
    return check


def _identifier(reserved: set[str]) -> Form:
    prefixes = "|".join(identifiers.RESERVED_PREFIXES)
    pattern = f"(?!{prefixes}){identifiers.IDENTIFIER.pattern}"
    names = sorted(reserved | identifiers.HBA_KEYWORDS)
    return whole(pattern, maxLength=identifiers.IDENTIFIER_LIMIT, **{"not": {"enum": names}})


_LINE = whole(rf"[^{_CONTROL}]*\S[^{_CONTROL}]*")
_TEXT = whole(rf"[^{_CONTROL}]*")
_DNS_NAME = whole(rf"{_LABEL}(\.{_LABEL})*", maxLength=DNS_NAME_LIMIT)
# An empty path, query or fragment is none.
_URL = r"://[^\s/?#@]+[/?#]*"

FORMS: dict[Callable[..., Any], Form] = {
    types.check_quantity: whole(_ABOVE_ZERO + types.QUANTITY.pattern),
    types.check_size: whole(_ABOVE_ZERO + r"(?!.*[mnu]$)" + types.QUANTITY.pattern),
    types.check_duration: whole(f"(?=.*[1-9])({types.DURATION_PART.pattern})+"),
    types.check_schedule: whole(r"\s*\S+(\s+\S+){5}\s*"),
    types.check_dns_name: _DNS_NAME,
    types.check_dns_suffix: {**_DNS_NAME, "maxLength": types.DNS_SUFFIX_LIMIT},
    types.check_bucket: whole(rf"(?!.*\.\.)(?!{types.IPV4.pattern}$){types.BUCKET.pattern}"),
    types.check_cidr: whole(r"[0-9a-f:.]+/[0-9]{1,3}"),
    types.check_image: whole(types.IMAGE.pattern.replace("(?P<tag>", "(?=[0-9]+([.-]|$|@))(", 1)),
    types.check_line: _LINE,
    types.check_text: _TEXT,
    types.check_distinguished_name: whole(rf"\s*[A-Za-z0-9.-]+\s*=\s*\S[^{_CONTROL}]*"),
    types.check_search_filter: whole(rf"\([^{_CONTROL}]*\)"),
    types.check_annotation: whole(rf"({_LABEL}(\.{_LABEL})*/)?{types.ANNOTATION_NAME.pattern}"),
    _of(types.Retention): whole(types.RETENTION.pattern),
    _of(types.PrometheusDuration): whole(types.PROMETHEUS_DURATION.pattern),
    _of(types.DnsLabel): whole(_LABEL),
    _of(types.Region): whole(types.REGION.pattern),
    _of(types.Owner): whole(types.OWNER.pattern),
    _of(types.HttpUrl): whole(f"[hH][tT][tT][pP][sS]?{_URL}"),
    _of(types.LdapUrl): whole(f"[lL][dD][aA][pP][sS]?{_URL}"),
    datacenters.check_environment_variable: whole(datacenters.ENVIRONMENT_VARIABLE.pattern),
    datacenters.check_nameserver: whole(r"[0-9a-fA-F:.]+|\[[0-9a-fA-F:.]+\](:[0-9]{1,5})?"),
    datacenters.check_host: whole(rf"[0-9a-fA-F:.]+|{_LABEL}(\.{_LABEL})*"),
    observability.check_host_and_port: whole(r"\S+:[0-9]{1,5}"),
    observability.check_write_url: whole(observability.WRITE_URL.pattern),
    parameters.check_parameter_name: whole(
        parameters.PARAMETER_NAME.pattern, **{"not": {"enum": sorted(parameters.FIXED_PARAMETERS)}}
    ),
    user.check_role_name: _identifier(
        {*identifiers.RESERVED_ROLES, identifiers.CERTIFICATE_AUTHORITY_ROLE},
    ),
    user.check_database_name: _identifier({*identifiers.RESERVED_DATABASES}),
}

# What else than text a check takes, by what it does before.
NUMBER_FORMS: dict[Callable[..., Any], list[Form]] = {
    types._number_as_text: [{"type": "number", "exclusiveMinimum": 0}],
    parameters.parameter_text: [{"type": "number"}, {"type": "boolean"}],
}
_PARAMETER_NUMBERS: dict[str, list[Form]] = {
    parameters.MEMORY: [{"type": "number"}],
    parameters.TIME: [{"type": "number"}],
    parameters.INTEGER: [{"type": "integer"}],
    parameters.NUMBER: [{"type": "number"}],
    parameters.BOOLEAN: [{"type": "boolean"}, {"enum": [0, 1]}],
}


def parameter_forms() -> dict[str, Form]:
    """Return the forms of those PostgreSQL parameters whose values are checked."""
    return {
        name: {
            "description": f"{name}: {parameters.KIND_PATTERNS[kind][1]}.",
            "anyOf": [whole(_any_case(parameters.KIND_PATTERNS[kind][0])), *_PARAMETER_NUMBERS[kind]],
        }
        for name, kind in sorted(parameters.PARAMETER_KINDS.items())
    }


def _any_case(pattern: str) -> str:
    """Return a pattern that begins with (?i: as one that every engine knows."""
    inner = pattern.removeprefix("(?i:")
    if inner == pattern:
        return pattern
    return "(" + re.sub("[a-z]", lambda found: f"[{found[0]}{found[0].upper()}]", inner)
