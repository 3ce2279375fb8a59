"""AWS JSON 1.1: errors, and requests and answers checked against botocore's service model.

The check is stricter than botocore's own: unknown members, enumerations and patterns count too,
so that an answer the real service could not give fails here instead of passing for real.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from botocore.model import ServiceModel, Shape

_PYTHON_TYPES: dict[str, tuple[type, ...]] = {
    "structure": (dict,), "map": (dict,), "list": (list,), "string": (str,),
    "integer": (int,), "long": (int,), "boolean": (bool,), "float": (int, float),
    "double": (int, float), "timestamp": (int, float, datetime),
}  # fmt: skip


class ApiError(Exception):
    """An error answer: `code` as it stands in `__type`."""

    def __init__(self, code: str, message: str, *, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


@cache
def service_model(service: str) -> ServiceModel:
    """Load a service's model (slow once, then kept)."""
    from botocore.session import get_session

    return get_session().get_service_model(service)


def check_request(service: str, operation: str, body: dict[str, Any]) -> None:
    """Raise AWS's ValidationException for a request the model does not allow."""
    shape = service_model(service).operation_model(operation).input_shape
    found = _problems(shape, body, "") if shape is not None else []
    if found:
        plural = "s" if len(found) > 1 else ""
        raise ApiError(
            "ValidationException",
            f"{len(found)} validation error{plural} detected: {'; '.join(found)}",
        )


def check_answer(service: str, operation: str, body: dict[str, Any]) -> None:
    """Raise ValueError for an answer the model does not allow: a mistake of the sandbox."""
    shape = service_model(service).operation_model(operation).output_shape
    found = _problems(shape, body, "") if shape is not None else []
    if found:
        raise ValueError(f"{service}:{operation} answered against its model: {'; '.join(found)}")


def encode_answer(body: Mapping[str, Any]) -> bytes:
    """JSON with timestamps as seconds since the epoch, as the protocol wants them."""
    return msgspec.json.encode(_plain(body))


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.timestamp()
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def _problems(shape: Shape, value: Any, where: str) -> list[str]:
    """Everything about `value` that `shape` does not allow, in the service's wording."""
    kind = shape.type_name
    allowed = _PYTHON_TYPES.get(kind)
    name = where or "input"
    wrong_type = allowed is not None and (
        not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed)
    )
    if wrong_type:
        return [f"Value at '{name}' must be a {kind}"]
    if kind == "structure":
        return _structure_problems(shape, value, where)
    found = []
    if kind == "list":
        for item in value:
            found += _problems(shape.member, item, f"{where}.member")  # type: ignore[attr-defined]
    elif kind == "map":
        for item in value.values():
            found += _problems(shape.value, item, f"{where}.value")  # type: ignore[attr-defined]
    return found + _limit_problems(shape, value, name)


def _structure_problems(shape: Any, value: dict[str, Any], where: str) -> list[str]:
    found = []
    for member in shape.required_members:
        if member not in value:
            name = _camel(f"{where}.{member}" if where else member)
            found.append(f"Value at '{name}' failed to satisfy constraint: Member must not be null")
    for key, item in value.items():
        name = _camel(f"{where}.{key}" if where else key)
        if key not in shape.members:
            found.append(f"Unknown member '{name}'")
        else:
            found += _problems(shape.members[key], item, name)
    return found


def _limit_problems(shape: Shape, value: Any, name: str) -> list[str]:
    limits = shape.metadata
    size = value if isinstance(value, int | float) else len(value) if _sized(value) else 0
    unit = "value" if isinstance(value, int | float) else "length"
    rules = []
    if "min" in limits and size < limits["min"]:
        rules.append(f"Member must have {unit} greater than or equal to {limits['min']}")
    if "max" in limits and size > limits["max"]:
        rules.append(f"Member must have {unit} less than or equal to {limits['max']}")
    if isinstance(value, str):
        enum = getattr(shape, "enum", [])
        if enum and value not in enum:
            rules.append(f"Member must satisfy enum value set: [{', '.join(enum)}]")
        pattern = limits.get("pattern")
        if pattern and not re.fullmatch(pattern, value):
            rules.append(f"Member must satisfy regular expression pattern: {pattern}")
    return [f"Value '{value}' at '{name}' failed to satisfy constraint: {rule}" for rule in rules]


def _sized(value: Any) -> bool:
    return isinstance(value, str | list | dict)


def _camel(path: str) -> str:
    head, dot, last = path.rpartition(".")
    return f"{head}{dot}{last[:1].lower()}{last[1:]}"
