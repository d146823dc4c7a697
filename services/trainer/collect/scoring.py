"""The reward of a rollout, from its record and its task.

The answer is held against the gold by the robust scorer (tables) or read from its box (questions); the terms and
what forfeits them stand in `wideseek.rewards`, what is trained on in `services.trainer.objective.credit`. A judge that
is down gives no reward: `JudgeUnavailable` is raised.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field

from services.trainer.config import WeightsConfig
from services.trainer.objective.credit import lead_of, masks
from wideseek.instances import Task, WideTask
from wideseek.judging import DeterministicJudge
from wideseek.metrics import AS_OFFICIAL, ScoreOptions, score_robust
from wideseek.ports import Judge
from wideseek.questions import score_answer
from wideseek.rewards import Outcome, RewardRule, RoleOutcome, answer_value, reward, role_rewards
from wideseek.rollout import AgentRecord, Reward, Rollout
from wideseek.trajectory import Role, StopReason

SCORER = "robust-2"
"""Raised when a scorer or the rule's formula changes, so that rewards of old and new never mix."""


@dataclass(frozen=True)
class Scoring:
    """How rollouts are rewarded."""

    rule: RewardRule = field(default_factory=RewardRule)
    weights: WeightsConfig = field(default_factory=WeightsConfig)
    judge: Judge = field(default_factory=DeterministicJudge)
    judge_name: str = "deterministic"
    """Part of the version: rewards by different judges are different rewards."""
    options: ScoreOptions = AS_OFFICIAL

    @property
    def scorer_version(self) -> str:
        """Scorer and judge."""
        return f"{SCORER}+{self.judge_name}"

    @property
    def version(self) -> str:
        """Names the reward: a hash of all that its numbers and masks depend on, besides rollout and task."""
        parts = [
            self.scorer_version,
            self.rule.model_dump(mode="json"),
            self.options.model_dump(mode="json"),
            self.weights.failed_subagent,
            *([] if self.weights.subagents is None else [self.weights.subagents]),
        ]
        return "r" + hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]

    async def score(self, rollout: Rollout, task: Task) -> Reward:
        """The reward. Raises `JudgeUnavailable`, and `InvalidRequest` for a rollout that has none."""
        score, valid = await self.answer(rollout.answer_text, task)
        outcome = outcome_of(rollout, score=score, valid=valid)
        given = reward(outcome, self.rule)
        return Reward(
            rollout_id=rollout.rollout_id,
            reward_version=self.version,
            total=given.total,
            components=dict(given.terms),
            role_reward={
                role.value: value for role, value in role_rewards(outcome, roles_of(rollout), self.rule).items()
            },
            scorer_version=self.scorer_version,
            answer_hash=rollout.answer_hash,
            valid=valid,
            masks=masks(rollout, valid=valid, rule=self.weights.failed_subagent, subagents=self.weights.subagents),
        )

    async def answer(self, text: str, task: Task) -> tuple[float, bool]:
        """What an answer scores, in [0, 1], and whether it could be scored. Raises `JudgeUnavailable`."""
        if isinstance(task, WideTask):
            table = await score_robust(text, task, self.judge, self.options)
            return table.scores.f1_by_item, not table.problem
        found = await score_answer(text, task, self.judge)
        return answer_value(found, self.rule), not found.problem


def outcome_of(rollout: Rollout, *, score: float, valid: bool) -> Outcome:
    """All that the reward depends on; the lead has ended by itself."""
    lead, all_agents = lead_of(rollout), _did(rollout.agents)
    return Outcome.model_validate(
        {
            "score": score,
            "valid": valid,
            "stop_reason": StopReason(lead.status.value),
            "longest_turn_tokens": all_agents.longest_turn_tokens,
            "accessed": all_agents.accessed,
        }
    )


def roles_of(rollout: Rollout) -> dict[Role, RoleOutcome]:
    """What the agents of each role that the rollout has did."""
    roles = dict.fromkeys(agent.role for agent in rollout.agents)
    return {role: _did(agent for agent in rollout.agents if agent.role is role) for role in roles}


def _did(agents: Iterable[AgentRecord]) -> RoleOutcome:
    turns = [turn for agent in agents for turn in agent.turns]
    return RoleOutcome(
        longest_turn_tokens=max((len(turn.sampled_token_ids) for turn in turns), default=0),
        accessed=any(
            call.name == "access" and call.ok and bool(call.sources) for turn in turns for call in turn.tool_calls
        ),
    )
