"""Turn a document into a model, or into every issue it has."""

from __future__ import annotations

from typing import Any, TypeGuard, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from pgaas.config.environments import nearest
from pgaas.config.load import Document
from pgaas.config.scalars import shown
from pgaas.errors import ConfigIssue

Model = TypeVar("Model", bound=BaseModel)

SECRET_KEYS = frozenset(
    {"accessKey", "secretKey", "bindPassword", "adminPassword", "configPassword", "tsigSecret"}
)
# Lists and maps whose own elements are shown would fill the screen.
SIMPLE = (str, int, float, bool)


def validate(document: Document, model: type[Model]) -> tuple[Model | None, list[ConfigIssue]]:
    """Return a document as a model, or None and all of its issues, those of its YAML included."""
    issues = list(document.issues)
    if document.data is None:
        return None, issues
    try:
        return model.model_validate(document.data), issues
    except ValidationError as error:
        details = error.errors(include_url=False)
        return None, issues + [_issue(document, model, detail) for detail in details]


def validate_part(model: type[Model], value: Any) -> Model | None:
    """Return a part of a broken file as a model, without those of its keys that are broken, or None."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        broken = {detail["loc"][0] for detail in error.errors(include_url=False) if detail["loc"]}
    if not isinstance(value, dict) or not broken & value.keys():
        return None
    return validate_part(model, {key: part for key, part in value.items() if key not in broken})


def _issue(document: Document, model: type[BaseModel], detail: ErrorDetails) -> ConfigIssue:
    # A bad key is reported at KEY.[key], which is no path of the file.
    path = [part for part in detail["loc"] if part != "[key]"]
    return document.issue(path, _message(model, path, detail))


def _message(model: type[BaseModel], path: list[str | int], detail: ErrorDetails) -> str:
    kind, value = detail["type"], detail["input"]
    secret = bool(path) and path[-1] in SECRET_KEYS
    given = "" if secret else f", not {shown(value) if isinstance(value, SIMPLE) else _kind(value)}"
    if kind == "value_error":
        return str(detail["ctx"]["error"])
    if kind == "missing":
        return "is required"
    if kind == "extra_forbidden":
        keys = _keys_at(model, path[:-1])
        return f"is not a key here{nearest(str(path[-1]), keys) or ' (keys: ' + ', '.join(keys) + ')'}"
    if value is None:
        return "is empty: give a value, or leave the key out"
    texts = {
        "string_type": "must be text",
        "int_type": "must be a whole number",
        "bool_type": "must be true or false",
        "list_type": "must be a list",
        "dict_type": "must be a map (key: value)",
        "model_type": "must be a map (key: value)",
    }
    if kind in texts:
        return texts[kind] + given
    if kind == "literal_error":
        return f"must be {detail['ctx']['expected']}{given}"
    text = detail["msg"]
    return text[0].lower() + text[1:].replace("should", "must") if text.startswith("Input") else text


def _kind(value: Any) -> str:
    return "a list" if isinstance(value, list) else "a map" if isinstance(value, dict) else "nothing"


def _keys_at(model: type[BaseModel], path: list[str | int]) -> list[str]:
    """Return the keys that the map at a path may have, as the file spells them."""
    current: Any = model
    for part in path:
        current = _step(current, part)
    return [field.alias or "" for field in current.model_fields.values()] if _is_model(current) else []


def _step(annotation: Any, part: str | int) -> Any:
    """Return the annotation of a part of what an annotation describes."""
    if _is_model(annotation):
        fields = {field.alias: field.annotation for field in annotation.model_fields.values()}
        return _without_none(fields.get(str(part)))
    arguments = get_args(annotation)
    return _without_none(arguments[-1]) if get_origin(annotation) in (dict, list) else None


def _without_none(annotation: Any) -> Any:
    options = [option for option in get_args(annotation) if option is not type(None)]
    return options[0] if type(None) in get_args(annotation) else annotation


def _is_model(value: Any) -> TypeGuard[type[BaseModel]]:
    return isinstance(value, type) and issubclass(value, BaseModel)
