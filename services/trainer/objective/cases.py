"""Cases of the objective: batches as numbers, evaluated by the very functions that train.

A case is one JSON object: `id`, `groups[].rollouts[]` with `reward` and `agents[]`, each with `role` and `turns[]` of
`old_logprobs` and `new_logprobs`; turns may have a `loss_mask`, turns and agents `trained: false`; beside the groups
`clip_low`, `clip_high`, `dual_clip`, `log_ratio_clamp` and `std`. What a case states of its results (`expected`,
`diagnostics`) is not read.
"""

import json
import math
from collections.abc import Iterator
from typing import Annotated, Any, NamedTuple

from pydantic import BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from services.trainer.config import AdvantageConfig, PolicyLossConfig, WeightsConfig
from services.trainer.objective.advantages import step_advantages
from services.trainer.objective.batch import AgentShape, RolloutShape
from services.trainer.objective.losses import evaluate
from services.trainer.objective.weights import token_weights
from wideseek.errors import InvalidRequest
from wideseek.trajectory import Role
from wideseek.values import Frozen


def _bit(value: Any) -> bool:
    """A mask's 0 or 1 (false or true). Raises ValueError for anything else."""
    if value not in (0, 1) or not isinstance(value, int):
        raise ValueError("a mask has 0 or 1 for every token")
    return bool(value)


_Number = Annotated[float, Field(allow_inf_nan=False, strict=True)]
_Flag = Annotated[bool, Field(strict=True)]
_Bit = Annotated[bool, BeforeValidator(_bit)]


class CaseTurn(Frozen):
    """One turn."""

    old_logprobs: tuple[_Number, ...]
    """When sampled."""
    new_logprobs: tuple[_Number, ...]
    """Under the parameters now."""
    loss_mask: tuple[_Bit, ...] | None = None
    """Tokens that are trained on; None: all."""
    trained: _Flag = True

    @model_validator(mode="after")
    def _aligned(self) -> "CaseTurn":
        tokens = len(self.old_logprobs)
        for name, values in (("new_logprobs", self.new_logprobs), ("loss_mask", self.loss_mask)):
            if values is not None and len(values) != tokens:
                raise ValueError(f"{name} has {len(values)} entries, old_logprobs has {tokens}")
        return self


class CaseAgent(Frozen):
    """One agent."""

    role: Role
    turns: tuple[CaseTurn, ...]
    trained: _Flag = True

    def trained_tokens(self) -> list[bool]:
        """Of each token in reading order whether it is trained on."""
        return [
            self.trained and turn.trained and kept
            for turn in self.turns
            for kept in (turn.loss_mask or (True,) * len(turn.old_logprobs))
        ]


class CaseRollout(Frozen):
    """One rollout."""

    reward: _Number
    agents: tuple[CaseAgent, ...]


class CaseGroup(Frozen):
    """The rollouts of one task."""

    rollouts: tuple[CaseRollout, ...] = Field(min_length=1)


_LOSS = PolicyLossConfig(correction="none")


class Case(Frozen):
    """One batch with the options of its loss."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Annotated[str, Field(strict=True)]
    category: Any = None
    groups: tuple[CaseGroup, ...] = Field(min_length=1)
    clip_low: _Number = Field(default=_LOSS.clip_low, gt=0, lt=1)
    clip_high: _Number = Field(default=_LOSS.clip_high, gt=0)
    dual_clip: Annotated[_Number, Field(gt=1)] | None = _LOSS.dual_clip
    log_ratio_clamp: _Number = Field(default=_LOSS.log_ratio_clamp, gt=0)
    std: _Flag = True
    """Whether advantages are divided by the group's standard deviation."""
    expected: Any = None
    diagnostics: Any = None

    def policy_loss(self) -> PolicyLossConfig:
        """The options of the surrogate."""
        return PolicyLossConfig(
            clip_low=self.clip_low,
            clip_high=self.clip_high,
            dual_clip=self.dual_clip,
            log_ratio_clamp=self.log_ratio_clamp,
            correction="none",
        )


class Evaluation(Frozen):
    """What a case comes to; lists are in reading order: groups, rollouts, agents, turns, tokens."""

    id: str
    advantages: tuple[tuple[float, ...], ...]
    """By group and rollout."""
    token_weights: tuple[float, ...]
    """Of one trained token, by agent; 0 for an agent without any."""
    objective: float
    loss: float
    grad_wrt_new_logprobs: tuple[float, ...]
    """Gradient of the loss, by token; 0 for one that is not trained on."""
    clip_fraction: float
    dual_clip_fraction: float
    trained_tokens: int


