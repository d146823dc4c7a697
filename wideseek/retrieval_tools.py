"""The toolbox of a subagent or a single agent: search and access, with results cut to token budgets.

`access` opens only what the agent was shown: urls that the caller named, of its task, of a search result, or
standing on a page it has read. A url made up by the policy is answered, not fetched.
"""

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from wideseek.agents import AgentSpec, subagent
from wideseek.asks import facts_of, read_asks
from wideseek.budgets import GAP, Budgets, cut, cut_each, select
from wideseek.compact import hits_text, page_lines, page_tokens, serving
from wideseek.concurrency import run_all
from wideseek.contracts import AccessResult, Hit, PromptProfile
from wideseek.messages import ToolCall, ToolSpec
from wideseek.ports import Budget, ChatModel, Retrieval
from wideseek.tools import QUERIES, URLS, Admitted, access_spec, admit_calls, search_spec
from wideseek.trajectory import Source, ToolResult

MAX_HITS = 10
DEFAULT_HITS = 3
_URL = re.compile(r"[a-z][a-z0-9+.-]*:(?:\([^\s()<>|]*\)|[^\s<>\"|()\]])+", re.IGNORECASE)
"""An address in a text; brackets belong to it where they are balanced, as in `(…/Indigo_(film))`."""


class RetrievalTools:
    """Search and access for one agent; remembers which urls it was shown."""

    def __init__(
        self,
        retrieval: Retrieval,
        model: ChatModel,
        budget: Budget,
        *,
        task: str,
        urls: Sequence[str] = (),
        spec: AgentSpec | None = None,
    ) -> None:
        """Tools as `spec` has them, a subagent's unless given."""
        self._retrieval = retrieval
        self._model = model
        self._budget = budget
        self._budgets = Budgets(model.max_model_len)
        self._spec = spec or subagent()
        self._compact = self._spec.profile is PromptProfile.COMPACT
        self._shown = {url.strip() for url in urls}
        self.show(task)

    @property
    def specs(self) -> Sequence[ToolSpec]:
        """Search and access."""
        limit, language, profile = self._spec.max_items, self._spec.language, self._spec.profile
        return (search_spec(limit, language, profile), access_spec(limit, language, profile))

    def recall(self, result: ToolResult) -> None:
        """What an earlier attempt was shown may be opened again."""
        self.show(result.content)
        self._shown.update(source.url for source in result.sources)

    def show(self, text: str) -> None:
        """Remember the urls in a text that entered the agent's context."""
        found = _URL.findall(text)
        # The last full stop may be the sentence's or the address's own (`…/Forfar_Albion_F.C.`).
        self._shown.update([*found, *(url.rstrip(".,;:'") for url in found)])

    def admit(self, calls: Sequence[ToolCall]) -> list[Admitted | ToolResult]:
        """At most `max_items` searches and pages a turn."""
        return admit_calls(
            calls,
            [QUERIES, URLS],
            self._spec.max_items,
            per_call=False,
            answer_over_limit=self._spec.answer_over_limit,
        )

    async def call(self, _turn: int, admitted: Admitted, room_tokens: int) -> ToolResult:
        """Serve one call. Raises `RetrievalUnavailable` when the service is down."""
        if not await self._budget.reserve(tool_calls=len(admitted.items)):
            return ToolResult(call=admitted.call, content="The run's tool calls are used up: answer now.", failed=True)
        notes = "".join(f"\n{note}" for note in admitted.notes)
        if admitted.call.name == QUERIES.tool:
            content, sources = await self._search(admitted.items, room_tokens)
            failed = False
        else:
            content, sources = await self._access(admitted.items, room_tokens)
            failed = not sources
        self.show(content)
        return ToolResult(call=admitted.call, content=content + notes, sources=tuple(sources), failed=failed)

    async def _search(self, items: Sequence[dict[str, Any]], room: int) -> tuple[str, list[Source]]:
        counts = [_count(item.get("count")) for item in items]
        response = await self._retrieval.search([item["query"][:2_000] for item in items], max(counts))
        chosen = [hits[:count] for hits, count in zip(response.results, counts, strict=True)]
        flat = [hit for hits in chosen for hit in hits]
        self._shown.update(hit.url for hit in flat)
        if self._compact:
            return await cut(self._model, "\n".join(hits_text(hits) for hits in chosen), room), []
        snippets = await cut_each(self._model, [hit.snippet for hit in flat], min(self._budgets.hits, room))
        texts = iter(snippets)
        blocks = [
            _search_block(item["query"], hits, [next(texts) for _ in hits])
            for item, hits in zip(items, chosen, strict=True)
        ]
        sources = [_hit_source(hit, shown) for hit, shown in zip(flat, snippets, strict=True)]
        return await cut(self._model, "\n\n".join(blocks), room), sources

    async def _access(self, items: Sequence[dict[str, Any]], room: int) -> tuple[str, list[Source]]:
        page = page_tokens(self._model.max_model_len) if self._compact else self._budgets.page
        share = min(page, room // len(items))
        results = await run_all(self._page(item, share) for item in items)
        return "\n\n".join(text for text, _ in results), [source for _, spans in results for source in spans]

    async def _page(self, item: dict[str, Any], room: int) -> tuple[str, list[Source]]:
        url = item["url"].strip()
        need = item.get("info_to_extract")
        need = need[:4_000] if isinstance(need, str) and need.strip() else None
        if url not in self._shown:
            return f"Access URL: {url}\nThis url was not in any result you have seen: search first.", []
        facts = facts_of(need) if need and self._compact else need
        response = await self._retrieval.access([url[:2_000]], facts)
        (result,) = response.results
        if result.page is None:
            return f"Access URL: {url}\nNo page has this url.", []
        title = result.page.title
        show = partial(page_lines, asks=read_asks(need or "")) if self._compact else None
        if self._compact:
            head = f"{title} ({url})\n"
            result = result.model_copy(update={"passages": tuple(serving(result.passages, need))})
        else:
            head = f"Access URL: {url}\nTitle: {title}\n" + (f"Info to extract: {need}\n" if need else "")
        (head_tokens,) = await self._model.count_tokens([head])
        return await self._shown_page(result, head, max(1, room - head_tokens), show)

    async def _shown_page(
        self, result: AccessResult, head: str, room: int, show: Callable[[Sequence[str]], str] | None
    ) -> tuple[str, list[Source]]:
        page = result.page
        assert page is not None
        spans = await select(self._model, page.text, result.passages, room, show=show)
        sources = [
            Source(url=page.url, title=page.title, content_sha256=page.content_sha256, start=start, end=end)
            for start, end in spans
        ]
        shown = [page.text[start:end] for start, end in spans]
        return head + (show or GAP.join)(shown), sources


def _count(value: Any) -> int:
    wanted = value if isinstance(value, int) and not isinstance(value, bool) else DEFAULT_HITS
    return min(max(1, wanted), MAX_HITS)


def _search_block(query: str, hits: Sequence[Hit], snippets: Sequence[str]) -> str:
    if not hits:
        return f"Search query: {query}\nNo results."
    docs = [
        f"[Doc {number}] {hit.title} ({hit.url})\n{snippet}"
        for number, (hit, snippet) in enumerate(zip(hits, snippets, strict=True), 1)
    ]
    return f"Search query: {query}\n" + "\n\n".join(docs)


def _hit_source(hit: Hit, shown: str) -> Source:
    end = min(hit.end, hit.start + len(shown))
    return Source(url=hit.url, title=hit.title, content_sha256=hit.content_sha256, start=hit.start, end=end)
