"""The lead's toolbox: `call_subagent`."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from wideseek.budgets import Budgets, cut_each
from wideseek.compact import parted, report_lines
from wideseek.contracts import PromptProfile
from wideseek.messages import ToolCall, ToolSpec
from wideseek.ports import ChatModel, SubagentReport, Subagents
from wideseek.tools import SUBTASKS, Admitted, admit_calls, call_subagent_spec, subtask_items
from wideseek.trajectory import StopReason, ToolResult


def subtask_id(run_id: str, turn: int, index: int, prompt: str) -> str:
    """The same subtask of the same run always has the same id, so it is never paid twice.

    The first 16 hex digits of SHA-256 over run, turn, index and the prompt with white space normalised.
    """
    text = "\x1f".join([run_id, str(turn), str(index), _normalised(prompt)])
    return "s" + hashlib.sha256(text.encode()).hexdigest()[:16]


def _normalised(prompt: str) -> str:
    """What two wordings of one subtask have in common: its words, single spaces between them."""
    return " ".join(prompt.split())


@dataclass(frozen=True)
class DelegationTools:
    """`call_subagent` over a `Subagents` port."""

    run_id: str
    subagents: Subagents
    model: ChatModel
    max_width: int = 20
    language: str = "en"
    answer_over_limit: bool = True
    profile: PromptProfile = PromptProfile.FULL

    @property
    def specs(self) -> Sequence[ToolSpec]:
        """`call_subagent`."""
        return (call_subagent_spec(self.max_width, self.language, self.profile),)

    def admit(self, calls: Sequence[ToolCall]) -> list[Admitted | ToolResult]:
        """At most `max_width` subtasks a call; in the compact profile each once, however often a call names it."""
        over, compact = self.answer_over_limit, self.profile is PromptProfile.COMPACT
        if compact:
            calls = [call.model_copy(update={"arguments": parted(call.arguments)}) for call in calls]
        admitted = admit_calls(calls, [SUBTASKS], self.max_width, per_call=True, answer_over_limit=over)
        if not compact:
            return admitted
        return [_each_once(one) if isinstance(one, Admitted) else one for one in admitted]

    def recall(self, result: ToolResult) -> None:
        """Nothing to remember: reports stand in the context."""

    async def call(self, turn: int, admitted: Admitted, room_tokens: int) -> ToolResult:
        """Hand out the subtasks and wait for their reports, each cut to its share of the wave's budget."""
        prompts = [item["prompt"] for item in admitted.items]
        ids = [
            subtask_id(self.run_id, turn, admitted.first_index + number, prompt)
            for number, prompt in enumerate(prompts)
        ]
        reports = await self.subagents.run(subtask_items(admitted, turn, ids))
        compact = self.profile is PromptProfile.COMPACT
        shown = await (self._lines(reports, room_tokens) if compact else self._blocks(prompts, reports, room_tokens))
        return ToolResult(
            call=admitted.call,
            content=("\n" if compact else "\n\n").join([*shown, *admitted.notes]),
            subtask_ids=tuple(ids),
            failed=all(report.stop_reason is None for report in reports),
        )

    async def _blocks(self, prompts: Sequence[str], reports: Sequence[SubagentReport], room_tokens: int) -> list[str]:
        """Each report under its subtask and how it ended."""
        headings = [
            f"## Subtask {number}\n{prompt}\n## Result {number} ({stop_word(report)})\n"
            for number, (prompt, report) in enumerate(zip(prompts, reports, strict=True), 1)
        ]
        texts = await self._cut(headings, reports, room_tokens)
        return [heading + text for heading, text in zip(headings, texts, strict=True)]

    async def _lines(self, reports: Sequence[SubagentReport], room_tokens: int) -> list[str]:
        """The reports numbered, as the compact profile has them."""
        ended = [stop_word(report) for report in reports]
        texts = await self._cut([report_lines([(word, "")]) for word in ended], reports, room_tokens)
        return [report_lines(list(zip(ended, texts, strict=True)))]

    async def _cut(self, headings: Sequence[str], reports: Sequence[SubagentReport], room_tokens: int) -> list[str]:
        """The reports' texts within the wave's budget and what the context has left beside the headings."""
        head_tokens = sum(await self.model.count_tokens(headings))
        budget = Budgets(self.model.max_model_len).report(len(reports)) * len(reports)
        room = max(min(budget, room_tokens - head_tokens), len(reports))
        return await cut_each(self.model, [report.text for report in reports], room)


def _each_once(admitted: Admitted) -> Admitted:
    """A small policy repeats itself in long lists; a row that is looked up twice would stand twice in its table."""
    unique: dict[str, dict[str, Any]] = {}
    for item in admitted.items:
        unique.setdefault(_normalised(item["prompt"]), item)
    return admitted.model_copy(update={"items": tuple(unique.values())})


def stop_word(report: SubagentReport) -> str:
    """How a report ended, in one word for the lead: `answered`, a limit, or `failed`."""
    return (report.stop_reason or "failed") if report.stop_reason != StopReason.ANSWERED else "answered"