class _Token(NamedTuple):
    rollout_id: str
    agent_id: str
    old: float
    new: float
    trained: bool


def read_case(line: str) -> Case:
    """A case from its line. Raises InvalidRequest naming the field and what is wrong with it."""
    try:
        return Case.model_validate(json.loads(line))
    except json.JSONDecodeError as error:
        raise InvalidRequest(f"not JSON: {error.msg} at character {error.pos + 1}") from error
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidRequest(f"{_place(first['loc'])}: {_said(first)}") from error
    except (ValueError, RecursionError) as error:  # a number or a nesting that Python refuses to read
        raise InvalidRequest(f"cannot be read: {error}") from error


def evaluate_case(case: Case) -> Evaluation:
    """Advantages, weights, loss and gradient of a case, in double precision.

    Raises InvalidRequest where its numbers are so large that a result is no finite number.
    """
    shapes, tokens = list(_shapes(case)), list(_tokens(case))
    kind = AdvantageConfig(estimator="grpo" if case.std else "mean")
    try:
        advantages = step_advantages(shapes, kind)
    except OverflowError as error:
        raise InvalidRequest("groups: rewards are too large to be averaged in double precision") from error
    weights = token_weights(shapes, WeightsConfig(scheme="wideseek"), planned=len(shapes))
    trained = [token for token in tokens if token.trained]
    result = evaluate(
        [token.new for token in trained],
        [token.old for token in trained],
        [advantages[token.rollout_id, None] for token in trained],
        [weights[token.rollout_id, token.agent_id] for token in trained],
        case.policy_loss(),
    )
    if not all(math.isfinite(number) for number in (result.loss, *result.gradient, *advantages.values())):
        raise InvalidRequest("groups: the numbers are too large for double precision; a result is not finite")
    gradient = iter(result.gradient)
    return Evaluation(
        id=case.id,
        advantages=tuple(
            tuple(advantages[_name(group, place), None] for place in range(len(members.rollouts)))
            for group, members in enumerate(case.groups)
        ),
        token_weights=tuple(weights[shape.rollout_id, agent.agent_id] for shape in shapes for agent in shape.agents),
        objective=0.0 - result.loss,
        loss=result.loss + 0.0,
        grad_wrt_new_logprobs=tuple(next(gradient) + 0.0 if token.trained else 0.0 for token in tokens),
        clip_fraction=result.clipped / max(len(trained), 1),
        dual_clip_fraction=result.dual / max(len(trained), 1),
        trained_tokens=len(trained),
    )


def _name(group: int, place: int) -> str:
    return f"{group}/{place}"


def _rollouts(case: Case) -> Iterator[tuple[str, str, CaseRollout]]:
    for group, members in enumerate(case.groups):
        for place, rollout in enumerate(members.rollouts):
            yield str(group), _name(group, place), rollout


def _shapes(case: Case) -> Iterator[RolloutShape]:
    for group_id, rollout_id, rollout in _rollouts(case):
        agents = tuple(
            AgentShape(agent_id=str(place), role=agent.role, trained_tokens=sum(agent.trained_tokens()))
            for place, agent in enumerate(rollout.agents)
        )
        yield RolloutShape(rollout_id=rollout_id, group_id=group_id, reward=rollout.reward, agents=agents)


def _tokens(case: Case) -> Iterator[_Token]:
    for _, rollout_id, rollout in _rollouts(case):
        for place, agent in enumerate(rollout.agents):
            old = [value for turn in agent.turns for value in turn.old_logprobs]
            new = [value for turn in agent.turns for value in turn.new_logprobs]
            for numbers in zip(old, new, agent.trained_tokens(), strict=True):
                yield _Token(rollout_id, str(place), *numbers)


def _place(location: tuple[int | str, ...]) -> str:
    """`groups[0].rollouts[2].reward`."""
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return path.removeprefix(".") or "case"


def _said(error: Any) -> str:
    if error["type"] == "extra_forbidden":
        return "no code serves this option; leave it out"
    return str(error["msg"]).removeprefix("Value error, ").lower()
