"""The services' output: kept raw in files, shown to people as short coloured lines."""

import json
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from honcho.printer import Message, Printer

from services.cli.plan import Plan

_NOT_SHOWN = frozenset({"event", "level", "logger", "timestamp", "service", "exception"})


def humanise(line: str) -> str:
    """A JSON log line as `level event key=value …`; any other line as it is."""
    text = line.rstrip("\r\n")
    if not text.startswith("{"):
        return text
    try:
        entry = json.loads(text)
    except ValueError:
        return text
    if not isinstance(entry, dict) or "event" not in entry:
        return text
    return _short(entry)


def _short(entry: Mapping[str, Any]) -> str:
    level = str(entry.get("level", "info"))
    fields = [f"{key}={_value(value)}" for key, value in entry.items() if key not in _NOT_SHOWN]
    head = [] if level == "info" else [level.upper()]
    lines = [" ".join([*head, str(entry["event"]), *fields])]
    return "\n".join([*lines, *str(entry.get("exception") or "").splitlines()])


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def last_lines(path: Path, count: int = 12) -> list[str]:
    """The last lines of a log, for people."""
    try:
        with path.open("r", encoding="utf-8", errors="replace") as log:
            tail = deque(log, maxlen=count)
    except FileNotFoundError:
        return []
    return [line for entry in tail for line in humanise(entry).splitlines()][-count:]


class LogFiles:
    """One open log file a service; the previous start's is kept as `<name>.log.1`."""

    def __init__(self, plan: Plan) -> None:
        self._files: dict[str, IO[bytes]] = {}
        for service in plan.services:
            path = plan.log_file(service.name)
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists():
                path.replace(path.with_suffix(".log.1"))
            self._files[service.name] = path.open("wb", buffering=0)

    def write(self, name: str, data: bytes) -> None:
        """Append to a service's log; what the supervisor itself says is not kept here."""
        if name in self._files:
            self._files[name].write(data)

    def close(self) -> None:
        """Close all files."""
        for file in self._files.values():
            file.close()


class ClusterPrinter(Printer):  # type: ignore[misc]  # honcho has no types
    """Honcho's printer, which also keeps each service's output in its own file."""

    def __init__(self, output: IO[str], files: LogFiles) -> None:
        super().__init__(output)
        self._files = files

    def write(self, message: Message) -> None:
        """Keep the line as it came, and print it for people."""
        data = message.data if isinstance(message.data, bytes) else message.data.encode()
        self._files.write(message.name, data)
        shown = "\n".join(humanise(line) for line in data.decode("utf-8", "replace").splitlines())
        super().write(message._replace(data=shown))
