"""The turn loop, one for all roles: for serving and for training.

    while turns are left:   complete  →  read calls  →  run them side by side  →  extend the context

What the policy gets wrong is a failed result it can read; what runs out is a stop reason; what is down
raises. A recorded beginning (`Recorded`) is walked through the same loop without asking anyone twice,
which is how a run continues after its process died.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from wideseek.agents import AgentSpec
from wideseek.budgets import Budgets, inert
from wideseek.concurrency import run_all
from wideseek.errors import PromptTooLong
from wideseek.events import AgentEvent, ToolCalled, ToolCompleted, TurnCompleted, TurnStarted
from wideseek.messages import ChatRole, Completion, Malformed, Message, Sampling, ToolCall
from wideseek.ports import Budget, ChatModel, Context
from wideseek.prompts import turn_hint
from wideseek.toolcalls import closed_up, parse_tool_calls, unclosed_thought
from wideseek.tools import Admitted, Toolbox
from wideseek.trajectory import StopReason, ToolResult, Trajectory, Turn

Emit = Callable[[AgentEvent], Awaitable[None]]
"""Takes each fact as it happens; the loop waits, so a fact is kept before anything follows from it."""


@dataclass(frozen=True)
class Recorded:
    """Facts of an earlier attempt, by turn (from 1) and by turn and place of the call (from 0)."""

    completions: Mapping[int, Completion] = field(default_factory=dict)
    results: Mapping[tuple[int, int], ToolResult] = field(default_factory=dict)


@dataclass
class _Progress:
    """Where a trajectory is; kept outside the loop so that a deadline keeps the turns taken."""

    turns: list[Turn] = field(default_factory=list)
    repairs: int = 0
    """Unreadable turns in a row."""


@dataclass(frozen=True)
class Agent:
    """A spec and what it works with. Holds no state of a run, so one may run many tasks at once."""

    spec: AgentSpec
    model: ChatModel
    tools: Toolbox
    budget: Budget
    emit: Emit
    sampling: Sampling = field(default_factory=Sampling)
    agent_id: str = "lead"
    attempt: int = 1

    async def run(self, task: str, *, max_seconds: float | None = None, recorded: Recorded | None = None) -> Trajectory:
        """Work on `task` until it is answered or something runs out.

        Raises `UpstreamError` when the model or a tool is down, and `CancelledError` when cancelled.
        """
        progress = _Progress()
        try:
            async with asyncio.timeout(max_seconds) as deadline:
                stop_reason = await self._take_turns(task, progress, recorded or Recorded())
        except TimeoutError:
            if not deadline.expired():
                raise
            stop_reason = StopReason.DEADLINE
        return Trajectory(
            agent_id=self.agent_id,
            role=self.spec.role,
            task=task,
            turns=tuple(progress.turns),
            stop_reason=stop_reason,
        )

    async def _take_turns(self, task: str, progress: _Progress, recorded: Recorded) -> StopReason:
        final = self._is_last(1)
        context = await self._begin(task, final=final)
        number = 1
        while True:
            completion = recorded.completions.get(number) or await self._complete(context, number, final=final)
            if isinstance(completion, StopReason):
                return completion
            calls = self._read(completion, final=final)
            if not calls or completion.truncated or final or self._gives_up_on(calls):
                progress.turns.append(Turn(completion=completion))
                return self._ending(completion, calls, final=final, number=number)
            results = await self._results(context, completion, calls, number, recorded)
            progress.turns.append(Turn(completion=completion, results=tuple(results)))
            if number >= self.spec.max_turns:
                return StopReason.TURN_LIMIT
            number += 1
            extended = await self._extend(context, completion, results, number, progress)
            if extended is None:
                return StopReason.CONTEXT_LIMIT
            context, final = extended

    async def _begin(self, task: str, *, final: bool) -> Context:
        messages = [
            Message(role=ChatRole.SYSTEM, text=self.spec.instructions),
            Message(role=ChatRole.USER, text=f"{inert(task)}\n\n{self._hint(1, final=final)}".rstrip()),
        ]
        return await self.model.begin(messages, self.tools.specs)

    async def _complete(self, context: Context, number: int, *, final: bool) -> Completion | StopReason:
        """Sample within what the context and the purse have left; a stop reason when that is nothing."""
        room = self.model.max_model_len - context.num_tokens
        if room <= 0:
            return StopReason.CONTEXT_LIMIT
        max_tokens = min(room, self.spec.max_completion_tokens or Budgets(self.model.max_model_len).completion)
        reserved = context.num_tokens + max_tokens
        if not await self.budget.reserve(tokens=reserved):
            return StopReason.BUDGET
        spent = 0
        try:
            await self.emit(TurnStarted(agent_id=self.agent_id, role=self.spec.role, turn=number, attempt=self.attempt))
            completion = await self.model.complete(context, self.sampling, max_tokens=max_tokens, final=final)
            spent = completion.prompt_tokens + completion.completion_tokens
        except PromptTooLong:
            return StopReason.CONTEXT_LIMIT
        finally:
            await self.budget.settle(tokens=reserved - spent)
        await self.emit(
            TurnCompleted(
                agent_id=self.agent_id,
                role=self.spec.role,
                turn=number,
                completion=completion,
                attempt=self.attempt,
                max_tokens=max_tokens,
            )
        )
        return completion

    def _read(self, completion: Completion, *, final: bool) -> list[ToolCall | Malformed]:
        if completion.calls is not None:
            calls = list(completion.calls)
        else:
            text = closed_up(completion.text) if completion.looped else completion.text
            calls = parse_tool_calls(text, thinking_too=self.spec.read_thinking)
        if not calls and not final and (unfinished := unclosed_thought(completion.text)):
            return [unfinished]
        return calls if self.spec.read_every_call else calls[:1]

    def _gives_up_on(self, calls: Sequence[ToolCall | Malformed]) -> bool:
        """The reference takes an unreadable call for the answer."""
        return self.spec.max_repairs == 0 and all(isinstance(call, Malformed) for call in calls)

    def _ending(
        self, completion: Completion, calls: Sequence[ToolCall | Malformed], *, final: bool, number: int
    ) -> StopReason:
        if completion.truncated:
            return StopReason.CONTEXT_LIMIT
        if calls and final:
            return StopReason.TURN_LIMIT if number >= self.spec.max_turns else StopReason.CONTEXT_LIMIT
        return StopReason.ANSWERED

    async def _results(
        self,
        context: Context,
        completion: Completion,
        calls: Sequence[ToolCall | Malformed],
        number: int,
        recorded: Recorded,
    ) -> list[ToolResult]:
        """One result a call, in order; a recorded one is not asked for again."""
        admitted = iter(self.tools.admit([call for call in calls if isinstance(call, ToolCall)]))
        plans = [_unreadable(call) if isinstance(call, Malformed) else next(admitted) for call in calls]
        used = context.num_tokens + completion.completion_tokens
        room = max(1, (self.model.max_model_len - used - Budgets(self.model.max_model_len).answer) // len(plans))

        async def serve(index: int, plan: Admitted | ToolResult) -> ToolResult:
            known = recorded.results.get((number, index))
            if known is None:
                return await self._serve(number, index, plan, room)
            self.tools.recall(known)
            return known

        return await run_all(serve(index, plan) for index, plan in enumerate(plans))

    async def _serve(self, number: int, index: int, plan: Admitted | ToolResult, room: int) -> ToolResult:
        place = {"agent_id": self.agent_id, "role": self.spec.role, "turn": number, "index": index}
        if isinstance(plan, ToolResult):
            result = plan
        else:
            await self.emit(ToolCalled.model_validate({**place, "call": plan.call, "attempt": self.attempt}))
            started = asyncio.get_running_loop().time()
            result = await self.tools.call(number, plan, room)
            seconds = asyncio.get_running_loop().time() - started
            result = result.model_copy(update={"seconds": round(seconds, 6)})
        result = result.model_copy(update={"content": inert(result.content)})
        await self.emit(ToolCompleted.model_validate({**place, "result": result, "attempt": self.attempt}))
        return result

    async def _extend(
        self, context: Context, completion: Completion, results: Sequence[ToolResult], number: int, progress: _Progress
    ) -> tuple[Context, bool] | None:
        """The next prompt, and whether it is for the last turn; None when nothing fits behind it."""
        unreadable = all(result.call is None for result in results)
        progress.repairs = progress.repairs + 1 if unreadable else 0
        give_up = self.spec.max_repairs > 0 and progress.repairs >= self.spec.max_repairs
        try:
            if not (final := self._is_last(number) or give_up):
                extended = await self.model.extend(context, completion, results, self._hint(number, repair=unreadable))
                final = self._is_full(extended)
            if final:
                extended = await self.model.extend(context, completion, results, self._hint(number, final=True))
        except PromptTooLong:
            return None
        return (extended, final) if extended.num_tokens < self.model.max_model_len else None

    def _hint(self, number: int, *, final: bool = False, repair: bool = False) -> str:
        spec = self.spec
        return turn_hint(spec.language, number, spec.max_turns, final=final, repair=repair, profile=spec.profile)

    def _is_last(self, number: int) -> bool:
        return self.spec.withhold_tools_at_the_end and number >= self.spec.max_turns

    def _is_full(self, context: Context) -> bool:
        """Whether another round of calls and results would leave no room for an answer."""
        room = self.model.max_model_len - context.num_tokens
        return self.spec.withhold_tools_at_the_end and room < 2 * Budgets(self.model.max_model_len).answer


def _unreadable(call: Malformed) -> ToolResult:
    return ToolResult(call=None, content=f"This call could not be read: {call.problem}", failed=True)
