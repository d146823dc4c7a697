"""Token budgets: shares of the engine's context, and texts shortened to fit them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from wideseek.contracts import Passage
from wideseek.ports import ChatModel

GAP = "\n[...]\n"
"""What stands where part of a page was left out."""

_SHRINK = 0.95
"""Cut a little below the proportional length, so that the second count usually fits."""

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
    def answer(self) -> int:
        """Room kept for the answer of the last turn: an eighth, at least 256 and at most half."""
        return min(max(256, self.max_model_len // 8), self.max_model_len // 2)


def inert(text: str) -> str:
    """Text from outside, unable to pose as a special token or a tool call of the chat template."""
    return _SPECIAL.sub("< ", text)


async def cut(model: ChatModel, text: str, max_tokens: int) -> str:
    """The longest beginning of `text`, about, that has at most `max_tokens` tokens."""
    if len(text) <= max_tokens:  # every token is at least one character
        return text
    (num_tokens,) = await model.count_tokens([text])
    while num_tokens > max_tokens:
        text = text[: int(len(text) * max_tokens / num_tokens * _SHRINK)].rstrip()
        (num_tokens,) = await model.count_tokens([text])
    return text


async def cut_each(model: ChatModel, texts: Sequence[str], max_tokens: int) -> list[str]:
    """Each text cut to its even share of `max_tokens`; what short texts leave goes to the long ones."""
    counts = await model.count_tokens(texts) if texts else []
    left, shares = max_tokens, [0] * len(texts)
    for place, number in enumerate(sorted(range(len(texts)), key=lambda number: counts[number])):
        shares[number] = min(counts[number], max(1, left // (len(texts) - place)))
        left -= shares[number]
    return [
        text if count <= share else await cut(model, text, share)
        for text, count, share in zip(texts, counts, shares, strict=True)
    ]


async def select(model: ChatModel, text: str, passages: Sequence[Passage], max_tokens: int) -> list[tuple[int, int]]:
    """Spans of `text` that fit `max_tokens`: the whole, or the best passages, in the order of the text.

    `passages` come best first. Neighbours are joined across the white space between them.
    """
    (num_tokens,) = await model.count_tokens([text])
    if num_tokens <= max_tokens:
        return [(0, len(text))]
    budget = len(text) * max_tokens / num_tokens
    while True:
        spans = _best(text, passages, budget)
        shown = GAP.join(text[start:end] for start, end in spans)
        (num_tokens,) = await model.count_tokens([shown])
        if num_tokens <= max_tokens:
            return spans
        budget *= max_tokens / num_tokens * _SHRINK


def _best(text: str, passages: Sequence[Passage], budget: float) -> list[tuple[int, int]]:
    chosen: list[tuple[int, int]] = []
    used = 0.0
    for passage in passages:
        size = passage.end - passage.start + len(GAP)
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
