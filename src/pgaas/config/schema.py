"""JSON Schemas of the files that people write, made from their models, for editors and for other programs.

A schema never refuses what pgaas takes. What it can't say is left to pgaas: how entries fit together, and
what the platform team offers. The descriptions are the texts below each field of the models, which cost
nothing until they are read from the source here.
"""

from __future__ import annotations

import ast
import inspect
import json
import sys
import textwrap
from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

from pgaas.config import parameters
from pgaas.config.admin import file_models
from pgaas.config.forms import FORMS, NUMBER_FORMS, parameter_forms
from pgaas.config.models.base import camel_case
from pgaas.config.models.user import UserFile

DIALECT = "https://json-schema.org/draft/2020-12/schema"
# By this line a schema that is no longer fresh can be told from one that a person wrote.
COMMENT = "Made by `pgaas schema`: edits will be lost."
USER_SCHEMA = "databases"
ABBREVIATIONS = {"s3": "S3", "cn": "CN", "dns": "DNS", "ldap": "LDAP", "ca": "CA", "tls": "TLS", "wal": "WAL"}


def schema_models() -> dict[str, type[BaseModel]]:
    """Return each kind of file that people write, and its model."""
    return {USER_SCHEMA: UserFile, **file_models("local"), **file_models("prod")}


def schema_file(kind: str) -> str:
    """Return what the schema of a kind of file is called."""
    return f"{kind}.schema.json"


def schema_texts() -> dict[str, str]:
    """Return the content of every schema, by its file's name."""
    return {schema_file(kind): schema_text(kind, model) for kind, model in schema_models().items()}


def schema_text(kind: str, model: type[BaseModel]) -> str:
    """Return the content of one schema; the same models give the same bytes."""
    return json.dumps(file_schema(kind, model), indent=2, ensure_ascii=False) + "\n"


def file_schema(kind: str, model: type[BaseModel]) -> dict[str, Any]:
    """Return the schema of one kind of file."""
    schema = model.model_json_schema(schema_generator=Generator)
    models = {each.__name__: each for each in _models_below(model)}
    definitions = schema.get("$defs", {})
    for name, part in ((model.__name__, schema), *definitions.items()):
        _describe(models[name], part)
    first_line = (sys.modules[model.__module__].__doc__ or "").partition("\n")[0]
    heading = {"$schema": DIALECT, "$comment": COMMENT, "title": f"{kind}.yaml", "description": first_line}
    return {**heading, **{key: value for key, value in schema.items() if key not in heading}}


def _describe(model: type[BaseModel], part: dict[str, Any]) -> None:
    """Put titles and descriptions into the schema of one model."""
    part.pop("title", None)
    part["description"] = _one_line(model.__doc__ or "")
    texts = field_texts(model)
    for name, field in model.model_fields.items():
        key = field.alias or camel_case(name)
        assert name in texts, f"say below {model.__name__}.{name} what it is for"
        text = {"title": _title(name), "description": texts[name]}
        part["properties"][key] = {**text, **_without_titles(part["properties"][key])}


def field_texts(model: type[BaseModel]) -> dict[str, str]:
    """Return the text below each field of a model and of the models that it is made from."""
    texts: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if not issubclass(base, BaseModel) or base is BaseModel:
            continue
        (node,) = ast.parse(textwrap.dedent(inspect.getsource(base))).body
        assert isinstance(node, ast.ClassDef)
        for field, text in zip(node.body, node.body[1:], strict=False):
            if (
                isinstance(field, ast.AnnAssign)
                and isinstance(field.target, ast.Name)
                and isinstance(text, ast.Expr)
                and isinstance(text.value, ast.Constant)
            ):
                texts[field.target.id] = _one_line(str(text.value.value))
    return texts


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _title(name: str) -> str:
    words = [ABBREVIATIONS.get(word, word) for word in name.split("_")]
    return " ".join([words[0][:1].upper() + words[0][1:], *words[1:]])


def _without_titles(part: Any) -> Any:
    """Return a field's schema without the titles that pydantic makes up."""
    if isinstance(part, list):
        return [_without_titles(each) for each in part]
    if not isinstance(part, dict):
        return part
    return {key: _without_titles(value) for key, value in part.items() if key != "title"}


def _models_below(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    yield model
    for field in model.model_fields.values():
        for found in _models_in(field.annotation):
            yield from _models_below(found)


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)


class Generator(GenerateJsonSchema):
    """Say what our own checks take, of which pydantic knows nothing."""

    def function_after_schema(self, schema: Any) -> JsonSchemaValue:
        """Return the form that a check lets pass; KeyError is a check that `forms` does not know."""
        return dict(FORMS[schema["function"]["function"]])

    def function_before_schema(self, schema: Any) -> JsonSchemaValue:
        """Return what a check takes before it is made text, numbers for one."""
        text = self.generate_inner(schema["schema"])
        return {"anyOf": [text, *NUMBER_FORMS[schema["function"]["function"]]]}

    def dict_schema(self, schema: Any) -> JsonSchemaValue:
        """Return a map whose keys are checked; pydantic would take any beside those of a pattern."""
        keys = self.generate_inner(schema["keys_schema"])
        values = self.generate_inner(schema["values_schema"])
        result: JsonSchemaValue = {"type": "object", "additionalProperties": values}
        if {key for key in keys if key not in ("type", "title")}:
            result["propertyNames"] = keys
        if keys == FORMS[parameters.check_parameter_name]:
            result["properties"] = parameter_forms()
        if "min_length" in schema:
            result["minProperties"] = schema["min_length"]
        return result
