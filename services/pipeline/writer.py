"""Queries put into other words by a model, taken only where nothing was lost that the query has to name."""

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from services.pipeline.endpoint import Endpoint
from services.pipeline.lines import Kind, Query
from wideseek.messages import Sampling

_PROMPT = """\
Put the request below into other words, as another person would ask it. Keep its meaning exactly: the same rows, the \
same columns in the same order, the same conditions. Keep these phrases letter by letter:
{phrases}
Add no facts, no answer and no remarks. Reply with the new request only.

Request:
{text}"""
_CLOSING = re.compile(r"(?<=[.?!] )(?:Take the values that|Use the values that|Give the result as).*\Z", re.DOTALL)
"""How the answer is to be written, which is not put into other words."""
_MAX_TOKENS = 1_000
_LONGEST, _SHORTEST = 3.0, 0.3
"""Characters of new words over those of the template's beyond which they cannot say the same."""

Say = Callable[[str], Awaitable[str]]


def speaker(endpoint: Endpoint, seed: int) -> Say:
    """The writer at an endpoint, sampling with a seed where the endpoint takes one."""
    sampling = Sampling(temperature=0.7, seed=seed)
    return lambda prompt: endpoint.say(prompt, sampling, max_tokens=_MAX_TOKENS)


async def rewritten(query: Query, say: Say, answer: Mapping[str, Any] | None) -> Query:
    """The query in the writer's words, or as it was with the reason. `answer` is its instance, which they may not tell.

    Raises `ModelUnavailable` when the writer is down.
    """
    closing = match.group() if (match := _CLOSING.search(query.text)) else ""
    asked = query.text.removesuffix(closing).strip()
    phrases = [phrase for phrase in query.must_name if phrase in asked]
    said = await say(_PROMPT.format(phrases="\n".join(f"- {phrase}" for phrase in phrases), text=asked))
    words = " ".join(said.strip().strip('"“”').split())
    why = _fault(words, asked, phrases, _answers(query, answer))
    if why:
        return query.model_copy(update={"kept_because": why})
    return query.model_copy(update={"text": f"{words} {closing}".strip(), "wording": "writer"})


def _fault(words: str, asked: str, phrases: list[str], answers: tuple[str, ...]) -> str:
    """Why the new words do not stand for the old ones, or nothing."""
    lost = [phrase for phrase in phrases if not _names(words, phrase)]
    if not words:
        return "nothing was written"
    if lost:
        return f"lost: {lost[0]}"
    if not _SHORTEST <= len(words) / len(asked) <= _LONGEST:
        return "length"
    lower, before = words.casefold(), asked.casefold()
    told = [one for one in map(str.casefold, answers) if _names(lower, one) and not _names(before, one)]
    return "tells the answer" if told else ""


def _answers(query: Query, answer: Mapping[str, Any] | None) -> tuple[str, ...]:
    if query.kind is Kind.WIDE or answer is None:
        return ()
    return tuple(answer["answers"])


def _names(text: str, phrase: str) -> bool:
    """Whether the phrase stands in the text and is not a part of a longer word."""
    return re.search(rf"(?<!\w){re.escape(phrase)}(?!\w)", text) is not None
