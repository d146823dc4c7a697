"""Two roles that must learn together: a lead chooses how many subagents to hand out, each must echo its key.

Run as `python -m benchmarks.toy_task`. The policy is a tiny random Llama of 80,000 parameters. A task is four keys.
The lead sees them and samples one of 16 tokens: four of these mean a width of one to four, the others hand nothing out.
Each subagent sees one key and must repeat it. The lead is told what they said and closes with a word of its choice. The
reward is the share of the four keys that were echoed; chance gives 0.01. Rollouts are sampled from the policy itself
with their log-probabilities recorded; advantages, weights, merging and the update are those of the trainer. Goal: mean
reward of 0.5 within 150 updates, from 0.05 at most, and in less than 60 CPU seconds of all threads, so that what else
the machine does does not count.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

from services.trainer.config import (
    AdvantageConfig,
    BatchingConfig,
    ModelConfig,
    OptimConfig,
    PolicyLossConfig,
    WeightsConfig,
)
from services.trainer.learn.layout import TrainRow
from services.trainer.learn.logprobs import SampledLogprobs
from services.trainer.learn.model import load_policy
from services.trainer.learn.update import Update
from services.trainer.objective.advantages import advantage_of, step_advantages
from services.trainer.objective.batch import AgentShape, RolloutShape
from services.trainer.objective.rows import merge
from services.trainer.objective.weights import token_weights
from wideseek.rollout import AgentRecord, AgentStatus, SamplingRecord, TurnRecord, WeightSpan
from wideseek.trajectory import Role

BOS, LEAD, SUBAGENT, REPORTS = range(4)
WIDTHS = range(4, 8)
KEYS = range(8, 16)
VOCABULARY, MOST = 16, 4
GROUPS, GROUP_SIZE = 8, 8
LR = 3e-3
UPDATES, START, GOAL, SECONDS = 150, 0.05, 0.5, 60


class Played(NamedTuple):
    """One rollout of the toy."""

    reward: float
    agents: tuple[AgentRecord, ...]


class Curve(NamedTuple):
    """What came of one seed: mean reward of every step's rollouts, sampled before its update."""

    rewards: list[float]
    cpu_s: float
    wall_s: float

    def smooth(self, step: int) -> float:
        """Mean of up to five steps that end with this one."""
        return statistics.fmean(self.rewards[max(0, step - 4) : step + 1])

    @property
    def updates_to_goal(self) -> int | None:
        """Updates made when the mean reward reached the goal first; None when it never did."""
        return next((step for step in range(len(self.rewards)) if self.smooth(step) >= GOAL), None)


@dataclass
class Game:
    """A policy at play."""

    policy: SampledLogprobs
    dice: torch.Generator

    def play(self, groups: int, group_size: int) -> list[list[Played]]:
        """Groups of rollouts, each group of one task."""
        tasks = [self._pick(torch.ones(len(KEYS)), MOST) for _ in range(groups)]
        keys = [[KEYS[place] for place in task] for task in tasks for _ in range(group_size)]
        first = [[BOS, LEAD, *own] for own in keys]
        chosen = self._sample(first)
        widths = [token - WIDTHS[0] + 1 if token in WIDTHS else 0 for token, _ in chosen]
        asked = [[BOS, SUBAGENT, key] for own, width in zip(keys, widths, strict=True) for key in own[:width]]
        echoed = iter(zip(asked, self._sample(asked), strict=True))
        reports = [[next(echoed) for _ in range(width)] for width in widths]
        told = [
            [*prompt, choice[0], REPORTS, *(said[0] for _, said in heard), *[REPORTS] * (MOST - len(heard))]
            for prompt, choice, heard in zip(first, chosen, reports, strict=True)
        ]
        closing = self._sample(told)
        played = [
            Played(
                sum(said[0] == prompt[-1] for prompt, said in heard) / MOST,
                (
                    _agent(Role.LEAD, "lead", [(begun, choice), (seen, close)]),
                    *(_agent(Role.SUBAGENT, f"sub{place}", [turn]) for place, turn in enumerate(heard)),
                ),
            )
            for begun, choice, heard, seen, close in zip(first, chosen, reports, told, closing, strict=True)
        ]
        return [played[start : start + group_size] for start in range(0, len(played), group_size)]

    @torch.no_grad()
    def _sample(self, prompts: Sequence[Sequence[int]]) -> list[tuple[int, float]]:
        """One token after each prompt, all of one length, and its log-probability."""
        if not prompts:
            return []
        logits: Tensor = self.policy.causal(input_ids=torch.tensor(prompts), use_cache=False).logits[:, -1]
        logprobs = logits.log_softmax(-1)
        tokens = torch.multinomial(logprobs.exp(), 1, generator=self.dice)
        return list(zip(tokens[:, 0].tolist(), logprobs.gather(-1, tokens)[:, 0].tolist(), strict=True))

    def _pick(self, chances: Tensor, count: int) -> list[int]:
        return [int(place) for place in torch.multinomial(chances, count, generator=self.dice)]


