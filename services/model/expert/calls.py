"""Tool calls in text: written by the expert, read back for the chat endpoint."""

import json
import re
from typing import Any
from uuid import NAMESPACE_OID, uuid5

_BLOCK = re.compile(r"<tool_call>\s*(.*?)\s*</tool_call>", re.DOTALL)


def call_text(name: str, arguments: dict[str, Any]) -> str:
    """A tool call as the template describes it."""
    body = json.dumps({"name": name, "arguments": arguments}, ensure_ascii=False)
    return f"<tool_call>\n{body}\n</tool_call>"


def read_calls(text: str) -> list[tuple[str, dict[str, Any]]]:
    """Name and arguments of every readable call in a turn."""
    calls = []
    for block in _BLOCK.findall(text):
        try:
            call = json.loads(block)
        except json.JSONDecodeError:
            continue
        if isinstance(call, dict) and isinstance(call.get("arguments"), dict):
            calls.append((str(call.get("name")), call["arguments"]))
    return calls


def split_calls(text: str) -> tuple[str, list[dict[str, Any]]]:
    """The text without its calls, and the calls in OpenAI's shape."""
    calls = [
        {
            "id": f"chatcmpl-tool-{uuid5(NAMESPACE_OID, f'{number} {text}').hex}",
            "type": "function",
            "function": {"name": name, "arguments": json.dumps(arguments, ensure_ascii=False)},
        }
        for number, (name, arguments) in enumerate(read_calls(text))
    ]
    return _BLOCK.sub("", text).strip(), calls
