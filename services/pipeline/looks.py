"""What models and agents found out about the sample: who objects to which instance, and how often."""

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from services.evaluation.journal import ABOUT, RESULTS, About, read_trials
from services.evaluation.results import Trial
from services.pipeline.answerers import compare, read_answers
from services.pipeline.sample import RUNS, SAMPLE, Look
from services.pipeline.settings import CheckSettings
from services.suites.filters import Reason
from services.suites.filters_read import read_instances
from wideseek.instances import Question, Task
from wideseek.values import Frozen

MODELS = "models"
"""Name of the look that two models' answers are."""

_Z = 1.96


class LookSheet(Frozen):
    """What one look at the sample found; it speaks of the sample alone."""

    name: str
    by: str
    """Who looked: models, mode and profile."""
    drawn: int
    """Instances of the sample."""
    answered: int
    """Those that have been answered so far."""
    objected: int
    """Those that this look objects to, whatever others do."""
    share: float
    """Objected over answered."""
    ci95: tuple[float, float]
    """Wilson's interval of the share."""
    groups: Mapping[str, tuple[int, int]]
    """Difficulty or kind -> answered, objected."""
    scores: tuple[float, ...]
    """F1 of each answer: item F1 of a table, token F1 of a question; of models, of one by the other."""


@dataclass(frozen=True)
class Found:
    """One look: its objections, and its numbers."""

    reasons: Mapping[str, Reason]
    """Instance id -> why it is to be dropped."""
    answered: frozenset[str]
    """Instances that this look has an answer to."""
    sheet: LookSheet


class LookFilter:
    """Rejects what a look objects to; what was not looked at passes."""

    def __init__(self, found: Found) -> None:
        self._reasons = found.reasons
        self._name = found.sheet.name

    @property
    def stage(self) -> str:
        """Name of the look."""
        return self._name

    def check(self, instance: Task) -> Reason | None:
        """The look's objection, or None."""
        return self._reasons.get(instance.instance_id)

    def keep(self, instance: Task) -> None:
        """Nothing to remember."""


def group_of(task: Task) -> str:
    """What an instance is counted under: difficulty of a wide task, kind of a question."""
    return task.kind if isinstance(task, Question) else task.difficulty


async def read_looks(folder: Path, settings: CheckSettings) -> list[Found]:
    """Every look that was taken at the sample, in the order in which they object."""
    if not (folder / SAMPLE).is_file():
        return []
    sample = {task.instance_id: task for task in read_instances(folder / SAMPLE)}
    models = await _models(folder, sample, settings)
    agents = [_agents(folder / RUNS / look, look, sample, settings) for look in Look if _begun(folder, look)]
    return [*models, *agents]


def _begun(folder: Path, look: Look) -> bool:
    return all((folder / RUNS / look / name).is_file() for name in (RESULTS, ABOUT))


async def _models(folder: Path, sample: Mapping[str, Task], settings: CheckSettings) -> list[Found]:
    answers = read_answers(folder)
    if not answers:
        return []
    first, second = answers
    known = [name for name in sample if name in first and name in second]
    compared = {name: await compare(sample[name], first[name], second[name], settings.consistent) for name in known}
    reasons = {name: one.reason for name, one in compared.items() if one.reason}
    scores = {name: one.between for name, one in compared.items()}
    return [_found(MODELS, " and ".join(settings.answerers), sample, scores, reasons)]


def _agents(folder: Path, look: Look, sample: Mapping[str, Task], settings: CheckSettings) -> Found:
    trials = [trial for trial in read_trials(folder) if trial.instance_id in sample]
    setting = About.model_validate_json((folder / ABOUT).read_bytes()).setting
    models = ", ".join(sorted({trial.model for trial in trials})) or "nobody yet"
    profile = f", prompt profile {setting.prompt_profile}" if setting.prompt_profile else ""
    turns = f", {setting.max_turns} turns" if setting.max_turns else ""
    reasons = {trial.instance_id: why for trial in trials if (why := _objection(trial, look, settings))}
    scores = {trial.instance_id: _f1(trial) for trial in trials}
    return _found(look.value, f"{models} in mode {setting.mode}{turns}{profile}", sample, scores, reasons)


def _objection(trial: Trial, look: Look, settings: CheckSettings) -> Reason | None:
    score = _f1(trial)
    if look is Look.AGENT:
        if score >= settings.consistent:
            return None
        why = f"an agent's answer agrees with the gold at F1 {score:.3f}, {settings.consistent} is asked for"
        return Reason(code="inconsistent", why=why)
    solved = trial.answer.em == 1 if trial.answer else score >= settings.solved
    how = "without a page" if look is Look.CLOSED_BOOK else "after one round of searches"
    why = f"was answered {how}, at F1 {score:.3f}"
    return Reason(code=f"solved_{look.value}", why=why) if solved else None


def _f1(trial: Trial) -> float:
    return trial.answer.f1 if trial.answer else trial.scores["robust"].f1_by_item


def _found(
    name: str, by: str, sample: Mapping[str, Task], scores: Mapping[str, float], reasons: Mapping[str, Reason]
) -> Found:
    groups: dict[str, list[bool]] = defaultdict(list)
    for instance_id in sample:
        if instance_id in scores:
            groups[group_of(sample[instance_id])].append(instance_id in reasons)
    answered, objected = len(scores), len(reasons)
    sheet = LookSheet(
        name=name,
        by=by,
        drawn=len(sample),
        answered=answered,
        objected=objected,
        share=round(objected / answered, 4) if answered else 0.0,
        ci95=wilson(objected, answered),
        groups={group: (len(hits), sum(hits)) for group, hits in sorted(groups.items())},
        scores=tuple(round(scores[one], 4) for one in sample if one in scores),
    )
    return Found(reasons, frozenset(scores), sheet)


def wilson(hits: int, of: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927), which holds near 0 and 1 too; all of [0, 1] when nothing was seen.

    (p + z²/2n ± z sqrt(p(1-p)/n + z²/4n²)) / (1 + z²/n)
    """
    if not of:
        return 0.0, 1.0
    share, squared = hits / of, _Z * _Z / of
    middle = share + squared / 2
    around = _Z * math.sqrt(share * (1 - share) / of + squared / (4 * of))
    low, high = ((middle + sign * around) / (1 + squared) for sign in (-1, 1))
    return round(max(0.0, low), 4), round(min(1.0, high), 4)
