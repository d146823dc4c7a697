"""The modes of a run: which agent answers it, and with which tools.

| mode | who answers | tools |
| --- | --- | --- |
| `multi_agent` | the lead | `call_subagent`: subagents side by side |
| `sequential` | the lead | `call_subagent`: one subagent at a time |
| `oracle_retrieval` | the lead | `call_subagent`: subagents find the pages that the request names, and no other |
| `single_agent` | one agent | `search` and `access` |
| `closed_book` | one agent, in one turn | none |
"""

from dataclasses import dataclass

from wideseek import agents
from wideseek.agents import AgentSpec
from wideseek.compact import LEAD_WIDTH
from wideseek.contracts import Mode, PromptProfile, RunRequest, profile_of
from wideseek.delegation import DelegationTools
from wideseek.ports import Budget, ChatModel, Retrieval, Subagents
from wideseek.retrieval_tools import RetrievalTools
from wideseek.tools import NoTools, Toolbox

WITH_SUBAGENTS = frozenset({Mode.MULTI_AGENT, Mode.SEQUENTIAL, Mode.ORACLE_RETRIEVAL})
"""Modes in which a lead hands out subtasks."""

_SINGLE_ITEMS = 5
"""Searches and pages a single agent may ask for in one turn: as many as one subagent."""


def needs_retrieval(mode: Mode) -> bool:
    """Whether agents of a run may search."""
    return mode is not Mode.CLOSED_BOOK


def with_own_limits(request: RunRequest) -> RunRequest:
    """The request with the turns its agent gets, and the subtasks a call, written into its limits.

    A caller who names none gets the mode's own turns and the profile's own width; a closed book has one turn whatever
    is asked.
    """
    limits, named = request.limits, request.limits.model_fields_set
    turns, width = limits.max_turns, limits.max_width
    if request.mode is Mode.CLOSED_BOOK:
        turns = 1
    elif request.mode is Mode.SINGLE_AGENT and "max_turns" not in named:
        turns = agents.SINGLE_TURNS
    if profile_of(request) is PromptProfile.COMPACT and "max_width" not in named:
        width = LEAD_WIDTH
    return request.model_copy(update={"limits": limits.model_copy(update={"max_turns": turns, "max_width": width})})


def answering_agent(request: RunRequest, language: str) -> AgentSpec:
    """The agent that answers a run."""
    limits, output, profile = request.limits, request.output, profile_of(request)
    if request.mode is Mode.CLOSED_BOOK:
        return agents.closed_book(language, output=output, profile=profile)
    if request.mode is Mode.SINGLE_AGENT:
        return agents.single(
            language, max_turns=limits.max_turns, max_items=_SINGLE_ITEMS, output=output, profile=profile
        )
    return agents.lead(language, max_turns=limits.max_turns, max_width=limits.max_width, output=output, profile=profile)


@dataclass(frozen=True)
class Surroundings:
    """What an agent's tools reach."""

    run_id: str
    subagents: Subagents
    retrieval: Retrieval
    budget: Budget


def toolbox(request: RunRequest, spec: AgentSpec, model: ChatModel, task: str, around: Surroundings) -> Toolbox:
    """The tools of the agent that answers a run; new ones for each attempt, since they remember what it was shown."""
    if request.mode is Mode.CLOSED_BOOK:
        return NoTools()
    if request.mode is Mode.SINGLE_AGENT:
        return RetrievalTools(
            around.retrieval,
            model,
            around.budget,
            task=task,
            urls=request.sources.urls,
            spec=spec,
        )
    return DelegationTools(around.run_id, around.subagents, model, spec.max_items, spec.language, profile=spec.profile)
