"""TOML files that people write, read into what describes them."""

import tomllib
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from wideseek.errors import InvalidRequest

Described = TypeVar("Described", bound=BaseModel)


def read_toml(path: Path, kind: type[Described]) -> Described:
    """The file as a `kind`. Raises `InvalidRequest` naming the file and the first key that is wrong."""
    try:
        return kind.model_validate(tomllib.loads(path.read_text("utf-8")))
    except OSError as error:
        raise InvalidRequest(f"{path}: cannot be read ({error.strerror})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"{path}: not TOML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidRequest(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
