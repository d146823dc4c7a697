"""kombu's Redis transport with the hole between popping and recording closed.

kombu pops a message (BRPOP) and writes it down as unacknowledged a moment later. A process killed
in between takes the message with it. Here the pop moves the message to a list of what has been
taken (BLMOVE), from which it is removed once it is written down; what stays on that list for longer
than the visibility timeout was taken by the dead and goes back on the queue.

Like the lease, this rests on kombu's internals, hence the pinned kombu and the tests.
"""

import json
from queue import Empty
from time import monotonic, time
from typing import Any

from kombu.transport import redis

from services.kit.queue import QUEUE

kombu_redis: Any = redis
"""Untyped: what is overridden here is private to kombu."""

_RESTORE = """
local taken, seen, queue = KEYS[1], KEYS[2], KEYS[3]
local now, too_old = tonumber(ARGV[1]), tonumber(ARGV[2])
local items = redis.call('LRANGE', taken, 0, -1)
if #items == 0 then redis.call('DEL', seen) return 0 end
local restored = 0
for _, item in ipairs(items) do
  local tag = cjson.decode(item).properties.delivery_tag
  local first_seen = redis.call('ZSCORE', seen, tag)
  if not first_seen then
    redis.call('ZADD', seen, now, tag)
  elseif tonumber(first_seen) < too_old then
    redis.call('LREM', taken, 1, item)
    redis.call('ZREM', seen, tag)
    redis.call('LPUSH', queue, item)
    restored = restored + 1
  end
end
return restored
"""


class QoS(kombu_redis.QoS):  # type: ignore[misc]
    """The sweep for what dead workers held also looks at what they had only just taken."""

    def restore_visible(self, *args: Any, **kwargs: Any) -> None:
        """Put back what is older than the visibility timeout, wherever it was."""
        super().restore_visible(*args, **kwargs)
        self.channel.restore_taken()


class Channel(kombu_redis.Channel):  # type: ignore[misc]
    """A channel over one queue that never holds a message in a socket only."""

    QoS = QoS

    def restore_taken(self) -> int:
        """Put back what was taken and never written down; return how many."""
        taken, queue = self._key(f"{QUEUE}.taken"), self._key(QUEUE)
        now = time()
        with self.conn_or_acquire() as client:
            return int(client.eval(_RESTORE, 3, taken, f"{taken}.seen", queue, now, now - self.visibility_timeout))

    def _key(self, name: str) -> str:
        # kombu's client adds the prefix to the commands it knows, and it knows none of ours.
        return f"{self.global_keyprefix}{name}"

    def _brpop_start(self, timeout: float | None = None) -> None:
        if not self._queue_cycle.consume(len(self.active_queues)):
            return
        self._in_poll = self.client.connection
        self._brpop_sent_at = monotonic()
        wait_s = (self.brpop_timeout if timeout is None else timeout) or 0
        source, taken = self._key(QUEUE), self._key(f"{QUEUE}.taken")
        self.client.connection.send_command("BLMOVE", source, taken, "RIGHT", "LEFT", wait_s)

    def _brpop_read(self, **options: Any) -> bool:
        try:
            item = self._moved(**options)
        finally:
            self._in_poll = None
            self._flush_brpop_reauth()
        if item is None:
            raise Empty
        self.connection._deliver(json.loads(item), QUEUE)
        with self.conn_or_acquire() as client:
            client.lrem(self._key(f"{QUEUE}.taken"), 1, item)
        return True

    def _moved(self, **options: Any) -> bytes | None:
        try:
            item: bytes | None = self.client.parse_response(self.client.connection, "BLMOVE", **options)
        except self.connection_errors:
            self.client.connection.disconnect()
            raise
        return item

    def _poll_error(self, type: str, **options: Any) -> None:
        if type == "BRPOP":
            self._moved(**options)
        else:
            super()._poll_error(type, **options)


class Transport(kombu_redis.Transport):  # type: ignore[misc]
    """Named in `broker_transport`."""

    Channel = Channel
