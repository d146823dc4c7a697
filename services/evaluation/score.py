"""Responses scored one by one: a line each, in their order, and the means of all."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from services.evaluation.files import Response
from services.kit.tasks import Checks, Loaded
from wideseek.concurrency import run_all
from wideseek.instances import InvalidInstance, Question, WideTask
from wideseek.metrics import ScoreOptions, score_robust
from wideseek.ports import Judge
from wideseek.questions import score_answer

_AT_ONCE = 8
"""Responses scored side by side; a judge behind an endpoint answers several at a time."""

Line = Mapping[str, Any]
"""What is written of one response."""


class ScoreMode(StrEnum):
    """Which scorer's numbers are asked for."""

    OFFICIAL = "official"
    ROBUST = "robust"

    @property
    def checks(self) -> Checks:
        """What has to be right of a task file."""
        return Checks.OFFICIAL if self is ScoreMode.OFFICIAL else Checks.ROBUST


@dataclass(frozen=True)
class Scorer:
    """One way to score."""

    mode: ScoreMode
    judge: Judge
    answer_judge: Judge | None
    """Asked about answers to questions; None leaves them to exact match and F1."""
    options: ScoreOptions

    def check_gold(self, tasks: Sequence[Loaded]) -> None:
        """Raise InvalidInstance, naming the place, for a gold that official mode cannot read."""
        if self.mode is not ScoreMode.OFFICIAL:
            return
        from wideseek.official import gold_frame  # noqa: PLC0415  # pandas, only where official numbers are asked for

        for loaded in tasks:
            if isinstance(loaded.task, WideTask):
                try:
                    gold_frame(loaded.task)
                except InvalidInstance as error:
                    raise loaded.place.fault(str(error)) from error

    async def line(self, loaded: Loaded, response: Response) -> Line:
        """What is written of this response. Raises JudgeUnavailable when the judge is down."""
        head = {"instance_id": response.instance_id, "trial": response.trial}
        if loaded.rejected:
            return {**head, "rejected": True, "why": loaded.rejected}
        if isinstance(loaded.task, Question):
            return {**head, **await self._answer(loaded.task, response)}
        return {**head, **await self._table(loaded.task, response)}

    async def _answer(self, question: Question, response: Response) -> Line:
        found = await score_answer(response.response_text or "", question, self.answer_judge)
        judged = {} if found.judged is None else {"judged": found.judged}
        return {"em": found.em, "f1": found.f1, **judged}

    async def _table(self, task: WideTask, response: Response) -> Line:
        if self.mode is ScoreMode.ROBUST:
            table = await score_robust(response.response_text, task, self.judge, self.options)
            return table.scores.model_dump()
        from wideseek.official import score_official  # noqa: PLC0415  # as above

        return (await score_official(response.response_text, task, self.judge)).model_dump()


async def score_responses(
    tasks: Sequence[Loaded], responses: Sequence[Response], scorer: Scorer, advance: Callable[[], None]
) -> list[Line]:
    """A line a response, in their order; `advance` is called as each is scored.

    Raises InvalidInstance for a gold that cannot be read, before anything is scored, and JudgeUnavailable.
    """
    scorer.check_gold(tasks)
    by_name = {loaded.task.instance_id: loaded for loaded in tasks}
    free = asyncio.Semaphore(_AT_ONCE)

    async def scored(response: Response) -> Line:
        async with free:
            line = await scorer.line(by_name[response.instance_id], response)
        advance()
        return line

    return await run_all(scored(response) for response in responses)


_MEANS = {
    "f1_by_item": "item F1",
    "f1_by_row": "row F1",
    "score": "success",
    "em": "EM",
    "f1": "F1",
    "judged": "judged",
}


def means(lines: Sequence[Line]) -> str:
    """The means of all that was scored, in words: `12 responses: item F1 0.731, row F1 0.512, success 0.250`."""
    parts = []
    for name, title in _MEANS.items():
        values = [line[name] for line in lines if name in line]
        if values:
            parts.append(f"{title} {sum(values) / len(values):.3f}")
    rejected = sum("rejected" in line for line in lines)
    what = [", ".join(parts)] if parts else []
    what += [f"{rejected} rejected"] if rejected else []
    count = len(lines)
    return f"{count} {'response' if count == 1 else 'responses'}: {'; '.join(what)}"


def unanswered(tasks: Sequence[Loaded], responses: Sequence[Response]) -> list[str]:
    """Ids of the tasks that no response answers, in the order of the task file."""
    answered = {response.instance_id for response in responses}
    return [loaded.task.instance_id for loaded in tasks if loaded.task.instance_id not in answered]
