"""Jobs for tests of the learner process: a folder, stored rollouts, a chain of manifests. Imports no torch."""

import hashlib
import random
from collections.abc import Sequence
from pathlib import Path

from services.kit.rollouts.entry import StoredRollout
from services.kit.rollouts.store import RolloutStore
from services.trainer.config import JobConfig
from services.trainer.folder import JobFolder, JobRecord, write_atomically, write_model
from services.trainer.ledger.manifest import FIRST, AgentShare, Entry, Manifest
from wideseek.rollout import (
    SCHEMA_VERSION,
    AgentRecord,
    AgentStatus,
    Rollout,
    RolloutSource,
    RolloutStatus,
    SamplingRecord,
    TurnRecord,
    WeightSpan,
    rollout_id_of,
)
from wideseek.trajectory import Role

JOB = "job-1"
VOCABULARY = 97


def job_folder(path: Path, base: Path, **changes: object) -> JobFolder:
    """A job's folder with its record, beside its rollout store; `changes` are laid over a small configuration."""
    settings: dict[str, object] = {
        "steps": 50,
        "seed": 5,
        "model": {"base": str(base), "precision": "float32"},
        "data": {"questions": ["questions.jsonl"]},
        "optim": {"lr": 1e-3},
        "batching": {"tokens": 64},
        "hardware": {"threads": 1, "device": "cpu"},
    }
    for key, value in changes.items():
        there = settings.get(key)
        settings[key] = {**there, **value} if isinstance(there, dict) and isinstance(value, dict) else value
    folder = JobFolder(path)
    config = JobConfig.model_validate(settings)
    write_model(
        folder.record_file,
        JobRecord(job_id=JOB, created_at=1.0, config=config, rollouts_root=str(path.parent / "rollouts")),
    )
    return folder


def store_of(folder: JobFolder) -> RolloutStore:
    """The rollout store of a job."""
    return RolloutStore.open(folder.record().rollouts_root)


def rollout(number: int, *, source: RolloutSource = RolloutSource.POLICY, subagents: int = 2) -> Rollout:
    """A lead of two turns and subagents of one, of uneven length."""
    dice = random.Random(number)
    lead = _turns(dice, 2)
    agents = [_agent("lead", Role.LEAD, lead)]
    agents += [_agent(f"sub-{place}", Role.SUBAGENT, _turns(dice, 1)) for place in range(subagents)]
    run_id = f"run-{number}"
    return Rollout(
        schema_version=SCHEMA_VERSION,
        run_id=run_id,
        rollout_id=rollout_id_of(run_id, "group-1", number, 0),
        group_id="group-1",
        index_in_group=number,
        task_hash="0" * 64,
        source=source,
        status=RolloutStatus.OK,
        started_at=1.0,
        finished_at=2.0,
        query="which?",
        answer_text="this",
        answer_hash=hashlib.sha256(b"this").hexdigest(),
        agents=tuple(agents),
    )


def manifest(
    folder: JobFolder, step: int, rollouts: Sequence[Rollout], previous: str = FIRST, *, advantage: float | None = None
) -> str:
    """Store rollouts and write the manifest of a step that trains on all of them; the manifest's hash.

    Weights are 1/(B N L); `advantage` None alternates between 1 and -1.
    """
    store = store_of(folder)
    entries = []
    for place, one in enumerate(rollouts):
        stored = store.put(one, JOB)
        given = advantage if advantage is not None else (1.0 if place % 2 == 0 else -1.0)
        entries.append(_entry(one, stored, len(rollouts), given))
    written = Manifest(
        job_id=JOB,
        step=step,
        prev_sha256=previous,
        created_at=float(step),
        seed=step,
        config_sha256=folder.record().config.sha256,
        code_version="test",
        policy_version=step - 1,
        planned=len(rollouts),
        learning_rate=folder.record().config.optim.lr,
        entries=tuple(entries),
    )
    write_atomically(folder.manifest_file(step), written.to_bytes())
    return written.sha256


def manifests(folder: JobFolder, steps: int, *, size: int = 3) -> None:
    """A chain of manifests, each over rollouts of its own."""
    previous = FIRST
    for step in range(1, steps + 1):
        previous = manifest(folder, step, [rollout(100 * step + place) for place in range(size)], previous)


def _entry(one: Rollout, stored: StoredRollout, planned: int, advantage: float) -> Entry:
    lengths = [sum(len(turn.sampled_token_ids) for turn in agent.turns) for agent in one.agents]
    shares = [
        AgentShare(
            agent_id=agent.agent_id,
            role=agent.role,
            trained_tokens=length,
            weight=1 / (planned * len(lengths) * length),
            advantage=advantage,
        )
        for agent, length in zip(one.agents, lengths, strict=True)
    ]
    return Entry(
        rollout_id=one.rollout_id, uri=stored.uri, sha256=stored.sha256, group_id="group-1", agents=tuple(shares)
    )


def _agent(agent_id: str, role: Role, turns: Sequence[TurnRecord]) -> AgentRecord:
    parent = None if role is Role.LEAD else "lead"
    return AgentRecord(
        agent_id=agent_id,
        role=role,
        parent_agent_id=parent,
        parent_turn_index=None if parent is None else 0,
        subtask="find it",
        status=AgentStatus.ANSWERED,
        turns=tuple(turns),
    )


def _turns(dice: random.Random, count: int) -> list[TurnRecord]:
    context: tuple[int, ...] = ()
    turns = []
    for index in range(count):
        prompt = context + tuple(dice.randrange(3, VOCABULARY) for _ in range(dice.randint(3, 12)))
        sampled = tuple(dice.randrange(3, VOCABULARY) for _ in range(dice.randint(2, 14)))
        turns.append(
            TurnRecord(
                turn_index=index,
                model_name="policy",
                prompt_token_ids=prompt,
                sampled_token_ids=sampled,
                sampled_logprobs=tuple(-dice.uniform(3, 6) for _ in sampled),
                weight_version_spans=(WeightSpan(version=0, start=0, end=len(sampled)),),
                sampling=SamplingRecord(max_tokens=64),
                finish_reason="stop",
                trainable=True,
            )
        )
        context = prompt + sampled
    return turns
