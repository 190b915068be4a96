"""What all models of files share."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class FileModel(BaseModel):
    """A map in a file: camelCase keys, no unknown ones, and no guessing at types.

    Validators are built at first use, so that a command pays only for the files it reads.
    """

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, alias_generator=to_camel, defer_build=True
    )
