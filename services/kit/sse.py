"""Server-sent events on the wire (WHATWG HTML, "Server-sent events")."""

import json
from typing import Any

HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
"""Proxies must neither keep nor hold back a stream."""

RETRY_MS = 3_000
"""How long a client waits before it connects again."""


def frame(event: str, data: Any, number: int | None = None) -> str:
    """One event; without a number it leaves the client's cursor where it was."""
    cursor = f"id: {number}\n" if number is not None else ""
    return f"{cursor}event: {event}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"
