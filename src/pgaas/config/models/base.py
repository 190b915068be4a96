"""What all models of files share."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel
from pydantic_core.core_schema import (
    CoreSchema,
    no_info_after_validator_function,
    no_info_before_validator_function,
)

# pydantic would look for plugins in the metadata of every installed package, at every start.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")


class FileModel(BaseModel):
    """A map in a file: camelCase keys, no unknown ones, and no guessing at types.

    Validators are built at first use, so that a command pays only for the files it reads.
    """

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, alias_generator=to_camel, defer_build=True
    )


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
