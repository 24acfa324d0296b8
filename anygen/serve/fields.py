"""JSON objects of clients, read strictly: every key is known, every value is of its kind, and faults are named.

A schema is a dict that can be read: key -> what its value may be. `read_object` gives back the values that were sent.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from typing import Any

from anygen.errors import AnyGenError

Check = Callable[[Any, str], Any]
"""(value, where it stands) -> the value as it is used; raises `invalid_request` or `invalid_parameter`."""


def read_object(given: Any, schema: Mapping[str, Check], *, where: str, required: Collection[str] = ()) -> dict[str, Any]:
    """The values of an object by key; those that are null count as left out.

    Raises `invalid_request` for what is no object, for unknown keys and for missing ones, all of them named.
    """
    if not isinstance(given, Mapping):
        raise wrong_kind(where or "body", given, "an object")
    unknown = sorted(str(key) for key in given if key not in schema)
    missing = [key for key in required if given.get(key) is None]
    if unknown or missing:
        place = _join(where, (unknown or missing)[0][:100])
        raise AnyGenError(
            "invalid_request",
            f"{where or 'body'}: unknown {unknown}, missing {missing}; expected some of {', '.join(schema)}",
            where=place,
            expected=f"some of {', '.join(schema)}" if unknown else "a value",
        )
    return {key: schema[key](value, _join(where, key)) for key, value in given.items() if value is not None}


def anything(value: Any, where: str) -> Any:
    """Read elsewhere."""
    return value


def text(value: Any, where: str) -> str:
    """A string."""
    if not isinstance(value, str):
        raise wrong_kind(where, value, "a string")
    return value


def flag(value: Any, where: str) -> bool:
    """true or false."""
    if not isinstance(value, bool):
        raise wrong_kind(where, value, "true or false")
    return value


def number(low: float, high: float) -> Check:
    """A finite number within bounds."""

    def check(value: Any, where: str) -> float:
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not is_number or not math.isfinite(value) or not low <= value <= high:
            raise out_of_bounds(where, value, f"a number from {low:g} to {high:g}")
        return value

    return check


def whole(low: int, high: int) -> Check:
    """A whole number within bounds; a string of digits where a form has no other way to send one."""

    def check(value: Any, where: str) -> int:
        if isinstance(value, str) and value.removeprefix("-").isdecimal() and value.isascii() and len(value) < 25:
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise out_of_bounds(where, value, f"a whole number from {low} to {high}")
        return value

    return check


def choice(*names: str) -> Check:
    """One of some strings."""

    def check(value: Any, where: str) -> str:
        if not isinstance(value, str) or value not in names:
            raise out_of_bounds(where, value, f"one of {', '.join(names)}")
        return value

    return check


def only(*values: Any, why: str) -> Check:
    """A parameter of other servers' models that this one has not, at a value at which it says nothing."""

    def check(value: Any, where: str) -> Any:
        if not any(type(value) is type(each) and value == each for each in values):
            raise out_of_bounds(where, value, why)
        return value

    return check


def wrong_kind(where: str, found: Any, expected: str) -> AnyGenError:
    """The error for a value of another type."""
    detail = f"{where}: found {type(found).__name__}; expected {expected}"
    return AnyGenError("invalid_request", detail, where=where, expected=expected)


def out_of_bounds(where: str, found: Any, expected: str) -> AnyGenError:
    """The error for a value that a parameter may not have."""
    detail = f"{where}: found {repr(found)[:200]}; expected {expected}"
    return AnyGenError("invalid_parameter", detail, where=where, expected=expected)


def _join(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key
