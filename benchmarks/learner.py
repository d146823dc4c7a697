"""What the learner costs: tokens a second, padding, tokens saved by merging turns, memory of the loss head.

Run as `python -m benchmarks.learner`, or with the names of parts. `update` trains the bundled SmolLM2 for one step on
rows of random tokens, a quarter of them sampled, after a step of warm-up; tokens are row tokens without padding, by
CPU second (all threads) and by second of the clock. `layout` lays out row lengths as skewed as long rollouts have
them. `merge` logs agents of many turns and counts tokens of one row a turn against merged rows, beside the formula.
`head` measures the resident memory that value and gradient of the log-probabilities add, each in a process of its own:
151,936 tokens of vocabulary, 1,024 wide, frozen as with an adapter. Goals: padding of 2 % at most, a saving within 1 %
of the formula, 1 GB for the head.
"""

import argparse
import json
import multiprocessing
import random
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from services.kit.processor import fastest_dtype
from services.trainer.config import BatchingConfig, ModelConfig, OptimConfig, PolicyLossConfig
from services.trainer.learn.base import resolve_base
from services.trainer.learn.layout import TrainRow, padding_share, plan
from services.trainer.learn.logprobs import SampledLogprobs, chunked_logprobs
from services.trainer.learn.model import load_policy
from services.trainer.learn.update import Update
from services.trainer.objective.rows import measured_saving, merge_saving, turn_lengths
from wideseek.rollout import AgentRecord, AgentStatus, SamplingRecord, TurnRecord, WeightSpan
from wideseek.trajectory import Role

PADDING, SAVING, HEAD_GB = 0.02, 0.01, 1.0
LONGEST, BUDGET = 32_000, 32_000
VOCABULARY, WIDTH, CHUNK = 151_936, 1_024, 256
KINDS = {
    "LoRA, float32": ModelConfig(precision="float32"),
    "LoRA, bfloat16": ModelConfig(precision="bfloat16"),
    "all weights, float32": ModelConfig(precision="float32", adaptation="full"),
}


def update_speed(home: Path, lengths: Sequence[int]) -> dict[str, dict[str, float]]:
    """Tokens a second of one optimiser step, by kind of training."""
    base, found = resolve_base("smollm2", home), {}
    for kind, config in KINDS.items():
        model = load_policy(base, config, seed=0, device=torch.device("cpu"))
        update = Update(
            SampledLogprobs(model, chunk=CHUNK, precision=config.precision),
            optim=OptimConfig(),
            batching=BatchingConfig(tokens=1_024),
            loss=PolicyLossConfig(correction="tis"),
        )
        update.step([_row(16, seed=1)], lr=1e-5)
        rows = [_row(length, seed=length) for length in lengths]
        wall, cpu = time.perf_counter(), time.process_time()
        update.step(rows, lr=1e-5)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        found[kind] = {"tokens_per_cpu_s": round(sum(lengths) / cpu, 1), "tokens_per_s": round(sum(lengths) / wall, 1)}
    return found


def sharing_speed(home: Path, repeats: int) -> dict[str, float]:
    """Row tokens a second of the leads and lookups of one group, computed apart and sharing what they begin with.

    Four rollouts with three lookups each: 480 of 1,100 tokens of a lead, 590 of 1,040 of a lookup are alike.
    """
    rows = [*_alike(4, 480, 1_100, seed=1), *_alike(12, 590, 1_040, seed=2)]
    config = ModelConfig(precision=fastest_dtype())
    model = load_policy(resolve_base("smollm2", home), config, seed=0, device=torch.device("cpu"))
    policy = SampledLogprobs(model, chunk=CHUNK, precision=config.precision)
    taken: dict[str, list[float]] = {"sorted": [], "shared": []}
    for layout in [*taken] * repeats:
        batching = BatchingConfig.model_validate({"tokens": 4_096, "layout": layout})
        update = Update(policy, optim=OptimConfig(), batching=batching, loss=PolicyLossConfig(correction="tis"))
        taken[layout].append(update.step(rows, lr=1e-5)["tokens/per_second"])
    speeds = {layout: round(statistics.median(found), 1) for layout, found in taken.items()}
    return {**speeds, "ratio": round(speeds["shared"] / speeds["sorted"], 2)}


def layouts(count: int) -> dict[str, float]:
    """Share of padding by layout, the same rows in each."""
    dice = random.Random(7)
    lengths = [min(max(int(dice.lognormvariate(9.15, 0.55)), 200), LONGEST) for _ in range(count)]
    rows = [TrainRow((0,) * n, (False, *[True] * (n - 1)), (0.0,) * n, 0.0, 0.0, Role.LEAD, 0) for n in lengths]
    shuffled = dice.sample(lengths, count)
    fours = [shuffled[start : start + 4] for start in range(0, count, 4)]
    used, config = sum(lengths), BatchingConfig(tokens=BUDGET)
    return {
        "every row padded to 32,000": 1 - used / (LONGEST * count),
        "random micro-batches of 4": 1 - used / sum(len(four) * max(four) for four in fours),
        "sorted": padding_share(rows, plan(rows, config)[0]),
        "packed into 32,000": 1 - used / (BUDGET * len(plan(rows, config, packed=True)[0])),
    }


def merging() -> dict[str, dict[str, float]]:
    """Tokens of one row a turn over tokens of merged rows: counted, and by the formula for the logged lengths."""
    dice = random.Random(3)
    made = {f"{turns} turns": [_agent(1_500, [400] * turns, [1_200] * (turns - 1))] for turns in (3, 5, 10, 20)}
    made["8 agents of uneven turns"] = [
        _agent(
            dice.randint(200, 2_000),
            [dice.randint(20, 700) for _ in range(turns)],
            [dice.randint(50, 2_500) for _ in range(turns - 1)],
        )
        for turns in (dice.randint(1, 16) for _ in range(8))
    ]
    found = {}
    for name, agents in made.items():
        counted, formula = measured_saving(agents), merge_saving([turn_lengths(agent) for agent in agents])
        found[name] = {"counted": round(counted, 3), "formula": round(formula, 3), "off": abs(counted / formula - 1)}
    return found


