"""TOML files that people write, read into what describes them."""

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from wideseek.errors import InvalidRequest

Described = TypeVar("Described", bound=BaseModel)


def first_complaint(path: Path, error: ValidationError) -> str:
    """The first key that is wrong, and what is wrong with it."""
    first = error.errors()[0]
    return f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}"


def read_toml(
    path: Path, kind: type[Described], complain: Callable[[Path, ValidationError], str] = first_complaint
) -> Described:
    """The file as a `kind`. Raises `InvalidRequest` naming the file and, in the words of `complain`, what is wrong."""
    try:
        return kind.model_validate(tomllib.loads(path.read_text("utf-8")))
    except OSError as error:
        raise InvalidRequest(f"{path}: cannot be read ({error.strerror})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"{path}: not TOML: {error}") from error
    except ValidationError as error:
        raise InvalidRequest(complain(path, error)) from error
