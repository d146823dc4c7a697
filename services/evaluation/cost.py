"""What a run took, read from its public events: tokens, calls, time, money, energy; and what it opened and fumbled.

    energy = 2 * N * tokens / (FLOP per joule)

is an estimate, not a measurement. A forward pass takes about 2N FLOP a token for N parameters (Kaplan et al. 2020,
arXiv:2001.08361, section 2.1; attention over the context comes on top). `Rates` holds the assumptions, which a
summary states beside the numbers. Every prompt token counts in full although engines keep prefixes, so tokens
and money are what a caller without a prefix cache would pay.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import Field, ValidationError

from services.evaluation.results import Cost
from services.evaluation.timeline import Step, Timeline
from wideseek.contracts import Mode, Run
from wideseek.errors import ContractViolation
from wideseek.events import SubagentQueued, ToolCalled, ToolCompleted, TurnCompleted, TurnStarted
from wideseek.tools import QUERIES, SUBTASKS, URLS, Items
from wideseek.trajectory import Role, ToolResult, Usage
from wideseek.values import Frozen

FLOP_PER_JOULE = 4.2e11
"""An H100 SXM at 30 % of its peak: 989.4e12 dense bfloat16 FLOP/s (data sheet) * 0.3 / 700 W.

Published utilisation is 76 % for long prompts in large batches (Pope et al. 2022, arXiv:2211.05102) and a few per
cent for sampling in small ones; a cluster that is far from 30 % should set its own figure.
"""

_JOULES_PER_WH = 3_600
_STEPS: dict[str, type[Step]] = {
    "turn.started": TurnStarted,
    "turn.completed": TurnCompleted,
    "tool.called": ToolCalled,
    "tool.completed": ToolCompleted,
    "subagent.queued": SubagentQueued,
}


class Rates(Frozen):
    """Assumptions behind money and energy; one price and one size for all agents of a run."""

    usd_per_mtok_prompt: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """Dollars for a million prompt tokens; 0 where nobody is paid by the token."""
    usd_per_mtok_completion: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """Dollars for a million sampled tokens."""
    params_billion: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Parameters that a token passes through (the active ones of a mixture); None: unknown, no energy is estimated."""
    flop_per_joule: float = Field(default=FLOP_PER_JOULE, gt=0, allow_inf_nan=False)
    """What the accelerator achieves, not what it could."""

    def usd(self, usage: Usage) -> float:
        """The price of so many tokens."""
        prompt = usage.prompt_tokens * self.usd_per_mtok_prompt
        return (prompt + usage.completion_tokens * self.usd_per_mtok_completion) / 1e6

    def energy_wh(self, usage: Usage) -> float | None:
        """The estimate for so many tokens, in watt-hours; None when the model's size is not known."""
        if self.params_billion is None:
            return None
        flop = 2 * self.params_billion * 1e9 * (usage.prompt_tokens + usage.completion_tokens)
        return flop / self.flop_per_joule / _JOULES_PER_WH

    def assumptions(self) -> dict[str, float | str]:
        """The figures, as a summary states them."""
        return {
            "usd_per_mtok_prompt": self.usd_per_mtok_prompt,
            "usd_per_mtok_completion": self.usd_per_mtok_completion,
            "params_billion": self.params_billion or "unknown: no energy is estimated",
            "flop_per_joule": self.flop_per_joule,
            "energy": "an estimate: 2 FLOP a parameter and token, over the FLOP a joule buys",
        }


class Measured(Frozen):
    """What a run's events say besides its answer."""

    cost: Cost
    opened: frozenset[str]
    """Addresses of the pages that an agent of the run read."""
    format_failures: int
    """Tool calls that could not be read, name no tool of their agent, or lack what the tool needs."""


def measure(events: Sequence[Mapping[str, Any]], run: Run, *, rates: Rates, accepted_rows: int | None) -> Measured:
    """Measure an ended run by its public events, all of them in order.

    `accepted_rows` are the rows of the answer that are right in full; None for a question. Raises
    `ContractViolation` when an event cannot be read.
    """
    timeline = Timeline(sequential=run.mode is Mode.SEQUENTIAL)
    usage, opened, failures = Usage(), set[str](), 0
    for step in _steps(events):
        timeline.add(step)
        if isinstance(step, TurnCompleted):
            done = step.completion
            usage += Usage(prompt_tokens=done.prompt_tokens, completion_tokens=done.completion_tokens, model_calls=1)
        elif isinstance(step, ToolCompleted):
            usage += Usage(tool_calls=1)
            opened |= _opened(step.result)
            failures += _badly_written(step)
    cost = _cost(timeline, usage, run, rates, accepted_rows)
    return Measured(cost=cost, opened=frozenset(opened), format_failures=failures)


def _cost(timeline: Timeline, usage: Usage, run: Run, rates: Rates, accepted_rows: int | None) -> Cost:
    path, tokens, usd = timeline.critical_path(), usage.prompt_tokens + usage.completion_tokens, rates.usd(usage)
    waves = tuple(len(timeline.waves[turn]) for turn in sorted(timeline.waves))
    wall_s = run.completed_at - run.started_at if run.completed_at and run.started_at else 0.0
    return Cost(
        tokens=tokens,
        model_calls=usage.model_calls,
        tool_calls=usage.tool_calls,
        subagents=sum(waves),
        waves=waves,
        turns=timeline.turns(),
        wall_s=max(0.0, wall_s),
        work_s=timeline.work_s,
        critical_path_s=path.seconds,
        critical_path_calls=path.model_calls,
        usd=usd,
        energy_wh=rates.energy_wh(usage),
        usd_per_row=usd / accepted_rows if accepted_rows else None,
        tokens_per_row=tokens / accepted_rows if accepted_rows else None,
    )


def _steps(events: Sequence[Mapping[str, Any]]) -> Iterator[Step]:
    """The facts of model and tool calls; texts that stay in the log are empty here."""
    for event in events:
        if event.get("type") in _STEPS:
            try:
                yield _STEPS[event["type"]].model_validate(_whole(event))
            except ValidationError as error:
                place = f"event {event.get('sequence_number')} ({event['type']})"
                raise ContractViolation(f"{place} cannot be read: {error}") from error


def _whole(event: Mapping[str, Any]) -> dict[str, Any]:
    """A public event with the shape it has in the log."""
    fact = {name: value for name, value in event.items() if name != "sequence_number"}
    if fact["type"] == "tool.completed" and isinstance(result := fact.get("result"), Mapping):
        shown = {name: value for name, value in result.items() if name != "content_chars"}
        fact["result"] = {"content": "", **shown}
    return fact


def _opened(result: ToolResult) -> set[str]:
    if result.call is None or result.call.name != URLS.tool:
        return set()
    return {source.url for source in result.sources}


def _badly_written(step: ToolCompleted) -> bool:
    """Whether a call failed by its form; one that found nothing or was one too many is well written."""
    if not step.result.failed:
        return False
    call = step.result.call
    kind = _kinds(step.role).get(call.name) if call is not None else None
    return call is None or kind is None or isinstance(kind.read(call), str)


def _kinds(role: Role) -> dict[str, Items]:
    kinds = [SUBTASKS] if role is Role.LEAD else [QUERIES, URLS]
    return {kind.tool: kind for kind in kinds}
