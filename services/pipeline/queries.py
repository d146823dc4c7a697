"""The first stage: intents from the corpus' fields and from tables, made into queries, put into words."""

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, islice, zip_longest
from pathlib import Path
from typing import Any

from services.kit.asking import Patience
from services.pipeline.endpoint import open_endpoint
from services.pipeline.factbook import Underived, question_gold, question_queries, wide_gold, wide_queries
from services.pipeline.lines import Kind, Query, StageFile
from services.pipeline.settings import QUERIES, QuerySettings
from services.pipeline.table_queries import SOURCE as TABLES
from services.pipeline.table_queries import table_gold, table_queries
from services.pipeline.tables import Page
from services.pipeline.watch import Watch
from services.pipeline.writer import Say, rewritten, speaker
from wideseek.concurrency import run_all

_AT_ONCE = 8
"""Queries that a writer has in hand at a time; they are stored in order."""


@dataclass(frozen=True)
class Sources:
    """What queries and gold are made from."""

    settings: QuerySettings
    pages: Sequence[Page] = ()
    """Tables of pages, in the order of their file."""

    def queries(self) -> list[Query]:
        """All there are by template: the kinds take turns, and so do the sources while both last."""
        count, seed = self.settings.candidates, self.settings.seed
        asked = list(table_queries(self.pages, seed))
        wide = _in_turn(wide_queries(count, seed), [one for one in asked if one.kind is Kind.WIDE])
        questions = _in_turn(question_queries(count, seed), [one for one in asked if one.kind is Kind.QUESTION])
        return list(_in_turn(wide, questions))

    def gold(self, query: Query) -> dict[str, Any]:
        """The instance of a query, its answer derived from the intent. Raises `Underived`."""
        if query.source == TABLES:
            return table_gold(query, self._by_url)
        if query.kind is Kind.WIDE:
            return wide_gold(query)
        return question_gold(query, self.settings.candidates, self.settings.seed)

    @cached_property
    def _by_url(self) -> Mapping[str, Page]:
        return {page.url: page for page in self.pages}


def _in_turn(*sources: Iterable[Query]) -> Iterator[Query]:
    rounds = chain.from_iterable(zip_longest(*sources))
    return (query for query in rounds if query is not None)


@dataclass(frozen=True)
class Writer:
    """The model that puts queries into other words."""

    url: str
    model: str | None = None
    api_key: str | None = None
    patience: Patience | None = None


async def make_queries(folder: Path, sources: Sources, watch: Watch, writer: Writer | None = None) -> list[Query]:
    """The queries of a pipeline, made as far as they are not there yet.

    Raises `ModelUnavailable` when the writer is down; what was written before is kept.
    """
    file = StageFile(folder / QUERIES, Query)
    if file.finished:
        return file.read()
    every = sources.queries()
    async with AsyncExitStack() as stack:
        growing = stack.enter_context(file.unfinished())
        step = stack.enter_context(watch.step("queries", len(every)))
        rest = every[len(growing.lines) :]
        step.facts["there before"] = len(growing.lines)
        async for query in _worded(rest, sources, await _say(stack, sources.settings, writer)):
            growing.append(query)
            step.at(len(growing.lines))
        step.facts |= {
            "made": len(growing.lines),
            "rejected": sum(1 for query in growing.lines if query.rejected),
            "by the writer": sum(1 for query in growing.lines if query.wording == "writer"),
        }
    return growing.lines


async def _say(stack: AsyncExitStack, settings: QuerySettings, writer: Writer | None) -> Say | None:
    if writer is None:
        return None
    opened = open_endpoint(writer.url, model=writer.model, api_key=writer.api_key, patience=writer.patience)
    return speaker(await stack.enter_async_context(opened), settings.seed)


async def _worded(queries: Sequence[Query], sources: Sources, say: Say | None) -> AsyncIterator[Query]:
    """The queries in order, each in the writer's words where there is a writer and it lost nothing."""
    if say is None:
        for query in queries:
            yield query
        return
    rest = iter(queries)
    while window := list(islice(rest, _AT_ONCE)):
        for query in await run_all(_one(query, sources, say) for query in window):
            yield query


async def _one(query: Query, sources: Sources, say: Say) -> Query:
    if query.rejected:
        return query
    try:
        answer = sources.gold(query)
    except Underived:
        answer = None
    return await rewritten(query, say, answer)
