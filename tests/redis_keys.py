"""What `docs/redis.md` says of the keys in Redis, for any test that leaves some behind."""

import re
from pathlib import Path

from redis import Redis

PAGE = Path(__file__).resolve().parents[1] / "docs" / "redis.md"
_ROW = re.compile(r"^\| `(?P<key>ws:\{env\}:[^`]+)` \| (?P<type>\w+) \|", re.MULTILINE)


def documented() -> dict[str, str]:
    """The type of each key, by its name in the page."""
    return {row["key"]: row["type"] for row in _ROW.finditer(PAGE.read_text())}


def undocumented(url: str, env: str) -> list[str]:
    """Keys in this Redis that the page does not know, or knows with another type."""
    patterns = [(_pattern(name, env), kind) for name, kind in documented().items()]
    with Redis.from_url(url, decode_responses=True) as client:
        found = {str(key): str(client.type(key)) for key in client.scan_iter()}
    return sorted(
        f"{key} ({kind})"
        for key, kind in found.items()
        if not any(pattern.fullmatch(key) and kind == known for pattern, known in patterns)
    )


def _pattern(name: str, env: str) -> re.Pattern[str]:
    parts = re.split(r"\{\w+\}", name.replace("{env}", env))
    return re.compile("[^:]+".join(re.escape(part) for part in parts))
