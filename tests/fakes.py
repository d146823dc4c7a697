"""Honest implementations of the core's ports, for unit tests: nothing is patched."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import cast

from wideseek.contracts import AccessResponse, AccessResult, Hit, Page, Passage, SearchResponse
from wideseek.errors import PromptTooLong
from wideseek.messages import Completion, Message, Sampling, ToolSpec
from wideseek.ports import Context, SubagentReport, Subtask
from wideseek.trajectory import StopReason, ToolResult

Reply = str | Completion | Exception


@dataclass(frozen=True)
class TextContext:
    """A context as text; a token is a character."""

    text: str

    @property
    def num_tokens(self) -> int:
        return len(self.text)


@dataclass
class ScriptedModel:
    """A policy that says what it is told to, in order, or what a function of its prompt returns."""

    replies: Sequence[Reply] | Callable[[str], Reply]
    max_model_len: int = 100_000
    asked: list[str] = field(default_factory=list)
    """The prompt of each completion."""
    finals: list[bool] = field(default_factory=list)
    limits: list[int] = field(default_factory=list)

    async def begin(self, messages: Sequence[Message], tools: Sequence[ToolSpec]) -> TextContext:
        listed = "".join(f"<tool {tool.name}>" for tool in tools)
        return self._fitting("\n".join([listed, *(f"[{message.role}] {message.text}" for message in messages)]))

    async def extend(
        self, context: Context, completion: Completion, results: Sequence[ToolResult], hint: str
    ) -> TextContext:
        before = cast("TextContext", context).text
        tools = "\n".join(f"[tool] {result.content}" for result in results)
        return self._fitting(f"{before}\n[assistant] {completion.text}\n{tools}\n{hint}")

    async def complete(self, context: Context, sampling: Sampling, *, max_tokens: int, final: bool) -> Completion:
        prompt = cast("TextContext", context).text
        self.asked.append(prompt)
        self.finals.append(final)
        self.limits.append(max_tokens)
        reply = self.replies(prompt) if callable(self.replies) else self.replies[len(self.asked) - 1]
        if isinstance(reply, Exception):
            raise reply
        if isinstance(reply, Completion):
            return reply
        cut = reply[:max_tokens]
        return Completion(
            text=cut,
            prompt_tokens=len(prompt),
            completion_tokens=len(cut),
            finish_reason="stop" if cut == reply else "length",
            model_name="scripted",
        )

    async def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(text) for text in texts]

    def _fitting(self, text: str) -> TextContext:
        if len(text) >= self.max_model_len:
            raise PromptTooLong(len(text), self.max_model_len)
        return TextContext(text)


@dataclass
class Purse:
    """A budget in memory."""

    tokens: int = 10_000_000
    tool_calls: int = 10_000

    async def reserve(self, *, tokens: int = 0, tool_calls: int = 0) -> bool:
        if tokens > self.tokens or tool_calls > self.tool_calls:
            return False
        self.tokens -= tokens
        self.tool_calls -= tool_calls
        return True

    async def settle(self, *, tokens: int) -> None:
        self.tokens += tokens


def page(url: str, title: str, text: str, corpus: str = "made-up") -> Page:
    """A stored page with its true hash."""
    return Page(
        url=url, title=title, text=text, corpus=corpus, content_sha256=hashlib.sha256(text.encode()).hexdigest()
    )


@dataclass
class PagesInMemory:
    """The `Retrieval` port over a few pages: hits are pages that share most words with the query."""

    pages: Sequence[Page]

    async def search(self, queries: Sequence[str], count: int) -> SearchResponse:
        return SearchResponse(results=tuple(self._hits(query, count) for query in queries), ranking="lexical")

    async def access(self, urls: Sequence[str], info_to_extract: str | None) -> AccessResponse:
        by_url = {page.url: page for page in self.pages}
        results = [
            AccessResult(url=url, page=by_url.get(url), passages=_lines(by_url.get(url), info_to_extract))
            for url in urls
        ]
        return AccessResponse(results=tuple(results))

    def _hits(self, query: str, count: int) -> tuple[Hit, ...]:
        words = set(query.casefold().split())
        scored = [(sum(word in f"{page.title} {page.text}".casefold() for word in words), page) for page in self.pages]
        best = sorted((pair for pair in scored if pair[0]), key=lambda pair: -pair[0])[:count]
        return tuple(
            Hit(
                url=page.url,
                title=page.title,
                snippet=page.text[:80],
                score=score,
                corpus=page.corpus,
                content_sha256=page.content_sha256,
                start=0,
                end=min(80, len(page.text)),
            )
            for score, page in best
        )


def _lines(found: Page | None, need: str | None) -> tuple[Passage, ...]:
    if found is None:
        return ()
    passages, start = [], 0
    for line in found.text.splitlines(keepends=True):
        wanted = sum(word in line.casefold() for word in (need or "").casefold().split())
        passages.append(Passage(start=start, end=start + len(line.rstrip("\n")), score=wanted))
        start += len(line)
    return tuple(sorted(passages, key=lambda passage: -passage.score))


@dataclass
class EchoSubagents:
    """Subagents that report their prompt back."""

    asked: list[list[Subtask]] = field(default_factory=list)
    report: Callable[[Subtask], str] = lambda subtask: f"done: {subtask.prompt}"

    async def run(self, subtasks: Sequence[Subtask]) -> list[SubagentReport]:
        self.asked.append(list(subtasks))
        return [
            SubagentReport(subtask_id=subtask.subtask_id, text=self.report(subtask), stop_reason=StopReason.ANSWERED)
            for subtask in subtasks
        ]
