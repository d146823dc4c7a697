"""Reading server-sent events (WHATWG HTML, "Interpreting an event stream")."""

from collections.abc import AsyncIterator

from wideseek.values import Frozen


class SentEvent(Frozen):
    """One event as it came over the wire."""

    event: str = "message"
    data: str = ""
    id: str | None = None


async def read_events(lines: AsyncIterator[str]) -> AsyncIterator[SentEvent]:
    """Events out of a stream's lines; comments are passed over, an unfinished last event is dropped."""
    fields: dict[str, list[str]] = {}
    async for line in lines:
        if not line:
            if "data" in fields:
                yield _event(fields)
            fields = {}
        elif not line.startswith(":"):
            name, _, value = line.partition(":")
            fields.setdefault(name, []).append(value.removeprefix(" "))


def _event(fields: dict[str, list[str]]) -> SentEvent:
    number = fields.get("id", [None])[-1]
    return SentEvent(event=fields.get("event", ["message"])[-1], data="\n".join(fields["data"]), id=number)
