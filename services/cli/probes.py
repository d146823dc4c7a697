"""Asks a service whether it can do its work, over its own door."""

import json
import re
import urllib.error
import urllib.request

from pydantic import Field

from wideseek.values import Frozen

_TIMEOUT_S = 2.0
_FINE = re.compile(r"(ok|ready|off)\b")
"""How services name a check that found nothing wrong."""

_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""As the services reach one another: never through a proxy."""


class Answer(Frozen):
    """What a probe found."""

    ready: bool
    detail: str = ""
    """What is missing, in the service's words; empty when it said nothing."""
    checks: dict[str, str] = Field(default_factory=dict)


def ready(url: str) -> bool:
    """Whether the service behind this probe can do its work."""
    return probe(url).ready


def probe(url: str, *, timeout_s: float = _TIMEOUT_S) -> Answer:
    """Ask `redis://…` for a PONG, anything else for a 200; an outage is an answer, not an error."""
    return _ping(url, timeout_s) if url.startswith(("redis://", "rediss://")) else _get(url, timeout_s)


def _ping(url: str, timeout_s: float) -> Answer:
    from redis import Redis  # noqa: PLC0415  # half a second that `--help` need not pay
    from redis.exceptions import RedisError  # noqa: PLC0415

    try:
        with Redis.from_url(url, socket_connect_timeout=timeout_s, socket_timeout=timeout_s, retry=None) as client:
            client.ping()
    except (RedisError, OSError, ValueError) as error:
        return Answer(ready=False, detail=_first_line(error))
    return Answer(ready=True)


def _get(url: str, timeout_s: float) -> Answer:
    try:
        with _DIRECT.open(url, timeout=timeout_s) as response:
            return _read(response.status, response.read())
    except urllib.error.HTTPError as error:
        with error:
            return _read(error.code, error.read())
    except (urllib.error.URLError, OSError, ValueError) as error:
        return Answer(ready=False, detail=_first_line(getattr(error, "reason", error)))


def _read(status: int, body: bytes) -> Answer:
    checks = _checks(body)
    wrong = [f"{name}: {state}" for name, state in checks.items() if not _FINE.match(state)]
    if status == 200:
        return Answer(ready=True, detail="; ".join(wrong), checks=checks)
    return Answer(ready=False, detail="; ".join(wrong) or f"answers {status}", checks=checks)


def _checks(body: bytes) -> dict[str, str]:
    try:
        answer = json.loads(body)
    except ValueError:
        return {}
    checks = answer.get("checks") if isinstance(answer, dict) else None
    return {str(name): str(state) for name, state in checks.items()} if isinstance(checks, dict) else {}


def _first_line(error: object) -> str:
    said = getattr(error, "strerror", None) or str(error)
    return (said.splitlines() or [type(error).__name__])[0]
