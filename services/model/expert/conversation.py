"""A prompt read back into the conversation it renders: role, task, turns."""

import re
from dataclasses import dataclass, field
from functools import cached_property

from services.model.expert.calls import read_calls

_MESSAGE = re.compile(r"<\|im_start\|>(\w+)\n?(.*?)(?:<\|im_end\|>|\Z)", re.DOTALL)
_RESPONSE = re.compile(r"<tool_response>\n?(.*?)\n?</tool_response>", re.DOTALL)
_TOOL_NAME = re.compile(r'"name":\s*"(\w+)",\s*"description"')
_LIMIT = re.compile(r"(?:at most|最多)\s*(\d+)")
_FINAL = re.compile(
    r"no (?:more )?tools? (?:may|can|will|are)|(?:can|may) (?:not|no longer) (?:call|use)|without (?:any )?tools?"
    r"|last (?:permitted )?turn|final turn|不能再调用|最后一轮",
    re.IGNORECASE,
)
_COMPACT = re.compile(
    r"You (?:lead a team and|work on one subtask of|answer (?:with a table|a question), alone\.)"
    r"|你(?:带领一个团队|负责主|独自(?:用表格|回答问题))"
)
"""How the instructions of the compact profile begin."""
_HEADING = re.compile(r"^#\s+(.+)$", re.MULTILINE)
_HINT_LINES = 4
_HINT = re.compile(
    r"(?:\s*^(?:This is (?:turn \d+ of|your last turn)|Last turn:|No tool ran"
    r"|这是第 ?\d+ 轮|这是最后一轮|没有工具被执行)"
    r"[^\n]*\s*)+\Z",
    re.MULTILINE,
)


@dataclass
class Turn:
    """One turn of the agent and the tool results it led to."""

    text: str
    results: list[str] = field(default_factory=list)

    @cached_property
    def calls(self) -> list[tuple[str, dict[str, object]]]:
        """Name and arguments of each tool call."""
        return read_calls(self.text)


@dataclass
class Conversation:
    """What the prompt says."""

    system: str = ""
    task: str = ""
    """The first user message."""
    turns: list[Turn] = field(default_factory=list)
    last_word: str = ""
    """The last message of the user or of a tool, where hints about remaining turns stand."""

    @cached_property
    def tools(self) -> frozenset[str]:
        """Names of the tools in the system message."""
        block = self.system.partition("<tools>\n")[2].rpartition("</tools>")[0]
        return frozenset(_TOOL_NAME.findall(block))

    def limit(self, default: int) -> int:
        """The largest number of items a call may have, as the tools' descriptions state it."""
        block = self.system.partition("<tools>\n")[2] or self.system
        found = _LIMIT.search(block)
        return max(1, int(found[1])) if found else default

    @cached_property
    def compact(self) -> bool:
        """Whether the agent is prompted in the compact profile."""
        return bool(_COMPACT.match(self.system))

    @cached_property
    def final(self) -> bool:
        """Whether tools may no longer be called."""
        return bool(_FINAL.search("\n".join(self.last_word.strip().splitlines()[-_HINT_LINES:]))) or not self.tools

    @cached_property
    def sections(self) -> dict[str, str]:
        """The task cut at its headings, by lower-case heading; what stands before the first is under ``""``."""
        parts = _HEADING.split(self.task)
        found = {"": parts[0].strip()}
        for heading, text in zip(parts[1::2], parts[2::2], strict=True):
            found.setdefault(heading.strip().casefold(), text.strip())
        return found

    def section(self, *headings: str) -> str:
        """The text under the first of `headings` that the task has."""
        return next((self.sections[heading] for heading in headings if heading in self.sections), "")


def read_conversation(prompt: str) -> Conversation:
    """The conversation behind a ChatML prompt with Hermes-style tools."""
    conversation = Conversation()
    for role, text in _MESSAGE.findall(prompt.removesuffix("<|im_start|>assistant\n")):
        if role == "system":
            conversation.system = text
        elif role == "assistant":
            conversation.turns.append(Turn(text))
        else:
            _hear(conversation, text)
    return conversation


def _hear(conversation: Conversation, text: str) -> None:
    if text.strip():
        conversation.last_word = text
    results = _RESPONSE.findall(text)
    if conversation.turns:
        conversation.turns[-1].results.extend(results)
    elif not conversation.task:
        conversation.task = _HINT.sub("", text)
