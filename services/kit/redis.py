"""Connections to Redis or Valkey, and the one place where its errors become ours."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from wideseek.errors import QueueUnavailable


@asynccontextmanager
async def redis_errors() -> AsyncIterator[None]:
    """Raise `QueueUnavailable` for whatever keeps Redis from serving us."""
    try:
        yield
    except (RedisConnectionError, RedisTimeoutError, OSError) as error:
        raise QueueUnavailable(f"{type(error).__name__}: {error}") from error
    except RedisError as error:
        raise QueueUnavailable(f"refused: {error}") from error


_KEEPALIVE = {
    getattr(socket, name): value
    for name, value in {"TCP_KEEPIDLE": 15, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 20_000}.items()
    if hasattr(socket, name)
}
"""Socket options by which the kernel gives a vanished server up after 20 to 30 s."""


def connect(url: str, *, max_connections: int = 512) -> Redis:
    """A client that decodes to text. Its pool must hold one connection for each blocking reader.

    There is no read timeout, said explicitly because redis-py's default is 5 s: it would break off
    blocking reads, and on Python 3.11 the `asyncio.wait_for` behind it can swallow a cancellation.
    """
    client: Redis = Redis.from_url(
        url,
        decode_responses=True,
        max_connections=max_connections,
        socket_timeout=None,
        socket_connect_timeout=5,
        socket_keepalive=True,
        socket_keepalive_options=_KEEPALIVE,
        health_check_interval=15,
    )
    return client


def stream_entries(reply: Any) -> list[Any]:
    """The entries of an XREAD or XREADGROUP over one stream, in RESP2's or RESP3's shape."""
    if not reply:
        return []
    if isinstance(reply, dict):
        (batches,) = reply.values()
        return [entry for batch in batches for entry in (batch if isinstance(batch, list) else [batch])]
    return list(reply[0][1])
