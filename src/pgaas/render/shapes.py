"""What values are made of: the types that a string may be, and the parts that both charts share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Never, Self, dataclass_transform

from pydantic import Field

from pgaas.config.models.base import camel_case

# Second nets: `config` has checked every name already, with the file and line at hand. Pydantic, Helm and
# jsonschema each bring a regular expression engine of their own, so these keep to what all three share.
_ROLE = "[a-z_][a-z0-9_-]*"
_COMMON_NAME = "[A-Za-z0-9_][A-Za-z0-9_.-]*"
_LABEL = "[a-z0-9]([a-z0-9-]*[a-z0-9])?"
_NUMBER = r"([0-9]+(\.[0-9]*)?|\.[0-9]+)"

ClusterName = Annotated[str, Field(pattern="^[a-z]([a-z0-9-]*[a-z0-9])?$", max_length=50)]
Label = Annotated[str, Field(pattern=f"^{_LABEL}$", max_length=63)]
ObjectName = Annotated[str, Field(pattern=f"^{_LABEL}$", max_length=253)]
DnsName = Annotated[str, Field(pattern=rf"^{_LABEL}(\.{_LABEL})*$", max_length=253)]
Identifier = Annotated[str, Field(pattern=f"^{_ROLE}$", max_length=63)]
CommonName = Annotated[str, Field(pattern=f"^{_COMMON_NAME}$", max_length=64)]
HbaRule = Annotated[
    str, Field(pattern=f"^(hostssl {_ROLE} {_ROLE} all cert map=pgaas|host all all all reject)$")
]
IdentRule = Annotated[str, Field(pattern=f"^pgaas {_COMMON_NAME} {_ROLE}$")]
Duration = Annotated[str, Field(pattern=f"^({_NUMBER}(ns|us|µs|ms|s|m|h))+$")]
Quantity = Annotated[str, Field(pattern=f"^{_NUMBER}([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?$")]
# A commit of the clients' repository, or nothing.
Revision = Annotated[str, Field(pattern="^(([0-9a-f]{40}|[0-9a-f]{64})(-dirty)?)?$")]
Count = Annotated[int, Field(ge=1)]
TeamEnvironment = Literal["local", "hp", "perf", "pprod", "prod"]


@dataclass_transform(kw_only_default=True, frozen_default=True)
class Values:
    """A part of the values: made of its fields by name, and never changed.

    `keys` maps each field to its key in the file, which is its name in camelCase if the class says nothing
    else. These are no pydantic models, which would take a tenth of the time of every short command to make:
    `schema` makes models of them, and mypy checks who fills them.
    """

    keys: ClassVar[Mapping[str, str]]
    _needed: ClassVar[frozenset[str]]

    def __init_subclass__(cls, spelt: Mapping[str, str] | None = None) -> None:
        names = cls.__annotations__
        cls.keys = {name: camel_case(name) for name in names} | dict(spelt or {})
        cls._needed = frozenset(name for name in names if not hasattr(cls, name))

    def __init__(self, **fields: Any) -> None:
        if not self._needed <= fields.keys() <= self.keys.keys():
            raise TypeError(f"{type(self).__name__} does not take just these: {', '.join(fields)}")
        self.__dict__.update(fields)

    def __setattr__(self, name: str, value: Never) -> Never:
        raise AttributeError(f"{type(self).__name__} can't be changed")

    def but(self, **fields: Any) -> Self:
        """Return the same part with other values of some fields."""
        return type(self)(**{**self.__dict__, **fields})

    def plain(self) -> dict[str, Any]:
        """Return a part of the values as plain maps and lists, with the keys of the file."""
        return {key: _plain(getattr(self, name)) for name, key in self.keys.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Values):
        return value.plain()
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return dict(value) if isinstance(value, dict) else value


class TargetValues(Values):
    """Whose cluster this is; `team_env` is the admin folder (local, hp, perf, pprod, prod)."""

    ins: Label
    env: Label
    dc: Label
    team_env: TeamEnvironment


class Resources(Values):
    """Requests and limits, as Kubernetes takes them."""

    requests: dict[str, Quantity]
    limits: dict[str, Quantity]


class AllowedNetwork(Values, spelt={"excepted": "except"}):
    """A network outside Kubernetes, without the pods' own networks that lie in it."""

    cidr: str
    excepted: list[str]
