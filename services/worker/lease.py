"""Lease renewal: a message stays this worker's for as long as this worker is alive and listening.

kombu's Redis transport gives an unacknowledged message to another worker once it is older than the
visibility timeout. Renewing the age of our own messages lets that timeout be short, so a dead
worker's work is picked up soon, while a long subagent runs once.

The renewal runs on the consumer's own timer on purpose: a consumer that hangs loses its lease, and
the moment of the last renewal is the worker's sign of life. It reads two private attributes of
kombu's QoS (`_delivered`, `_dirty`), hence the pinned kombu and the tests on a real server.
"""

import time
from typing import Any

from celery import bootsteps


class Lease:
    """How often to renew, and when that last worked."""

    def __init__(self, interval_s: float) -> None:
        self.interval_s = interval_s
        """Seconds between two renewals."""
        self.held = 0
        """How many messages the last renewal covered."""
        self._renewed_at: float | None = None

    def stamp(self, held: int) -> None:
        """Record a renewal that has just worked."""
        self.held = held
        self._renewed_at = time.monotonic()

    @property
    def age_s(self) -> float | None:
        """Seconds since the last renewal; None before the first one. Well over `interval_s` means deaf."""
        return None if self._renewed_at is None else time.monotonic() - self._renewed_at


class LeaseRenewal(bootsteps.StartStopStep):  # type: ignore[misc]
    """Consumer step; the app carries its `Lease` as `lease`."""

    requires = {"celery.worker.consumer.tasks:Tasks"}  # noqa: RUF012 - Celery's protocol

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        self._lease: Lease = parent.app.lease
        self._timer: Any = None

    def start(self, parent: Any) -> None:
        """Renew at once and then at every interval; called again after a reconnect."""
        self.renew(parent)
        self._timer = parent.timer.call_repeatedly(self._lease.interval_s, self.renew, (parent,))

    def stop(self, parent: Any) -> None:  # noqa: ARG002 - Celery's signature
        """Stop renewing; connection lost or worker stopping."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def renew(self, parent: Any) -> None:
        """Give every message this worker holds a fresh age.

        `xx` keeps a message that was acknowledged meanwhile from coming back. An error of the
        connection goes to the consumer, which reconnects.
        """
        channel = parent.task_consumer.channel
        tags = [tag for tag in list(channel.qos._delivered) if tag not in channel.qos._dirty]
        with channel.conn_or_acquire() as redis:
            if tags:
                now = time.time()
                redis.zadd(channel.unacked_index_key, dict.fromkeys(tags, now), xx=True)
            else:
                redis.ping()
        self._lease.stamp(len(tags))
