"""Gives back what the index holds of committed steps: acknowledged, then forgotten."""

from services.trainer.conduct.ports import Index


async def release(index: Index, job_id: str, cursor: str) -> int:
    """Acknowledge and trim all entries up to the cursor of a committed step; returns how many were there.

    Safe to be cut off and repeated: what is delivered once more stands in a manifest. Raises `QueueUnavailable`.
    """
    done: list[str] = []
    after = "0-0"
    while page := [place for place, _ in await index.read(job_id, after=after)]:
        done += [place for place in page if order(place) <= order(cursor)]
        after = page[-1]
        if order(after) >= order(cursor):
            break
    if done:
        await index.ack(job_id, done)
        await index.trim(job_id, cursor)
    return len(done)


def order(cursor: str) -> tuple[int, int]:
    """A stream id as the two numbers it is compared by."""
    milliseconds, _, sequence = cursor.partition("-")
    return int(milliseconds), int(sequence or 0)