def train(seed: int, folder: Path, *, updates: int = UPDATES) -> Curve:
    """Train from a random policy; `folder` holds its weights for the moment."""
    wall, cpu = time.perf_counter(), time.process_time()
    update = _learner(seed, folder)
    game = Game(update.policy, torch.Generator().manual_seed(seed))
    rewards = []
    for step in range(updates + 1):
        groups = game.play(GROUPS, GROUP_SIZE)
        rewards.append(statistics.fmean(played.reward for group in groups for played in group))
        if step < updates:
            update.step(list(_rows(groups)), lr=LR)
    return Curve(rewards, time.process_time() - cpu, time.perf_counter() - wall)


def _learner(seed: int, folder: Path) -> Update:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        shape = LlamaConfig(
            vocab_size=VOCABULARY,
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=4,
            max_position_embeddings=64,
        )
        LlamaForCausalLM(shape).save_pretrained(folder)
    model = load_policy(
        folder, ModelConfig(adaptation="full", precision="float32"), seed=seed, device=torch.device("cpu")
    )
    return Update(
        SampledLogprobs(model, chunk=1_024),
        optim=OptimConfig(),
        batching=BatchingConfig(tokens=8_192),
        loss=PolicyLossConfig(correction="none"),
    )


def _rows(groups: Sequence[Sequence[Played]]) -> Iterator[TrainRow]:
    """Rows of a step: every number on them from the trainer's own functions."""
    shapes = [_shape(group, place, number) for number, group in enumerate(groups) for place in range(len(group))]
    advantages = step_advantages(shapes, AdvantageConfig())
    weights = token_weights(shapes, WeightsConfig(), len(shapes))
    sequence = 0
    for shape, played in zip(shapes, (played for group in groups for played in group), strict=True):
        for agent in played.agents:
            for row in merge(agent, {}):
                weight = weights[shape.rollout_id, agent.agent_id]
                advantage = advantage_of(advantages, shape.rollout_id, agent.role)
                yield TrainRow(*row, weight, advantage, agent.role, sequence)
            sequence += 1


def _shape(group: Sequence[Played], place: int, number: int) -> RolloutShape:
    agents = [
        AgentShape(agent_id=agent.agent_id, role=agent.role, trained_tokens=len(agent.turns))
        for agent in group[place].agents
    ]
    return RolloutShape(
        rollout_id=f"{number}-{place}", group_id=str(number), reward=group[place].reward, agents=tuple(agents)
    )


def _agent(role: Role, agent_id: str, turns: Sequence[tuple[Sequence[int], tuple[int, float]]]) -> AgentRecord:
    records = tuple(
        TurnRecord(
            turn_index=place,
            model_name="toy",
            prompt_token_ids=tuple(prompt),
            sampled_token_ids=(token,),
            sampled_logprobs=(min(logprob, 0.0),),
            weight_version_spans=(WeightSpan(version=0, start=0, end=1),),
            sampling=SamplingRecord(max_tokens=1),
            finish_reason="length",
            trainable=True,
        )
        for place, (prompt, (token, logprob)) in enumerate(turns)
    )
    return AgentRecord(agent_id=agent_id, role=role, subtask="echo", status=AgentStatus.ANSWERED, turns=records)


def _table(curves: dict[int, Curve], updates: int) -> str:
    steps = range(0, updates + 1, max(updates // 10, 1))
    lines = ["| updates | " + " | ".join(f"seed {seed}" for seed in curves) + " |", "|---" * (len(curves) + 1) + "|"]
    rows = ([str(step), *(f"{curve.smooth(step):.3f}" for curve in curves.values())] for step in steps)
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def main() -> int:
    """Print start, end, updates to the goal and seconds by seed; 1 where a goal is missed."""
    parser = argparse.ArgumentParser(description="Train the two-role toy task.")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--updates", type=int, default=UPDATES)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    asked = parser.parse_args()
    curves = {}
    for seed in asked.seeds:
        with tempfile.TemporaryDirectory() as folder:
            curves[seed] = train(seed, Path(folder), updates=asked.updates)
    found = [
        {
            "seed": seed,
            "start": round(curve.rewards[0], 3),
            "end": round(curve.smooth(asked.updates), 3),
            "updates_to_goal": curve.updates_to_goal,
            "cpu_seconds": round(curve.cpu_s, 1),
            "seconds": round(curve.wall_s, 1),
        }
        for seed, curve in curves.items()
    ]
    if asked.json:
        print(json.dumps({"goal": GOAL, "seeds": found, "rewards": {s: c.rewards for s, c in curves.items()}}))
    else:
        print(_table(curves, asked.updates))
        for line in found:
            print(", ".join(f"{name.replace('_', ' ')} {value}" for name, value in line.items()))
    met = all(
        curve.rewards[0] <= START and curve.updates_to_goal is not None and curve.cpu_s < SECONDS
        for curve in curves.values()
    )
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
