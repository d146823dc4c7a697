"""The three agents as specs: instructions and limits. Tools are a toolbox's.

The deliberate departures from the published reference code are fields, so that its behaviour can be
replayed with `reference_compat`.
"""

from pydantic import Field

from wideseek.contracts import Output, PromptProfile
from wideseek.prompts import instructions
from wideseek.trajectory import Role
from wideseek.values import Frozen

SINGLE_TURNS = 50
"""Turns a single agent gets unless told otherwise; a lead gets 10."""


class AgentSpec(Frozen):
    """What an agent is told and how far it may go."""

    role: Role
    instructions: str
    profile: PromptProfile = PromptProfile.FULL
    """How its tools, their results and its turns are worded."""
    language: str = "en"
    max_turns: int = Field(ge=1)
    max_items: int = Field(ge=1)
    """Subtasks a call (lead), searches and pages a turn (subagent, single)."""
    max_completion_tokens: int | None = Field(default=None, ge=1)
    """Most tokens of one completion; None: a quarter of the context. What the context has left may be less."""
    max_repairs: int = Field(default=2, ge=0)
    """Unreadable turns in a row that are answered with what to fix. 0: an unreadable call is the answer."""
    read_every_call: bool = True
    """False: only the first `<tool_call>` of a turn counts."""
    read_thinking: bool = False
    """True: calls inside `<think>` count."""
    answer_over_limit: bool = True
    """False: items over the limit are cut without a word."""
    withhold_tools_at_the_end: bool = True
    """False: the last permitted turn is like any other."""
    hand_back_partial: bool = True
    """False: a subagent that ran out reports one fixed sentence."""


def lead(
    language: str = "en",
    *,
    max_turns: int = 10,
    max_width: int = 20,
    output: Output = Output.TABLE,
    profile: PromptProfile = PromptProfile.FULL,
) -> AgentSpec:
    """The lead: decomposes, delegates, writes the table or the answer."""
    text = instructions(Role.LEAD, language, limit=max_width, output=output, profile=profile)
    return _spec(Role.LEAD, text, language, max_turns, max_width, profile)


def subagent(
    language: str = "en",
    *,
    max_turns: int = 20,
    max_items: int = 5,
    output: Output = Output.TABLE,
    profile: PromptProfile = PromptProfile.FULL,
) -> AgentSpec:
    """A subagent: searches, reads, reports."""
    text = instructions(Role.SUBAGENT, language, limit=max_items, output=output, profile=profile)
    return _spec(Role.SUBAGENT, text, language, max_turns, max_items, profile)


def single(
    language: str = "en",
    *,
    max_turns: int = SINGLE_TURNS,
    max_items: int = 5,
    output: Output = Output.TABLE,
    profile: PromptProfile = PromptProfile.FULL,
) -> AgentSpec:
    """The single agent of the ablation: works on the whole query alone."""
    text = instructions(Role.SINGLE, language, limit=max_items, output=output, profile=profile)
    return _spec(Role.SINGLE, text, language, max_turns, max_items, profile)


def closed_book(
    language: str = "en", *, output: Output = Output.TABLE, profile: PromptProfile = PromptProfile.FULL
) -> AgentSpec:
    """The agent of the contamination check: one turn, no tool, from memory."""
    text = instructions(Role.SINGLE, language, limit=1, output=output, closed_book=True)
    return _spec(Role.SINGLE, text, language, 1, 1, profile)


def _spec(
    role: Role, instructions: str, language: str, max_turns: int, max_items: int, profile: PromptProfile
) -> AgentSpec:
    return AgentSpec(
        role=role,
        instructions=instructions,
        profile=profile,
        language=language,
        max_turns=max_turns,
        max_items=max_items,
    )


def reference_compat(spec: AgentSpec) -> AgentSpec:
    """The spec with every departure from the published reference code undone."""
    return spec.model_copy(
        update={
            "max_repairs": 0,
            "read_every_call": False,
            "read_thinking": True,
            "answer_over_limit": False,
            "withhold_tools_at_the_end": False,
            "hand_back_partial": False,
        }
    )