def head_memory(positions: int) -> dict[str, float]:
    """Gigabytes that value and gradient of the log-probabilities add, by way of computing them."""
    ways: dict[str, int] = {"all at once": positions, f"chunks of {CHUNK}": CHUNK}
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        return {way: round(pool.apply(_head, (positions, chunk)), 3) for way, chunk in ways.items()}


def _head(positions: int, chunk: int) -> float:
    torch.manual_seed(0)
    # In place: a passing copy would raise the peak that what follows is measured against.
    weight = torch.empty(VOCABULARY, WIDTH).normal_(std=0.02)
    hidden = torch.randn(positions, WIDTH, requires_grad=True)
    targets = torch.randint(VOCABULARY, (positions,))
    small = hidden[:1] @ weight.T
    before = _peak_gb()
    if chunk == positions:
        found = torch.nn.functional.linear(hidden, weight).log_softmax(-1).gather(-1, targets[:, None])[:, 0]
    else:
        found = chunked_logprobs(lambda part: torch.nn.functional.linear(part, weight), hidden, targets, chunk)
    torch.autograd.backward((found.sum() + 0 * small.sum()) / positions)
    return _peak_gb() - before


def _peak_gb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2


def _row(length: int, *, seed: int) -> TrainRow:
    """A row of which the last of every four stretches was sampled."""
    dice = random.Random(seed)
    trained = tuple(place // 16 % 4 == 3 or place == length - 1 for place in range(length))
    behaviour = tuple(-8.0 if marked else 0.0 for marked in trained)
    tokens = tuple(dice.randrange(1_000, 40_000) for _ in range(length))
    return TrainRow(tokens, trained, behaviour, 1 / length, dice.choice([-1.0, 1.0]), Role.LEAD, seed)


def _alike(count: int, head: int, length: int, *, seed: int) -> list[TrainRow]:
    """Rows that begin with the same `head` tokens, of which none was sampled; half of what follows was."""
    first = _row(head, seed=seed).token_ids
    rows = []
    for place in range(count):
        rest = _row(length - head, seed=1_000 * seed + place)
        trained = (*[False] * (head + 1), *(spot % 64 >= 32 for spot in range(1, length - head)))
        behaviour = tuple(-8.0 if marked else 0.0 for marked in trained)
        rows.append(replace(rest, token_ids=(*first, *rest.token_ids), trained=trained, behaviour=behaviour))
    return rows


def _agent(prompt: int, outputs: Sequence[int], between: Sequence[int]) -> AgentRecord:
    dice = random.Random(prompt)
    context, turns = [dice.randrange(100, 40_000) for _ in range(prompt)], []
    for place, (output, added) in enumerate(zip(outputs, [*between, 0], strict=True)):
        sampled = [dice.randrange(100, 40_000) for _ in range(output)]
        turns.append(
            TurnRecord(
                turn_index=place,
                model_name="logged",
                prompt_token_ids=tuple(context),
                sampled_token_ids=tuple(sampled),
                sampled_logprobs=(-1.0,) * output,
                weight_version_spans=(WeightSpan(version=0, start=0, end=output),),
                sampling=SamplingRecord(max_tokens=output),
                finish_reason="stop",
                trainable=True,
            )
        )
        context += [*sampled, *(dice.randrange(100, 40_000) for _ in range(added))]
    return AgentRecord(agent_id="a", role=Role.LEAD, subtask="", status=AgentStatus.ANSWERED, turns=tuple(turns))


def _missed(found: dict[str, Any]) -> list[str]:
    """Goals that were not reached."""
    shares, heads = found.get("layout", {}), found.get("head", {})
    return [
        *(f"padding of {name}" for name in ("sorted", "packed into 32,000") if shares.get(name, 0) > PADDING),
        *(f"saving of {name}" for name, one in found.get("merge", {}).items() if one["off"] > SAVING),
        *(f"memory of {name}" for name, size in heads.items() if name.startswith("chunks") and size > HEAD_GB),
    ]


def main() -> int:
    """Print what was measured as one JSON object; 1 where a goal is missed."""
    parser = argparse.ArgumentParser(description="Measure the learner.")
    parser.add_argument("parts", nargs="*", choices=["update", "layout", "share", "merge", "head", []])
    parser.add_argument("--home", type=Path, help="folder with the bundled model; default: made anew")
    parser.add_argument("--rows", type=int, default=778, help="rows of the layouts")
    parser.add_argument("--lengths", type=int, nargs="+", default=[260, 250, 128, 120], help="rows of the update")
    parser.add_argument("--positions", type=int, default=1_024, help="sampled positions of the head")
    parser.add_argument("--repeats", type=int, default=3, help="of each layout of rows that begin alike")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as passing:
        measures: dict[str, Callable[[], Any]] = {
            "layout": lambda: layouts(asked.rows),
            "merge": merging,
            "head": lambda: head_memory(asked.positions),
            "update": lambda: update_speed(asked.home or Path(passing), asked.lengths),
            "share": lambda: sharing_speed(asked.home or Path(passing), asked.repeats),
        }
        found = {name: measure() for name, measure in measures.items() if name in (asked.parts or measures)}
    missed = _missed(found)
    print(json.dumps({**found, "threads": torch.get_num_threads(), "missed": missed}, indent=1))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
