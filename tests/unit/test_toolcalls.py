"""Reading tool calls."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wideseek.messages import Malformed, ToolCall
from wideseek.toolcalls import after_thinking, closed_up, parse_tool_calls, unclosed_thought, without_calls

GOOD = '<tool_call>\n{"name": "search", "arguments": {"queries": [{"query": "Mali"}]}}\n</tool_call>'


def test_several_calls_are_read_in_order() -> None:
    calls = parse_tool_calls(f"{GOOD}\nand\n{GOOD.replace('search', 'access')}")

    assert [call.name for call in calls if isinstance(call, ToolCall)] == ["search", "access"]


def test_calls_inside_thinking_do_not_count() -> None:
    assert parse_tool_calls(f"<think>maybe {GOOD}</think>no") == []
    assert parse_tool_calls(f"<think>never closed {GOOD}") == []
    assert len(parse_tool_calls(f"<think>maybe {GOOD}</think>no", thinking_too=True)) == 1


def test_only_a_thought_that_never_ends_is_told_so() -> None:
    unfinished = unclosed_thought("well <think>Mali; Chad")

    assert unfinished is not None
    assert unfinished.text == "Mali; Chad"
    assert "ended within its thought" in unfinished.problem
    for text in ("", "no thought", "<think>Mali</think>", f"<think>Mali</think>{GOOD}", "Mali</think>no opening"):
        assert unclosed_thought(text) is None


def test_a_broken_call_stands_in_its_place() -> None:
    calls = parse_tool_calls(f"<tool_call>{{</tool_call>{GOOD}")

    assert isinstance(calls[0], Malformed)
    assert isinstance(calls[1], ToolCall)


def test_each_mistake_is_named() -> None:
    problems = {
        "<tool_call>[]</tool_call>": 'a "name"',
        '<tool_call>{"name": 3}</tool_call>': 'a "name"',
        '<tool_call>{"name": "a", "arguments": []}</tool_call>': '"arguments" must be an object',
        '<tool_call>{"name": "a"': "not closed",
    }

    for text, problem in problems.items():
        (call,) = parse_tool_calls(text)
        assert isinstance(call, Malformed)
        assert problem in call.problem


def test_what_is_left_to_read_has_neither_thinking_nor_calls() -> None:
    assert without_calls(f"<think>hm</think>Found it. {GOOD}") == "Found it."
    assert after_thinking("a</think>b</think>c") == "c"


def test_a_call_that_was_broken_off_is_read_as_far_as_it_goes() -> None:
    broken = 'I go on. <tool_call>\n{"name": "call_subagent", "arguments": {"subtasks": [{"prompt": "a } ] b"}, '
    [call] = parse_tool_calls(closed_up(broken + '{"prompt": "Mali"}, {"prompt": "Ma'))

    assert isinstance(call, ToolCall)
    assert call.arguments == {"subtasks": [{"prompt": "a } ] b"}, {"prompt": "Mali"}]}


def test_a_text_of_names_that_was_broken_off_is_read_up_to_the_last_whole_name() -> None:
    [call] = parse_tool_calls(closed_up('<tool_call>{"name": "f", "arguments": {"of": "Chad; Mali; Mal'))

    assert isinstance(call, ToolCall)
    assert call.arguments == {"of": "Chad; Mali"}


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        f"{GOOD} and so on and so on",
        "no call at all, no call at all",
        '<tool_call>{"name": "search", "arguments": {"queries": [{"query": "Mali',
        '<tool_call>{"name": "search"}',
        "<tool_call>]]]",
    ],
)
def test_text_without_a_broken_call_that_has_a_whole_element_stays_as_it_is(text: str) -> None:
    assert closed_up(text) == text


@given(st.text())
def test_any_text_can_be_closed_up(text: str) -> None:
    assert closed_up(text).startswith(text[:1])


@given(st.text())
def test_any_text_can_be_read(text: str) -> None:
    for call in parse_tool_calls(text):
        assert isinstance(call, ToolCall | Malformed)
