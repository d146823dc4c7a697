"""What tests of the expert share: real agents over its HTTP door, and worlds made up at random."""

import atexit
import functools
import random
import re
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
from fastapi import FastAPI

from services.model import bundled
from services.model.expert.app import create_expert_app
from services.retrieval.corpus import Corpus
from services.retrieval.documents import Document
from services.retrieval.extract import page_passages
from tests.fakes import Purse, page
from tests.retrieval_parts import index_of
from wideseek import agents
from wideseek.agent import Agent
from wideseek.clients._http import Http
from wideseek.clients.model import VllmModel, open_vllm
from wideseek.contracts import (
    AccessResponse,
    AccessResult,
    Column,
    Output,
    Page,
    PromptProfile,
    RunRequest,
    SearchResponse,
    Sources,
)
from wideseek.delegation import DelegationTools
from wideseek.errors import ModelUnavailable
from wideseek.events import AgentEvent
from wideseek.instances import WideTask
from wideseek.judging import NoJudge
from wideseek.metrics import score_robust
from wideseek.ports import Retrieval, Subtask
from wideseek.prompts import language_of, subagent_task, whole_task
from wideseek.retrieval_tools import RetrievalTools
from wideseek.subagents import InProcessSubagents
from wideseek.tables import Table, parse_markdown_table, render_markdown
from wideseek.trajectory import Trajectory


