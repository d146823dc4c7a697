"""`LlmJudge`: a judge behind any OpenAI-compatible endpoint. An outage is raised, never scored.

Asked at temperature 0, in our own words after what WideSearch's scorer asks (arXiv:2508.07999, section 4). A reply is
the last ```json block, or the bare object, after thinking. What cannot be read is asked again, what is left out
too; after three tries it is `JudgeUnavailable`. Names that were not asked about are dropped, scores are 0 or 1.
"""

import asyncio
import json
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from wideseek.clients._http import Http
from wideseek.clients.judge_cache import MemoryCache, ReplyCache
from wideseek.clients.judge_prompts import align_prompt, answer_prompt, cells_prompt
from wideseek.concurrency import run_all
from wideseek.errors import ContractViolation, JudgeUnavailable
from wideseek.ports import Alignment, AnswerPair, ColumnPairs
from wideseek.toolcalls import after_thinking

TRIES = 3
"""How often one thing is asked before its replies count as an outage."""

CELLS_PER_CALL = 40
"""Cells that one prompt asks about."""

_BLOCK = re.compile(r"```(?:json|JSON)\s*(.*?)```", re.DOTALL)
_AGAIN = "Your last reply could not be read, or left out something asked. Reply with the JSON object only, complete."
_WORDS = {"true": 1, "yes": 1, "correct": 1, "1": 1, "1.0": 1, "false": 0, "no": 0, "incorrect": 0, "0": 0, "0.0": 0}

Answer = TypeVar("Answer")


class _Lenient(BaseModel):
    model_config = ConfigDict(extra="ignore")


class _Message(_Lenient):
    content: str | None = None


class _Choice(_Lenient):
    message: _Message


class _Chat(_Lenient):
    choices: list[_Choice] = Field(min_length=1)


def judge_http(url: str, *, api_key: str | None = None, timeout_s: float = 120) -> Http:
    """Connections to an OpenAI-compatible endpoint; `url` may end in `/v1`."""
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else None
    return Http(url.rstrip("/").removesuffix("/v1"), JudgeUnavailable, timeout_s=timeout_s, headers=headers)


class LlmJudge:
    """A `Judge` that asks a language model. Raises `JudgeUnavailable` for outages and unreadable replies."""

    def __init__(
        self,
        http: Http,
        model: str,
        *,
        cache: ReplyCache | None = None,
        max_concurrency: int = 8,
        max_tokens: int = 10_240,
    ) -> None:
        self._http = http
        self._model = model
        self._cache = cache if cache is not None else MemoryCache()
        self._slots = asyncio.Semaphore(max_concurrency)
        self._max_tokens = max_tokens

    async def align(self, alignment: Alignment) -> Mapping[str, str]:
        """Found value -> wanted value, as far as both were asked about."""
        if not alignment.found or not alignment.wanted:
            return {}
        said = await self._asked(align_prompt(alignment), lambda reply: reply)
        found, wanted = set(alignment.found), set(alignment.wanted)
        return {
            origin: target
            for origin, target in said.items()
            if origin in found and isinstance(target, str) and target in wanted
        }

    async def judge_column(self, cells: ColumnPairs) -> Sequence[float]:
        """0 or 1 a pair, in order."""
        numbers = range(len(cells.pairs))
        parts = [numbers[first : first + CELLS_PER_CALL] for first in numbers[::CELLS_PER_CALL]]
        scored = await run_all(self._judged(cells, part) for part in parts)
        return [score for part in scored for score in part]

    async def judge_answer(self, answer: AnswerPair) -> bool:
        """Whether the model calls the answer right."""
        return await self._asked(answer_prompt(answer), _correct)

    async def _judged(self, cells: ColumnPairs, numbers: Sequence[int]) -> list[float]:
        """Scores of some cells; those a reply leaves out are asked again, alone."""
        scores: dict[int, float] = {}
        for attempt in range(1, TRIES + 1):
            left = [number for number in numbers if number not in scores]
            if not left:
                break
            read, whole = partial(_scores, left), partial(_covers, left)
            scores |= await self._asked(cells_prompt(cells, left), read, whole=whole, again=attempt > 1)
        missing = [number for number in numbers if number not in scores]
        if missing:
            raise JudgeUnavailable(f"the judge left out {len(missing)} cells of {cells.column!r} in {TRIES} replies")
        return [scores[number] for number in numbers]

    async def _asked(
        self,
        prompt: str,
        read: Callable[[dict[str, Any]], Answer],
        *,
        whole: Callable[[Answer], bool] = lambda _: True,
        again: bool = False,
    ) -> Answer:
        """What `read` makes of the reply's object; asked again while it cannot be read, kept when it is `whole`."""
        reply = ""
        for attempt in range(1, TRIES + 1):
            text = f"{prompt}\n\n{_AGAIN}" if again or attempt > 1 else prompt
            known = self._cache.get(self._model, text)
            reply = known if known is not None else await self._completed(text)
            try:
                answer = read(_object(reply))
            except (ValueError, KeyError, TypeError):
                continue
            if known is None and whole(answer):
                self._cache.put(self._model, text, reply)
            return answer
        raise JudgeUnavailable(f"the judge's replies cannot be read, the last of {TRIES} begins: {reply[:200]!r}")

    async def _completed(self, prompt: str) -> str:
        """One reply; empty when the endpoint answered something that is none."""
        body = {
            "model": self._model,
            "messages": [{"role": "user", "content": prompt}],
            "temperature": 0,
            "max_tokens": self._max_tokens,
        }
        async with self._slots:
            try:
                chat = await self._http.post("/v1/chat/completions", body, _Chat)
            except ContractViolation as error:
                if isinstance(error.__cause__, ValidationError):
                    return ""
                raise
        return chat.choices[0].message.content or ""


def _object(reply: str) -> dict[str, Any]:
    """The JSON object of a reply. Raises ValueError when there is none."""
    said = after_thinking(reply)
    blocks = _BLOCK.findall(said)
    bare = said[said.find("{") : said.rfind("}") + 1]
    value = json.loads(blocks[-1] if blocks else bare)
    if not isinstance(value, dict):
        raise TypeError("not a JSON object")
    return value


def _scores(numbers: Sequence[int], said: Mapping[str, Any]) -> dict[int, float]:
    """The scores a reply gives, clamped to 0 or 1; what is no score counts as left out."""
    told = {number: _verdict(said.get(f"idx_{number}")) for number in numbers}
    return {number: score for number, score in told.items() if score is not None}


def _covers(numbers: Sequence[int], scores: Mapping[int, float]) -> bool:
    return len(scores) == len(numbers)


def _correct(said: Mapping[str, Any]) -> bool:
    verdict = _verdict(said["correct"])
    if verdict is None:
        raise ValueError("neither right nor wrong")
    return verdict == 1


def _verdict(value: Any) -> float | None:
    """1 from 0.5 on, else 0; None for what says neither."""
    if isinstance(value, dict):
        value = value.get("score")
    if isinstance(value, str):
        value = _WORDS.get(value.strip().casefold())
    if not isinstance(value, bool | int | float) or value != value:  # noqa: PLR0124  not a number
        return None
    return float(value >= 0.5)
