"""The arms of a comparison: `arms.toml` says what each is, its folder holds what `wideseek eval` has written.

An arm is a folder of results by its path below the folder of `arms.toml`; one that is not there is kept and reported
as not measured. What `arms.toml` says of a setting must be what was measured.
"""

import hashlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from services.evaluation.drive import SUMMARY
from services.evaluation.journal import RESULTS, read_trials
from services.evaluation.results import Summary, Trial
from services.kit.toml import read_toml
from wideseek.errors import InvalidRequest
from wideseek.values import Frozen

FILE = "arms.toml"
Group = Literal["headline", "ablation", "width", "ood"]


class ArmSpec(Frozen):
    """What an arm is."""

    title: str = Field(min_length=1)
    group: Group
    model: str = ""
    """What answers, in words: base, adapter, how it was trained."""
    mode: str | None = None
    """As in `wideseek eval --mode`; held against what was measured, as are the next two."""
    width: int | None = None
    token_budget: int | str | None = None
    """Tokens of a run, or the folder whose tokens a task each task may spend (`--budget-from`)."""
    reference: bool = False
    """Group `headline`: something to measure against (the base, the expert), not a trained policy."""
    series: str = ""
    """Group `width`: the line that the arm is a point of; unset, all arms are one line."""
    of: str | None = None
    """Group `ood`: the headline arm of the same policy."""


class Comparison(Frozen):
    """Two arms to be compared task by task."""

    first: str
    second: str
    why: str = ""


class Target(Frozen):
    """What an arm was meant to reach."""

    arm: str
    metric: Literal["item_f1", "row_f1", "success", "valid_calls"]
    difficulty: str | None = None
    """None: over all tasks."""
    at_least: float


class ArmsFile(Frozen):
    """`arms.toml`."""

    title: str = "A trained policy"
    introduction: str = ""
    """Markdown above everything."""
    arms: Mapping[str, ArmSpec]
    """By folder; the report keeps the order."""
    compare: tuple[Comparison, ...] = ()
    targets: tuple[Target, ...] = ()
    training: Mapping[str, str] = Field(default_factory=dict)
    """Stage, the folder of its `metrics.jsonl`, -> title."""
    notes: Mapping[str, str] = Field(default_factory=dict)
    """Section -> markdown at its end; the sections are those of `services.evaluation.policy.report`."""


@dataclass(frozen=True)
class Arm:
    """An arm with what it measured."""

    name: str
    spec: ArmSpec
    summary: Summary | None = None
    """None when it was not measured."""
    trials: Sequence[Trial] = ()
    """Of tasks that have all their trials, so that each task weighs the same."""
    results_sha256: str = ""

    @property
    def title(self) -> str:
        """Its name for people."""
        return self.spec.title

    @property
    def num_trials(self) -> int:
        """Trials of a task; 0 when it was not measured."""
        return self.summary.trials if self.summary else 0

    def setting(self, key: str) -> str | int | float | None:
        """A value of the setting that was measured; None when unset, or when nothing was measured."""
        return self.summary.setting.get(key) if self.summary else None


def read_arms(results: Path) -> tuple[ArmsFile, list[Arm]]:
    """What `arms.toml` describes, with what is there of it.

    Raises `InvalidRequest` naming the file and key that is wrong, a folder of results that no entry describes, or an
    entry that says other than what was measured.
    """
    described = read_toml(results / FILE, ArmsFile)
    there = {str(path.parent.relative_to(results)) for path in results.rglob(RESULTS)}
    unknown = sorted(there - described.arms.keys())
    if unknown:
        raise InvalidRequest(f"{results / FILE}: arms.{unknown[0]}: results lie there, but no entry describes them")
    arms = [_arm(results, name, spec, there=name in there) for name, spec in described.arms.items()]
    for complaint in _complaints(described, arms):
        raise InvalidRequest(f"{results / FILE}: {complaint}")
    return described, arms


def collect_arms(evaluated: Path, results: Path) -> list[str]:
    """Copy what the report needs of the arms that were evaluated in another folder; the names of those copied.

    An evaluation's folder holds more (what was asked, and of whom), which stays where it is. Raises `InvalidRequest`
    as `read_arms` does, `OSError` when a file cannot be written.
    """
    copied = []
    for name in read_toml(results / FILE, ArmsFile).arms:
        files = [evaluated / name / file for file in (RESULTS, SUMMARY)]
        if all(file.is_file() for file in files):
            (results / name).mkdir(parents=True, exist_ok=True)
            for file in files:
                shutil.copyfile(file, results / name / file.name)
            copied.append(name)
    return copied


def _arm(results: Path, name: str, spec: ArmSpec, *, there: bool) -> Arm:
    if not there:
        return Arm(name, spec)
    folder = results / name
    try:
        summary = Summary.model_validate_json((folder / SUMMARY).read_bytes())
    except OSError as error:
        raise InvalidRequest(f"{folder / 'summary.json'}: cannot be read ({error.strerror})") from error
    except ValidationError as error:
        raise InvalidRequest(f"{folder / 'summary.json'}: {error.errors()[0]['msg']}") from error
    trials = _whole(read_trials(folder), summary.trials)
    digest = hashlib.sha256((folder / RESULTS).read_bytes()).hexdigest()
    return Arm(name, spec, summary, trials, digest) if trials else Arm(name, spec)


def _whole(trials: Sequence[Trial], number: int) -> list[Trial]:
    by_task: dict[str, list[Trial]] = {}
    for trial in sorted(trials, key=lambda one: (one.instance_id, one.trial)):
        by_task.setdefault(trial.instance_id, []).append(trial)
    return [trial for some in by_task.values() if len(some) == number for trial in some]


def _complaints(described: ArmsFile, arms: Sequence[Arm]) -> Iterator[str]:
    names = set(described.arms)
    for number, pair in enumerate(described.compare):
        for key, name in (("first", pair.first), ("second", pair.second)):
            if name not in names:
                yield f"compare.{number}.{key}: {name!r} is no arm"
    for number, target in enumerate(described.targets):
        if target.arm not in names:
            yield f"targets.{number}.arm: {target.arm!r} is no arm"
    for arm in arms:
        if arm.spec.of is not None and arm.spec.of not in names:
            yield f"arms.{arm.name}.of: {arm.spec.of!r} is no arm"
        if arm.summary is not None:
            yield from _contradictions(arm)


def _contradictions(arm: Arm) -> Iterator[str]:
    budget = arm.spec.token_budget
    stated = {
        "mode": (arm.spec.mode, arm.setting("mode")),
        "width": (arm.spec.width, arm.setting("width")),
        "token_budget": (budget, arm.setting("max_tokens") if isinstance(budget, int) else _budget_folder(arm)),
    }
    for key, (said, measured) in stated.items():
        if said is not None and said != measured:
            yield f"arms.{arm.name}.{key}: says {said}, measured was {'none' if measured is None else measured}"


def _budget_folder(arm: Arm) -> str | None:
    """The folder's name in `--budget-from`, without the hash that follows it."""
    stated = arm.setting("budget_from")
    return str(stated).rsplit(" (", 1)[0] if stated else None
