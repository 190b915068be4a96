"""What all models of files share."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core.core_schema import (
    CoreSchema,
    no_info_after_validator_function,
    no_info_before_validator_function,
)

# pydantic would look for plugins in the metadata of every installed package, at every start.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")


def camel_case(name: str) -> str:
    """Return a field's name as a file spells it."""
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))


class FileModel(BaseModel):
    """A map in a file: camelCase keys, no unknown ones, and no guessing at types.

    Validators are built at first use, so that a command pays only for the files it reads. The modules of
    models leave annotations as they are, not as text, which pydantic would have to evaluate at every start.
    """

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, alias_generator=camel_case, defer_build=True
    )


def unset(model: type[FileModel]) -> Any:
    """Return the default of a field whose map the file leaves out: the model's own defaults.

    As `Field(default_factory=model)`, without building a validator for the model alone.
    """
    return Field(default_factory=model.model_construct)


class Check:
    """Pass a value of a field through a function that returns it or raises ValueError.

    As pydantic's AfterValidator and BeforeValidator, without their look at the function's signature.
    """

    def __init__(self, after: Callable[[Any], Any], before: Callable[[Any], Any] | None = None) -> None:
        self.after = after
        self.before = before

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], CoreSchema]) -> CoreSchema:
        """Wrap the field's own schema."""
        schema: CoreSchema = no_info_after_validator_function(self.after, handler(source))
        return no_info_before_validator_function(self.before, schema) if self.before else schema
