"""Checks a value of a request against its schema: the part of JSON Schema that the document uses
for requests.

A schema with another keyword is a bug: `check` raises KeyError.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from beanstalkd_py.http.api.errors import ApiError
from beanstalkd_py.http.api.schemas import COMPONENTS, Schema

_KINDS: dict[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
}


def invalid(message: str) -> ApiError:
    return ApiError(422, "invalid", message)


def check(value: Any, schema: Schema, where: str) -> None:
    """where: the name of the value, for the message. Raises ApiError."""
    for keyword, wanted in schema.items():
        if keyword not in ("description", "default"):
            _CHECKS[keyword](value, wanted, where, schema)


def converted(text: str, schema: Schema, where: str) -> Any:
    """A parameter of a path or a query, checked."""
    value: Any = text
    if schema["type"] == "integer":
        if not re.fullmatch("[0-9]{1,20}", text):
            raise invalid(f"{where} must be a number.")
        value = int(text)
    check(value, schema, where)
    return value


def with_defaults(values: Mapping[str, Any], schemas: Mapping[str, Schema]) -> dict[str, Any]:
    defaults = {name: each["default"] for name, each in schemas.items() if "default" in each}
    return {**defaults, **values}


def resolved(schema: Schema) -> Schema:
    """The schema itself, if this is a reference."""
    name = schema.get("$ref")
    return schema if name is None else COMPONENTS[name.rpartition("/")[2]]


def _type(value: Any, wanted: str, where: str, schema: Schema) -> None:
    if not _KINDS[wanted](value):
        article = "an" if wanted[0] in "aeiou" else "a"
        raise invalid(f"{where} must be {article} {wanted}.")
    if isinstance(value, str) and any("\ud800" <= each <= "\udfff" for each in value):
        raise invalid(f"{where} must not have a lone surrogate.")


def _enum(value: Any, wanted: list[str], where: str, schema: Schema) -> None:
    if value not in wanted:
        raise invalid(f"{where} must be one of: {', '.join(wanted)}.")


def _minimum(value: Any, wanted: int, where: str, schema: Schema) -> None:
    if value < wanted:
        raise invalid(f"{where} must be at least {wanted}.")


def _maximum(value: Any, wanted: int, where: str, schema: Schema) -> None:
    if value > wanted:
        raise invalid(f"{where} must be at most {wanted}.")


def _shortest(value: Any, wanted: int, where: str, schema: Schema) -> None:
    if len(value) < wanted:
        raise invalid(f"{where} is too short: at least {wanted}.")


def _longest(value: Any, wanted: int, where: str, schema: Schema) -> None:
    if len(value) > wanted:
        raise invalid(f"{where} is too long: at most {wanted}.")


def _pattern(value: Any, wanted: str, where: str, schema: Schema) -> None:
    if re.fullmatch(wanted, value) is None:
        raise invalid(f"{where} has characters that are not allowed there, or a wrong length.")


def _properties(value: Any, wanted: dict[str, Schema], where: str, schema: Schema) -> None:
    for name, part in value.items():
        if name not in wanted:
            raise invalid(f"{where} has an unknown name {name[:100]!r}.")
        check(part, wanted[name], name)


def _required(value: Any, wanted: list[str], where: str, schema: Schema) -> None:
    for name in wanted:
        if name not in value:
            raise invalid(f"{where} must have {name}.")


def _dependent(value: Any, wanted: dict[str, list[str]], where: str, schema: Schema) -> None:
    for name, needed in wanted.items():
        if name in value:
            _required(value, needed, f"{where} with {name}", schema)


def _items(value: Any, wanted: Schema, where: str, schema: Schema) -> None:
    for part in value:
        check(part, wanted, f"an item of {where}")


def _all(value: Any, wanted: list[Schema], where: str, schema: Schema) -> None:
    for each in wanted:
        check(value, each, where)


def _not(value: Any, wanted: Schema, where: str, schema: Schema) -> None:
    """Of names that exclude each other."""
    if all(name in value for name in wanted["required"]):
        raise invalid(f"{where} must not have all of: {', '.join(wanted['required'])}.")


def _nothing(value: Any, wanted: bool, where: str, schema: Schema) -> None:
    """`additionalProperties`: false in all our requests, and checked with the properties."""


_CHECKS: dict[str, Callable[[Any, Any, str, Schema], None]] = {
    "$ref": lambda value, wanted, where, schema: check(value, resolved(schema), where),
    "type": _type,
    "enum": _enum,
    "minimum": _minimum,
    "maximum": _maximum,
    "minLength": _shortest,
    "maxLength": _longest,
    "minItems": _shortest,
    "maxItems": _longest,
    "minProperties": _shortest,
    "pattern": _pattern,
    "properties": _properties,
    "additionalProperties": _nothing,
    "required": _required,
    "dependentRequired": _dependent,
    "items": _items,
    "allOf": _all,
    "not": _not,
}
