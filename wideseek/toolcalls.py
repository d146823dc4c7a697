"""Read tool calls out of a completion. A broken one is returned in its place, as a value.

The format is Hermes': `<tool_call>{"name": …, "arguments": {…}}</tool_call>`, read from the text after
the last `</think>`, every block of it.
"""

import json
import re
from typing import Any

from wideseek.messages import Malformed, ToolCall

_BLOCK = re.compile(r"<tool_call>(.*?)(</tool_call>|(?=<tool_call>)|\Z)", re.DOTALL)
_OPENING, _CLOSING = "<tool_call>", "</tool_call>"
_JSON_MARK = re.compile(r'"(?:[^"\\]|\\.)*"|"[^"]*\Z|[\[\]{}]', re.DOTALL)
_CLOSED_BY = {"[": "]", "{": "}"}
_FORMAT = '<tool_call>{"name": "<tool>", "arguments": {...}}</tool_call>'


def after_thinking(text: str) -> str:
    """What was said after the last `</think>`; nothing when thinking was never closed."""
    if "</think>" in text:
        return text.rpartition("</think>")[2]
    return "" if "<think>" in text else text


def without_calls(text: str) -> str:
    """The text after thinking with its tool calls taken out: what is left to read."""
    return _BLOCK.sub("", after_thinking(text)).strip()


def parse_tool_calls(text: str, *, thinking_too: bool = False) -> list[ToolCall | Malformed]:
    """Return the calls in order; a broken one is returned in its place, not raised.

    >>> parse_tool_calls('<tool_call>{"name": "search", "arguments": {}}</tool_call>')
    [ToolCall(name='search', arguments={}, call_id='')]
    >>> parse_tool_calls("<tool_call>{oops}</tool_call>")[0].problem.split(":")[0]
    'the call is not valid JSON'
    """
    visible = text if thinking_too else after_thinking(text)
    return [_parse(body, closing) for body, closing in _BLOCK.findall(visible)]


def unclosed_thought(text: str) -> Malformed | None:
    """What to say to a turn that ended within its thought, with nothing said after it; None where it did not.

    >>> unclosed_thought("<think>Chad; Mali").problem
    'there is none, the turn ended within its thought; end the thought, then call a tool or write the answer'
    >>> unclosed_thought("<think>Chad; Mali</think>")
    """
    if "<think>" not in text or "</think>" in text:
        return None
    problem = "there is none, the turn ended within its thought; end the thought, then call a tool or write the answer"
    return Malformed(text=text.partition("<think>")[2], problem=problem)


def closed_up(text: str) -> str:
    """The text with its last call, if that was broken off, closed behind the last whole element of a list in it.

    A small policy can say the same element for ever; what it said before that is a call. A list may be one of JSON, or
    a text parted by semicolons. Text without such a call, or whose call has no whole element, stays as it is.

    >>> closed_up('<tool_call>{"name": "f", "arguments": {"of": [{"a": 1}, {"a": 1}, {"a"')
    '<tool_call>{"name": "f", "arguments": {"of": [{"a": 1}, {"a": 1}]}}</tool_call>'
    >>> closed_up('<tool_call>{"name": "f", "arguments": {"of": "Chad; Mali; Mali; Ma')
    '<tool_call>{"name": "f", "arguments": {"of": "Chad; Mali; Mali"}}</tool_call>'
    """
    head, opening, body = text.rpartition(_OPENING)
    if not opening or _CLOSING in body:
        return text
    stack: list[str] = []
    whole = 0, ""
    for found in _JSON_MARK.finditer(body):
        mark = found[0]
        if mark in _CLOSED_BY:
            stack.append(_CLOSED_BY[mark])
        elif stack and mark == stack[-1]:
            stack.pop()
            if stack and stack[-1] == "]":
                whole = found.end(), "".join(reversed(stack))
        elif stack and mark.startswith('"') and found.end() == len(body) and ";" in mark:
            whole = found.start() + mark.rindex(";"), '"' + "".join(reversed(stack))
    end, rest = whole
    return f"{head}{opening}{body[:end]}{rest}{_CLOSING}" if end else text


def _parse(body: str, closing: str) -> ToolCall | Malformed:
    if closing != _CLOSING:
        return Malformed(text=body, problem=f"the call is not closed with </tool_call>; write {_FORMAT}")
    try:
        value: Any = json.loads(body)
    except json.JSONDecodeError as error:
        return Malformed(text=body, problem=f"the call is not valid JSON: {error}; write {_FORMAT}")
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        return Malformed(text=body, problem=f'the call needs an object with a "name"; write {_FORMAT}')
    arguments = value.get("arguments", {})
    if not isinstance(arguments, dict):
        return Malformed(text=body, problem=f'"arguments" must be an object; write {_FORMAT}')
    return ToolCall(name=value["name"], arguments=arguments)
