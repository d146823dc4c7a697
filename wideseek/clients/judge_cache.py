"""Replies of a judge, kept so that the same question is paid once: in memory, or in a file as well."""

import hashlib
import json
from pathlib import Path
from typing import Protocol


class ReplyCache(Protocol):
    """Readable replies by model and prompt."""

    def get(self, model: str, prompt: str) -> str | None:
        """The reply, when it is known."""
        ...

    def put(self, model: str, prompt: str, reply: str) -> None:
        """Keep a reply."""
        ...


class MemoryCache:
    """Replies of this process."""

    def __init__(self) -> None:
        self._replies: dict[str, str] = {}

    def get(self, model: str, prompt: str) -> str | None:
        """The reply, when this process has seen it."""
        return self._replies.get(_digest(model, prompt))

    def put(self, model: str, prompt: str, reply: str) -> None:
        """Keep a reply."""
        self._replies[_digest(model, prompt)] = reply


class FileCache(MemoryCache):
    """Replies of all processes that were given one file: JSON lines `{"key", "model", "reply"}`, append-only.

    The key is the SHA-256 of model and prompt. A line cut short by a crash is passed over.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        for line in path.read_text("utf-8").splitlines() if path.exists() else []:
            try:
                entry = json.loads(line)
                self._replies[str(entry["key"])] = str(entry["reply"])
            except (ValueError, KeyError, TypeError):
                continue

    def put(self, model: str, prompt: str, reply: str) -> None:
        """Keep a reply, in the file too."""
        super().put(model, prompt, reply)
        line = json.dumps({"key": _digest(model, prompt), "model": model, "reply": reply}, ensure_ascii=False)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")


def _digest(model: str, prompt: str) -> str:
    return hashlib.sha256(f"{model}\0{prompt}".encode()).hexdigest()
