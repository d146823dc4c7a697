"""JSON lines, read so that a mistake can be pointed at: file, line from 1, field."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from wideseek.instances import InvalidInstance

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class Place:
    """A line of a file."""

    path: Path
    number: int
    """From 1."""

    def __str__(self) -> str:
        return f"{self.path}:{self.number}"

    def fault(self, what: str) -> InvalidInstance:
        """The error to raise over this line; `what` begins with the field, where there is one."""
        return InvalidInstance(f"{self}: {what}")


def read_objects(path: Path) -> Iterator[tuple[Place, Mapping[str, Any]]]:
    """The object of each line that is not blank. Raises InvalidInstance where there is none, or no file."""
    try:
        lines = path.read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n")
    except OSError as error:
        raise InvalidInstance(f"{path}: {error.strerror or error}") from error
    for number, line in enumerate(lines, 1):
        if line.strip():
            place = Place(path, number)
            yield place, _object(line, place)


def _object(line: bytes, place: Place) -> Mapping[str, Any]:
    try:
        value = json.loads(line.decode("utf-8"), object_pairs_hook=_once_each)
    except UnicodeDecodeError as error:
        raise place.fault(f"not UTF-8 at byte {error.start + 1}") from error
    except json.JSONDecodeError as error:
        raise place.fault(f"not JSON: {error.msg} at column {error.colno}") from error
    except RecursionError as error:
        raise place.fault("not JSON that can be read: nested too deeply") from error
    except _TwiceNamed as error:
        raise place.fault(f"{error}: stands twice in one object") from error
    except ValueError as error:
        raise place.fault(f"not JSON that can be read: {error}") from error
    if not isinstance(value, dict):
        raise place.fault(f"not an object but {_kind(value)}")
    return value


class _TwiceNamed(ValueError):
    """A JSON object names a field twice; which value counts would be a guess."""


def _once_each(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise _TwiceNamed(name)
        found[name] = value
    return found


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    names = {list: "an array", str: "a string", bool: "true or false"}
    return names.get(type(value), "a number")


def validated(model: type[Model], record: Mapping[str, Any], place: Place) -> Model:
    """The record as this model. Raises InvalidInstance naming the first field that is missing or wrong."""
    try:
        return model.model_validate(record)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        missing = first["type"] == "missing" or _is_empty(first)
        what = "missing or empty" if missing else first["msg"].removeprefix("Value error, ")
        raise place.fault(f"{field}: {what}" if field else what) from error


def _is_empty(error: Mapping[str, Any]) -> bool:
    return error["type"] in {"string_too_short", "too_short"} and not error["input"]
