"""The chat template: tools as Hermes has them, prefix-stable, the same through our renderer and plain jinja."""

import itertools
import json
from typing import Any

import jinja2

from services.model.bundled import TEMPLATE
from services.model.expert.tokens import Tokens
from tests.expert_parts import tokenizer_file

TOOL = {"type": "function", "function": {"name": "search", "description": "Suche <é> & more", "parameters": {}}}
CALL = {"function": {"name": "search", "arguments": {"queries": [{"query": "é"}]}}}
MESSAGES: list[dict[str, Any]] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Who?"},
    {"role": "assistant", "content": "<think>\nhm\n</think>\n<tool_call>\n{}\n</tool_call>"},
    {"role": "tool", "content": "one"},
    {"role": "assistant", "content": "It is one."},
    {"role": "user", "content": "Sure?"},
]


def render(messages: list[dict[str, Any]], tools: list[dict[str, Any]], *, prompt: bool = False) -> str:
    return Tokens(tokenizer_file()).render(messages, tools, add_generation_prompt=prompt)


def test_every_beginning_of_a_conversation_is_a_prefix_of_the_whole() -> None:
    texts = [render(MESSAGES[:number], [TOOL]) for number in range(1, len(MESSAGES) + 1)]

    assert all(long.startswith(short) for short, long in itertools.pairwise(texts))


def test_the_generation_prompt_is_what_the_assistants_turn_begins_with() -> None:
    assert render(MESSAGES[:3], [TOOL]).startswith(render(MESSAGES[:2], [TOOL], prompt=True))


def test_tools_are_listed_one_json_object_a_line() -> None:
    block = render(MESSAGES[:2], [TOOL, TOOL]).partition("<tools>\n")[2].partition("\n</tools>")[0]

    assert [json.loads(line) for line in block.splitlines()] == [TOOL, TOOL]
    assert "<é> & more" in block


def test_consecutive_tool_results_share_one_user_turn() -> None:
    two = [*MESSAGES[:4], {"role": "tool", "content": "two"}]

    assert render(two, [TOOL]).endswith(
        "<|im_start|>user\n<tool_response>\none\n</tool_response>\n<tool_response>\ntwo\n</tool_response><|im_end|>\n"
    )


def test_calls_in_openais_shape_are_written_as_blocks() -> None:
    text = render([*MESSAGES[:2], {"role": "assistant", "content": None, "tool_calls": [CALL]}], [])

    assert '<tool_call>\n{"name": "search", "arguments": {"queries": [{"query": "é"}]}}\n</tool_call><|im_end|>' in text


def test_a_plain_jinja_environment_renders_the_same() -> None:
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True)
    environment.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False)

    text = environment.from_string(TEMPLATE.read_text()).render(
        messages=MESSAGES, tools=[TOOL], add_generation_prompt=True
    )

    assert text == render(MESSAGES, [TOOL], prompt=True)
