"""Token budgets: shares of the engine's context, and texts shortened to fit them."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from wideseek.contracts import Passage
from wideseek.ports import ChatModel

GAP = "\n[...]\n"
"""What stands where part of a page was left out."""

_SHRINK = 0.95
"""Cut a little below the proportional length, so that the second count usually fits."""

_USUAL_CHARS = 3.0
"""Characters a token of a page full of names and numbers usually has: where the choice of passages begins."""

_MOST_CHARS = 8
"""Characters a token hardly ever has on average: a longer page need not be counted to be known too long."""

_SPECIAL = re.compile(r"<(?=\||/?(?:tool_call|tool_response|think|tools)>)")


@dataclass(frozen=True)
class Budgets:
    """Shares of an engine's context of `max_model_len` tokens."""

    max_model_len: int

    @property
    def page(self) -> int:
        """One page: a quarter."""
        return self.max_model_len // 4

    @property
    def hits(self) -> int:
        """All hits of one call: an eighth."""
        return self.max_model_len // 8

    def report(self, num_reports: int) -> int:
        """One report of a wave: half the context shared evenly, at least 64."""
        return max(64, self.max_model_len // 2 // max(1, num_reports))

    @property
    def completion(self) -> int:
        """One completion, unless its agent's spec says otherwise: a quarter."""
        return max(64, self.max_model_len // 4)

    @property
    def answer(self) -> int:
        """Room kept for the answer of the last turn: an eighth, at least 256 and at most half."""
        return min(max(256, self.max_model_len // 8), self.max_model_len // 2)


def inert(text: str) -> str:
    """Text from outside, unable to pose as a special token or a tool call of the chat template."""
    return _SPECIAL.sub("< ", text)


def surely_fits(text: str, max_tokens: int) -> bool:
    """Whether a text fits without asking the engine: a token is at least one UTF-8 byte of it."""
    return len(text) <= max_tokens and len(text.encode()) <= max_tokens


async def cut(model: ChatModel, text: str, max_tokens: int) -> str:
    """The longest beginning of `text`, about, that has at most `max_tokens` tokens."""
    if surely_fits(text, max_tokens):
        return text
    (num_tokens,) = await model.count_tokens([text])
    while num_tokens > max_tokens:
        text = text[: int(len(text) * max_tokens / num_tokens * _SHRINK)].rstrip()
        (num_tokens,) = await model.count_tokens([text])
    return text


async def cut_each(model: ChatModel, texts: Sequence[str], max_tokens: int) -> list[str]:
    """Each text cut to its even share of `max_tokens`; what short texts leave goes to the long ones."""
    if surely_fits("".join(texts), max_tokens):
        return list(texts)
    counts = await model.count_tokens(texts)
    left, shares = max_tokens, [0] * len(texts)
    for place, number in enumerate(sorted(range(len(texts)), key=lambda number: counts[number])):
        shares[number] = min(counts[number], max(1, left // (len(texts) - place)))
        left -= shares[number]
    return [
        text if count <= share else await cut(model, text, share)
        for text, count, share in zip(texts, counts, shares, strict=True)
    ]


async def select(
    model: ChatModel,
    text: str,
    passages: Sequence[Passage],
    max_tokens: int,
    *,
    show: Callable[[Sequence[str]], str] | None = None,
) -> list[tuple[int, int]]:
    """Spans of `text` that fit `max_tokens`: the whole, or the best passages, in the order of the text.

    `passages` come best first. Neighbours are joined across the white space between them. With `show`, which puts
    parts into the words they are shown in, only passages are taken, and their shown length counts.
    """
    if show is None and surely_fits(text, max_tokens):
        return [(0, len(text))]
    if show is None and len(text) <= _MOST_CHARS * max_tokens and (await model.count_tokens([text]))[0] <= max_tokens:
        return [(0, len(text))]
    budget = _USUAL_CHARS * max_tokens
    while True:
        spans = _best(text, passages, budget, show or GAP.join)
        (num_tokens,) = await model.count_tokens([(show or GAP.join)([text[start:end] for start, end in spans])])
        if num_tokens <= max_tokens:
            return spans
        budget *= max_tokens / num_tokens * _SHRINK


def _best(
    text: str, passages: Sequence[Passage], budget: float, show: Callable[[Sequence[str]], str]
) -> list[tuple[int, int]]:
    chosen: list[tuple[int, int]] = []
    used = 0.0
    for passage in passages:
        size = len(show([text[passage.start : passage.end], ""]))
        if used + size <= budget:
            chosen.append((passage.start, passage.end))
            used += size
    if not chosen:
        start = passages[0].start if passages else 0
        chosen = [(start, start + int(budget))]
    merged: list[tuple[int, int]] = []
    for start, end in sorted(chosen):
        if merged and not text[merged[-1][1] : start].strip():
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
