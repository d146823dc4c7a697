"""The seeded sample that models and agents look at, and the runs of agents over it.

Each look is an evaluation of its own in `runs/<look>`, asked through the cluster and resumed as evaluations are:

| look | mode | turns | what a right answer means |
| --- | --- | --- | --- |
| `agent` | multi_agent | the cluster's | the second, independent answer agrees with the first: the instance is kept |
| `closed_book` | closed_book | 1 | the model knows it without a page: the instance is dropped |
| `single_search` | single_agent | 3 | one search is enough: dropped |

A single search is one round of searches, one of opening what they found (five of either at most), and the answer.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from rich.console import Console

from services.evaluation.cost import Rates
from services.evaluation.drive import Means, evaluate
from services.evaluation.journal import RESULTS, read_trials
from services.evaluation.options import Plan, make_setting
from services.evaluation.results import Summary
from services.evaluation.trials import Marking
from services.kit.asking import Patience, Stop
from services.pipeline.lines import Kind
from services.pipeline.sieve import Balanced
from services.suites.filters_read import Candidate, read_instances, write_lines
from wideseek.clients._http import Http
from wideseek.clients.orchestrator import Orchestrator, OrchestratorUnavailable
from wideseek.contracts import Mode
from wideseek.errors import InvalidRequest
from wideseek.judging import DeterministicJudge

SAMPLE, RUNS = "sample.jsonl", "runs"


class Look(StrEnum):
    """One way in which agents look at the sample."""

    AGENT = "agent"
    CLOSED_BOOK = "closed_book"
    SINGLE_SEARCH = "single_search"


_MODES = {Look.AGENT: Mode.MULTI_AGENT, Look.CLOSED_BOOK: Mode.CLOSED_BOOK, Look.SINGLE_SEARCH: Mode.SINGLE_AGENT}
_TURNS = {Look.SINGLE_SEARCH: 3}


@dataclass(frozen=True)
class Cluster:
    """A cluster that answers the sample."""

    url: str
    model: str | None = None
    """None: the cluster's first."""
    profile: str | None = None
    """The request's `prompt_profile`; None: the cluster's default."""
    concurrency: int = 4
    patience: Patience = field(default_factory=Patience)


def draw(balanced: Balanced, size: int, seed: int) -> list[Candidate]:
    """`size` of the set, half of each kind, in its order; 0 is all of it.

    An instance is drawn by a hash of seed and id, so a larger sample holds the smaller one.
    """
    drawn: set[str] = set()
    for kind in Kind:
        every = sorted((one.instance_id for one in balanced.of(kind)), key=lambda name: _ticket(seed, name))
        drawn.update(every[: (size + 1) // 2 if kind is Kind.WIDE else size // 2] if size else every)
    return [one for one in balanced.chosen if one.instance_id in drawn]


def _ticket(seed: int, name: str) -> str:
    return hashlib.sha256(f"{seed}:{name}".encode()).hexdigest()


def write_sample(folder: Path, drawn: Sequence[Candidate]) -> Path:
    """Write the sample as a file of instances."""
    path = folder / SAMPLE
    write_lines([(path, [one.text for one in drawn])])
    return path


async def take_look(folder: Path, look: Look, cluster: Cluster, console: Console) -> Summary:
    """Have the sample answered as far as it is not. Unfinished runs are named in the summary, with the outage.

    Raises `InvalidRequest` when the look was begun in another setting, or a run is refused, and
    `OrchestratorUnavailable` when nobody is there at all.
    """
    plan, stop = _plan(folder, look, cluster), Stop()
    await _check_there(plan)
    async with Orchestrator(cluster.url) as orchestrator:
        means = Means(
            runs=orchestrator,
            mark=Marking(DeterministicJudge(), Rates()).mark,
            stop=stop,
            console=console,
            concurrency=cluster.concurrency,
            patience=cluster.patience,
        )
        return await evaluate(plan, means, name=look.value)


async def _check_there(plan: Plan) -> None:
    """Raise `OrchestratorUnavailable` when there is something to be asked and nobody to ask."""
    done = len(read_trials(plan.directory)) if (plan.directory / RESULTS).is_file() else 0
    if done < len(plan.work):
        async with Http(plan.url, OrchestratorUnavailable) as http:
            if not await http.alive("/healthz"):
                raise OrchestratorUnavailable(f"nobody answers at {plan.url} (start a cluster: `wideseek up --detach`)")


def _plan(folder: Path, look: Look, cluster: Cluster) -> Plan:
    path = folder / SAMPLE
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    setting = make_setting(
        {
            "mode": _MODES[look],
            "model": cluster.model,
            "max_turns": _TURNS.get(look),
            "prompt_profile": cluster.profile,
        }
    )
    tasks = read_instances(path)
    if not tasks:
        raise InvalidRequest(f"{path}: the sample is empty")
    return Plan(
        directory=folder / RUNS / look,
        url=cluster.url,
        tasks=tasks,
        tasks_file=SAMPLE,
        tasks_sha256=digest,
        gold_sha256=digest,
        setting=setting,
    )
