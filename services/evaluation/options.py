"""What an evaluation depends on, and the request each of its runs is made with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pydantic import Field, ValidationError

from services.kit.tasks import request_for
from wideseek.contracts import Mode, PromptProfile, RunRequest
from wideseek.errors import InvalidRequest
from wideseek.instances import Task
from wideseek.values import Frozen

SWEPT = ("width", "max_turns", "mode", "model", "subagent_model", "max_tokens", "temperature", "prompt_profile")
"""What `--sweep` can vary."""


class Setting(Frozen):
    """All that a number depends on, tasks and cluster aside. What is unset is left to the cluster."""

    mode: Mode = Mode.MULTI_AGENT
    model: str | None = Field(default=None, min_length=1, max_length=200)
    subagent_model: str | None = Field(default=None, min_length=1, max_length=200)
    width: int | None = Field(default=None, ge=1, le=256)
    """Subtasks a lead may hand out in one `call_subagent`."""
    max_turns: int | None = Field(default=None, ge=1, le=100)
    max_tokens: int | None = Field(default=None, ge=1)
    max_seconds: float | None = Field(default=None, gt=0, le=86_400)
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    seed: int | None = Field(default=None, ge=0)
    """Trial `i` samples with `seed + i`."""
    corpus: str | None = Field(default=None, min_length=1)
    prompt_profile: PromptProfile | None = None
    """None leaves it to the cluster."""
    judge: str = "deterministic"
    """`deterministic`, `none`, or the address of an OpenAI-compatible endpoint."""
    judge_model: str | None = None
    budget_from: str | None = None
    """The earlier evaluation whose tokens a task each task may spend: name and hash of the budgets."""
    usd_per_mtok_prompt: float = Field(default=0, ge=0)
    usd_per_mtok_completion: float = Field(default=0, ge=0)
    params_billion: float | None = Field(default=None, gt=0)
    flop_per_joule: float | None = Field(default=None, gt=0)


def make_setting(values: Mapping[str, Any]) -> Setting:
    """The setting of these values. Raises `InvalidRequest` naming the option that is wrong."""
    try:
        return Setting.model_validate(dict(values))
    except ValidationError as error:
        first = error.errors()[0]
        option = "--" + str(first["loc"][0]).replace("_", "-")
        raise InvalidRequest(f"{option} {first['input']}: {first['msg']}") from error


@dataclass(frozen=True)
class Sweep:
    """A setting in several variants, one evaluation each."""

    key: str
    variants: Mapping[str, Setting]
    """`KEY=a` -> setting; the name is that of its folder."""


def make_sweep(text: str, setting: Setting) -> Sweep:
    """Read `KEY=a,b,c`. Raises `InvalidRequest` for an unknown key, a bad value or one that stands twice."""
    name, _, listed = text.partition("=")
    key = name.strip().replace("-", "_")
    if key not in SWEPT:
        raise InvalidRequest(f"--sweep {text}: expected KEY=a,b,c with a key of {', '.join(SWEPT)}")
    values = [value.strip() for value in listed.split(",")]
    if not all(values):
        raise InvalidRequest(f"--sweep {text}: a value is empty")
    variants: dict[str, Setting] = {}
    for value in values:
        folder = f"{key}={quote(value, safe='@+ ')}"
        variant = make_setting({**setting.model_dump(), key: value})
        if variant in variants.values():
            raise InvalidRequest(f"--sweep {text}: {value} stands there twice")
        variants[folder] = variant
    return Sweep(key, variants)


@dataclass(frozen=True)
class Work:
    """One task to be answered once more."""

    task: Task
    trial: int
    """From 0."""

    @property
    def name(self) -> str:
        """`instance_id#trial`."""
        return f"{self.task.instance_id}#{self.trial}"


@dataclass(frozen=True)
class Plan:
    """An evaluation: which tasks, how often, in which setting, where to."""

    directory: Path
    url: str
    """The orchestrator."""
    tasks: Sequence[Task]
    tasks_file: str
    tasks_sha256: str
    """Of the task file."""
    gold_sha256: str
    """Of all its tasks with their gold tables, which may lie in files of their own."""
    setting: Setting
    trials: int = 1
    budgets: Mapping[str, int] = field(default_factory=dict)
    """Instance id -> tokens its runs may spend, instead of the setting's."""

    @property
    def work(self) -> list[Work]:
        """All there is to do, the trials of a task next to one another."""
        return [Work(task, trial) for task in self.tasks for trial in range(self.trials)]


def request_of(work: Work, plan: Plan, evaluation: str) -> RunRequest:
    """What the orchestrator is asked. Raises `InvalidRequest` naming the task that cannot be asked so."""
    task, setting = work.task, plan.setting
    rest = {
        "metadata": {"instance_id": task.instance_id, "trial": str(work.trial), "evaluation": evaluation},
        "limits": _limits(setting, plan.budgets.get(task.instance_id)),
        "sampling": _sampling(setting, work.trial),
        "model": setting.model,
        "subagent_model": setting.subagent_model,
        "prompt_profile": setting.prompt_profile,
    }
    return request_for(task, mode=setting.mode, corpora=(setting.corpus,) if setting.corpus else (), rest=rest)


def _limits(setting: Setting, budget: int | None) -> dict[str, Any] | None:
    limits = {
        "max_width": setting.width,
        "max_turns": setting.max_turns,
        "max_tokens": setting.max_tokens if budget is None else budget,
        "max_seconds": setting.max_seconds,
    }
    return {name: value for name, value in limits.items() if value is not None} or None


def _sampling(setting: Setting, trial: int) -> dict[str, Any] | None:
    sampling = {
        "temperature": setting.temperature,
        "top_p": setting.top_p,
        "seed": None if setting.seed is None else setting.seed + trial,
    }
    return {name: value for name, value in sampling.items() if value is not None} or None
