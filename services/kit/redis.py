"""Connections to Redis or Valkey, and the one place where its errors become ours."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

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


def connect(url: str, *, max_connections: int = 512) -> Redis:
    """A client that decodes to text. Its pool must hold one connection for each blocking reader."""
    client: Redis = Redis.from_url(
        url,
        decode_responses=True,
        max_connections=max_connections,
        socket_connect_timeout=5,
        socket_keepalive=True,
        health_check_interval=15,
    )
    return client