@functools.cache
def tokenizer_file() -> Path:
    """The bundled tokenizer, written once a test session."""
    home = Path(tempfile.mkdtemp(prefix="wideseek-tests-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    return bundled.tokenizer_file(home)


def expert_app(max_model_len: int = 32_768) -> FastAPI:
    """The expert's app."""
    return create_expert_app(tokenizer_file(), max_model_len)


def expert_http(app: FastAPI) -> Http:
    """Connections to the app, without a socket."""
    return Http("http://expert", ModelUnavailable, transport=httpx.ASGITransport(app=app))


@dataclass
class Cluster:
    """Lead and subagents in one process, on the expert, over some retrieval."""

    model: VllmModel
    retrieval: Retrieval
    max_width: int = 20
    profile: PromptProfile = PromptProfile.FULL

    async def ask(
        self,
        query: str,
        columns: Sequence[Column] | None = None,
        *,
        output: Output = Output.TABLE,
        pages: Sequence[str] = (),
    ) -> Trajectory:
        """The lead's trajectory for a query."""
        request = RunRequest(
            query=query,
            columns=tuple(columns) if columns else None,
            output=output,
            sources=Sources(urls=tuple(pages)),
        )
        language, purse = language_of(query), Purse(tokens=10**12, tool_calls=10**9)

        def make(subtask: Subtask) -> tuple[Agent, str]:
            task = subagent_task(request, subtask.prompt, language)
            own = agents.subagent(language, output=output, profile=self.profile)
            tools = RetrievalTools(self.retrieval, self.model, purse, task=task, spec=own)
            return Agent(own, self.model, tools, purse, _unheard), task

        subagents = InProcessSubagents(make)
        tools = DelegationTools("r", subagents, self.model, self.max_width, language, profile=self.profile)
        spec = agents.lead(language, max_width=self.max_width, output=output, profile=self.profile)
        return await Agent(spec, self.model, tools, purse, _unheard).run(whole_task(request, language))

    async def ask_alone(self, query: str, *, output: Output = Output.TABLE) -> Trajectory:
        """A single agent's trajectory for a query."""
        request, language = RunRequest(query=query, output=output), language_of(query)
        purse = Purse(tokens=10**12, tool_calls=10**9)
        spec = agents.single(language, output=output, profile=self.profile)
        tools = RetrievalTools(self.retrieval, self.model, purse, task=query, spec=spec)
        return await Agent(spec, self.model, tools, purse, _unheard).run(whole_task(request, language))


@dataclass
class Indexed:
    """The `Retrieval` port over a real lexical index, no service in between."""

    corpus: Corpus

    @classmethod
    def over(cls, pages: Sequence[Page], root: Path) -> "Indexed":
        """Index some pages under `root`."""
        documents = [Document(url=page.url, title=page.title, text=page.text) for page in pages]
        manifest = index_of(root, "world", documents)
        return cls(Corpus.open(root / "world", manifest))

    async def search(self, queries: Sequence[str], count: int) -> SearchResponse:
        """Hits by BM25 and titles."""
        hits = (tuple(self.corpus.search(query, None, count)) for query in queries)
        return SearchResponse(results=tuple(hits), ranking="lexical")

    async def access(self, urls: Sequence[str], info_to_extract: str | None) -> AccessResponse:
        """Whole pages; passages are as the service orders them."""
        pages = [(url, self.corpus.store.page(url)) for url in urls]
        results = [
            AccessResult(url=url, page=found, passages=page_passages(found.text, info_to_extract) if found else ())
            for url, found in pages
        ]
        return AccessResponse(results=tuple(results))


async def _unheard(_: AgentEvent) -> None:
    pass


async def open_cluster(http: Http, retrieval: Retrieval, *, violations: Callable[[], None] | None = None) -> Cluster:
    """A cluster on the engine behind `http`."""
    model = await open_vllm(http, "expert", on_violation=violations or (lambda: None))
    return Cluster(model, retrieval)


async def item_f1(answer: str, gold: Sequence[Sequence[str]]) -> float:
    """Item F1 against rows of text, by position of the columns; a row counts by its first cell."""
    columns = tuple(f"c{number}" for number in range(len(gold[0])))
    table = parse_markdown_table(answer)
    if table is None:
        return 0.0
    assert len(table.columns) == len(columns)
    rule = {"preprocess": ["norm_str"], "metric": ["exact_match"]}
    evaluation = {
        "required": columns,
        "unique_columns": columns[:1],
        "eval_pipeline": dict.fromkeys(columns, rule),
    }
    written = [render_markdown(Table(columns=columns, rows=tuple(map(tuple, rows)))) for rows in (gold, table.rows)]
    task = WideTask.model_validate({"instance_id": "gold", "evaluation": evaluation, "answer": written[0]})
    return (await score_robust(written[1], task, NoJudge())).scores.f1_by_item


# ---- worlds ---------------------------------------------------------------------------------

_STARTS = re.findall(
    r"\w+", "Bra Cor Dul Eska Fen Gor Hul Ilma Jor Kre Lum Mor Nar Olu Pel Qua Ros Sil Tar Uld Ves Wor Yar Zim"
)
_ENDS = re.findall(r"\w+", "bek dor fane gard hal lune mund nia pol rath sund tova wick zan éa ørn")
_QUALITIES = re.findall(
    r"\w+", "Glimmer Tallow Amber Thistle Copper Lantern Saffron Marble Indigo Walnut Cobalt Juniper"
)
_MEASURES = [
    ("yield", "in tonnes", "{} tonnes"),
    ("basin", "in square kilometres", "{} sq km"),
    ("road length", "in km", "{} km"),
    ("coverage", "as a percentage of the land", "{}%"),
    ("households", "number of households", "{}"),
    ("ridge", "elevation in metres", "{} m"),
]


@dataclass(frozen=True)
class Field:
    """A made-up fact: what it is called, what a query says of it, and how pages write it."""

    name: str
    description: str
    shape: str


@dataclass
class World:
    """Realms with facts, borders and a list, all invented."""

    fields: list[Field]
    realms: list[str]
    facts: dict[str, dict[str, str]]
    """Plain values by realm and field."""
    borders: dict[str, dict[str, int]]
    """Length in km by realm and neighbour."""
    group: str
    members: list[str]
    pages: list[Page]

    def row(self, realm: str, fields: Sequence[Field]) -> list[str]:
        """The gold row of a realm."""
        return [realm, *(self.facts[realm][field.name] for field in fields)]


def make_world(seed: int, layout: str) -> World:
    """A world whose every name and number comes from `seed`, its pages written in one of `LAYOUTS`."""
    rng = random.Random(seed)
    names = rng.sample([start + end for start in _STARTS for end in _ENDS], 30)
    realms = [f"{names[0]} and {names[1]}", *names[2:16]]
    fields = [
        Field(f"{quality} {kind}", description, shape)
        for quality, (kind, description, shape) in zip(rng.sample(_QUALITIES, 6), _MEASURES, strict=True)
    ]
    facts = {
        realm: {field.name: str(rng.randint(2, 99 if "%" in field.shape else 90_000)) for field in fields}
        for realm in realms
    }
    for realm in realms:
        facts[realm]["Chief harbour"] = f"Port {rng.choice(_STARTS)}{rng.choice(_ENDS)}"
        facts[realm]["Charter date"] = f"{rng.randint(1100, 1950)}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}"
    fields += [
        Field("Chief harbour", "name of the chief harbour", "{}"),
        Field("Charter date", "date of the charter as YYYY-MM-DD", "{}"),
    ]
    borders: dict[str, dict[str, int]] = {realm: {} for realm in realms}
    for _ in range(22):
        one, other = rng.sample(realms[1:], 2)
        borders[one][other] = borders[other][one] = rng.randint(3, 900)
    group = f"the {names[20]} Reach"
    members = sorted(rng.sample(realms[1:], 7))
    world = World(fields, realms, facts, borders, group, members, [])
    world.pages = [_realm_page(world, realm, number, LAYOUTS[layout], rng) for number, realm in enumerate(realms)]
    world.pages.append(_list_page(world))
    return world


def _realm_page(world: World, realm: str, number: int, layout: "Layout", rng: random.Random) -> Page:
    stated = [(field.name, _written(field, world.facts[realm][field.name])) for field in world.fields]
    rng.shuffle(stated)
    listed = "; ".join(f"{name} {length} km" for name, length in world.borders[realm].items()) or "none"
    lines = [
        f"# {realm}",
        "",
        f"{realm} is a realm of old standing.",
        "",
        *layout(realm, [*stated, ("Bordering realms", listed)]),
    ]
    return page(f"realm:{number}", realm, "\n".join(lines) + "\n")


_MONTHS = re.findall(r"\w+", "January February March April May June July August September October November December")


def _written(field: Field, value: str) -> str:
    if field.name == "Charter date":
        year, month, day = value.split("-")
        return f"{int(day)} {_MONTHS[int(month) - 1]} {year} (granted at court)"
    number = f"{int(value):,}" if value.isdigit() else value
    return field.shape.format(number)


def _list_page(world: World) -> Page:
    addresses = {realm: f"realm:{number}" for number, realm in enumerate(world.realms)}
    entries = [f"- [{name}]({addresses[name]})" for name in world.members]
    title = f"Realms of {world.group}"
    return page("realm:list", title, "\n".join([f"# {title}", "", *entries]) + "\n")


Layout = Callable[[str, list[tuple[str, str]]], list[str]]


def _plain(_: str, stated: list[tuple[str, str]]) -> list[str]:
    return ["## Facts", *(f"{label}: {value}" for label, value in stated)]


def _bold(_: str, stated: list[tuple[str, str]]) -> list[str]:
    return ["## Facts", *(f"**{label}**: {value}" for label, value in stated)]


def _bullets(_: str, stated: list[tuple[str, str]]) -> list[str]:
    half = len(stated) // 2
    groups = {"Land and water": stated[:half], "People and trade": stated[half:]}
    return [
        line
        for name, facts in groups.items()
        for line in [f"{name}:", *(f"- {label}: {value}" for label, value in facts)]
    ]


def _paths(_: str, stated: list[tuple[str, str]]) -> list[str]:
    return ["## Records", *(f"Ledger > {label}: {value}" for label, value in stated)]


def _table(_: str, stated: list[tuple[str, str]]) -> list[str]:
    return ["| Fact | Value |", "| --- | --- |", *(f"| {label} | {value} |" for label, value in stated)]


def _sentences(realm: str, stated: list[tuple[str, str]]) -> list[str]:
    return [f"The {label[0].lower()}{label[1:]} of {realm} is {value}." for label, value in stated]


LAYOUTS: dict[str, Layout] = {
    "plain": _plain,
    "bold": _bold,
    "bullets": _bullets,
    "paths": _paths,
    "table": _table,
    "sentences": _sentences,
}
"""Ways in which pages write labels and values."""
