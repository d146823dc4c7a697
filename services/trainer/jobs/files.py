"""A job's configuration from a TOML file, with single values set on top."""

import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from services.trainer.config import JobConfig
from wideseek.errors import InvalidRequest

_PATHS = (("data", "wide"), ("data", "questions"), ("data", "demonstrations"), ("evaluation", "tasks"))


def read_job(path: Path, overrides: Sequence[str] = ()) -> JobConfig:
    """The configuration of a file; paths in it are relative to the file.

    `overrides` are `key.key=value`, the value as TOML (a bare word is a string); paths among them are relative to
    the working folder. Raises `InvalidRequest` naming file, key and what to change.
    """
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise InvalidRequest(f"{path}: no such file") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"{path}: cannot be read ({error})") from error
    except tomllib.TOMLDecodeError as error:
        raise InvalidRequest(f"{path}: not TOML: {error}") from error
    _anchor(values, path.parent.absolute())
    changes: dict[str, Any] = {}
    for override in overrides:
        _set(changes, override)
    _anchor(changes, Path.cwd())
    return validated(_merged(values, changes), str(path))


def validated(values: dict[str, Any], place: str) -> JobConfig:
    """The configuration these values make. Raises `InvalidRequest` naming every key that is wrong."""
    try:
        return JobConfig.model_validate_json(json.dumps(values, default=str))
    except ValidationError as error:
        raise InvalidRequest("; ".join(f"{place}: {complaint(item)}" for item in error.errors())) from error


def complaint(item: Any) -> str:
    """One error of pydantic's as `key: what to change`."""
    key = ".".join(str(part) for part in item["loc"])
    message = str(item["msg"]).removeprefix("Value error, ")
    if item["type"] == "extra_forbidden":
        message = "unknown key; remove it or correct its spelling"
    return f"{key}: {message}" if key else message


def _set(values: dict[str, Any], override: str) -> None:
    key, separator, text = override.partition("=")
    names = key.strip().split(".")
    if not separator or not all(names):
        raise InvalidRequest(f"--set {override}: expected key.key=value")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    for name in names[:-1]:
        values = values.setdefault(name, {})
    values[names[-1]] = value


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """`above` on top of `below`, table by table."""
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = _merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


def _anchor(values: dict[str, Any], folder: Path) -> None:
    """Make relative paths absolute, in place; what is no path (`job:…`, a bundled name) stays."""
    for section, key in _PATHS:
        table = values.get(section)
        if isinstance(table, dict) and isinstance(table.get(key), list):
            table[key] = [_absolute(item, folder) for item in table[key]]
    model = values.get("model")
    if isinstance(model, dict):
        for key in ("base", "init_adapter"):
            text = model.get(key)
            if isinstance(text, str) and (key == "init_adapter" or "/" in text):
                model[key] = _absolute(text, folder)


def _absolute(item: object, folder: Path) -> object:
    return item if not isinstance(item, str) or item.startswith("job:") else str(folder / item)
