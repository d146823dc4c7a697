"""Two independent answers by models: asked in two ways, each naming the columns that tell its rows apart."""

import re
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from services.kit.asking import Patience
from services.pipeline.endpoint import Endpoint, open_endpoint
from services.pipeline.lines import Said, StageFile
from services.pipeline.watch import Watch
from services.suites.filters import Reason
from services.suites.filters_duplicates import text_of
from wideseek.concurrency import run_all
from wideseek.instances import InvalidInstance, Question, Task, WideTask
from wideseek.judging import DeterministicJudge
from wideseek.messages import Sampling
from wideseek.metrics import score_robust
from wideseek.questions import boxed, score_answer
from wideseek.tables import fold

FOLDER = "answerers"
PLACES = ("first", "second")
_AT_ONCE = 8
_MAX_TOKENS = 4_000
_WAYS = (
    "Answer the request. Be exact and complete.",
    "Answer the request in two steps: first settle which rows (or which entity) it is about, then fill in one value "
    "after the other, checking each. Write the result last.",
)
_UNIQUE = "After the table write one more line: `Unique columns: ` and the columns that together tell its rows apart."
_BOXED = r"End with the answer alone, in \boxed{}."
_NAMED = re.compile(r"^\W*unique columns\W*:\s*(?P<names>.+?)\W*$", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True)
class Answerer:
    """A model that answers queries."""

    url: str
    model: str | None = None
    api_key: str | None = None
    patience: Patience | None = None


async def ask_answerers(folder: Path, tasks: Sequence[Task], answerers: Sequence[Answerer], watch: Watch) -> None:
    """Have every task answered twice, as far as it is not: by both of two answerers, or by one in both ways.

    Raises `ModelUnavailable` when one is down; what was answered before is kept.
    """
    for place, way, answerer in zip(PLACES, _WAYS, (answerers[0], answerers[-1]), strict=True):
        file = StageFile(folder / FOLDER / f"{place}.jsonl", Said)
        if not file.finished:
            await _answers(file, tasks, way, answerer, watch)


async def _answers(file: StageFile[Said], tasks: Sequence[Task], way: str, answerer: Answerer, watch: Watch) -> None:
    async with AsyncExitStack() as stack:
        growing = stack.enter_context(file.unfinished())
        step = stack.enter_context(watch.step(f"answers of the {file.path.stem} model", len(tasks)))
        opened = open_endpoint(answerer.url, model=answerer.model, api_key=answerer.api_key, patience=answerer.patience)
        endpoint = await stack.enter_async_context(opened)
        rest = iter(tasks[len(growing.lines) :])
        while window := list(islice(rest, _AT_ONCE)):
            for said in await run_all(_answer(task, way, endpoint) for task in window):
                growing.append(said)
                step.at(len(growing.lines))
        step.facts["made"] = len(growing.lines)


async def _answer(task: Task, way: str, endpoint: Endpoint) -> Said:
    prompt = f"{way} {_BOXED if isinstance(task, Question) else _UNIQUE}\n\n{text_of(task)}"
    text = await endpoint.say(prompt, Sampling(temperature=0), max_tokens=_MAX_TOKENS)
    return Said(instance_id=task.instance_id, text=text)


def read_answers(folder: Path) -> list[Mapping[str, str]]:
    """Instance id -> answer, of the first and of the second; empty where no models were asked, or not to the end."""
    files = [StageFile(folder / FOLDER / f"{place}.jsonl", Said) for place in PLACES]
    if not all(file.finished for file in files):
        return []
    return [{said.instance_id: said.text for said in file.read()} for file in files]


@dataclass(frozen=True)
class Compared:
    """Two answers to one instance, held against each other and against the gold."""

    between: float
    """Item F1 of the second by the first; of questions, token F1."""
    with_gold: float
    """The lower of both answers' F1 by the gold."""
    reason: Reason | None = None


async def compare(task: Task, first: str, second: str, consistent: float) -> Compared:
    """What two answers say of an instance; `consistent` is the F1 from which they agree."""
    if isinstance(task, Question):
        return await _compare_short(task, first, second, consistent)
    other = [text for text in (first, second) if not _names_key(text, task)]
    between = await _by_other(task, first, second)
    with_gold = min([await _item_f1(text, task) for text in (first, second)])
    if other:
        why = f"an answer tells its rows by other columns than {', '.join(task.evaluation.unique_columns)}"
        return Compared(between, with_gold, Reason(code="other_key", why=why))
    return Compared(between, with_gold, _objection(between, with_gold, consistent))


async def _compare_short(task: Question, first: str, second: str, consistent: float) -> Compared:
    given = boxed(first)
    as_gold = task.model_copy(update={"answers": (given,)}) if given else None
    between = (await score_answer(second, as_gold, None)).f1 if as_gold else 0.0
    with_gold = min([(await score_answer(text, task, None)).f1 for text in (first, second)])
    return Compared(between, with_gold, _objection(between, with_gold, consistent))


def _objection(between: float, with_gold: float, consistent: float) -> Reason | None:
    if between < consistent:
        return Reason(code="inconsistent", why=f"two answers agree with F1 {between:.3f}, {consistent} is asked for")
    if with_gold < consistent:
        return Reason(code="gold_disputed", why=f"two answers agree, and the gold with them at F1 {with_gold:.3f}")
    return None


def _names_key(text: str, task: WideTask) -> bool:
    match = None
    for found in _NAMED.finditer(text):
        match = found
    if match is None:
        return False
    names = {fold(name.strip(' `*"')) for name in re.split(r",| and ", match["names"])}
    return names == {fold(name) for name in task.evaluation.unique_columns}


async def _by_other(task: WideTask, first: str, second: str) -> float:
    """Item F1 of the second answer with the first for gold; 0 when the first is no table to be compared with."""
    try:
        return await _item_f1(second, task.model_copy(update={"answer": first}))
    except InvalidInstance:
        return 0.0


async def _item_f1(text: str, task: WideTask) -> float:
    return (await score_robust(text, task, DeterministicJudge())).scores.f1_by_item
