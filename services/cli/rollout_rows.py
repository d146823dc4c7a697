"""The rows of an export, at each level, and the types of their columns.

A level repeats the columns of the levels above it that analysis groups by. Reward columns are the same in every row of
a rollout: `reward`, `reward_<component>` and `role_reward_<role>`; they are empty for a rollout without reward.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from services.kit.rollouts.entry import StoredRollout
from wideseek.rollout import AgentRecord, Reward, Rollout, TurnRecord

Row = dict[str, Any]
Masked = dict[int, str]
"""Why the outcome excludes a turn, by its index."""

_TEXT, _INTEGER, _NUMBER, _TRUTH = "string", "int64", "float64", "bool"

_GROUPING = {
    **dict.fromkeys(("rollout_id", "job_id", "run_id", "group_id"), _TEXT),
    "index_in_group": _INTEGER,
    **dict.fromkeys(("task_id", "split", "status", "source"), _TEXT),
    **dict.fromkeys(("version_min", "version_max"), _INTEGER),
}
_OF_AGENT = dict.fromkeys(("agent_id", "role"), _TEXT)
_COUNTS = dict.fromkeys(
    ("turns", "tool_calls", "tool_failures", "prompt_tokens", "sampled_tokens", "trainable_tokens", "trained_tokens"),
    _INTEGER,
)
_TOKEN_COUNTS = dict.fromkeys(("prompt_tokens", "sampled_tokens", "cached_tokens"), _INTEGER)
_HASHES = dict.fromkeys(("base_model_hash", "adapter_hash", "tokenizer_hash", "template_hash"), _TEXT)
_TIMES = dict.fromkeys(("queued_s", "first_token_s", "generate_s", "tools_s"), _NUMBER)

COLUMNS: dict[str, dict[str, str]] = {
    "rollout": {
        **_GROUPING,
        "attempt": _INTEGER,
        **dict.fromkeys(("task_hash", "error"), _TEXT),
        **dict.fromkeys(("started_at", "finished_at", "seconds"), _NUMBER),
        **dict.fromkeys(("query", "answer_text", "code_version", "corpus_hash"), _TEXT),
        "agents": _INTEGER,
        **_COUNTS,
        **dict.fromkeys(("uri", "sha256"), _TEXT),
    },
    "agent": {
        **_GROUPING,
        **_OF_AGENT,
        "parent_agent_id": _TEXT,
        **dict.fromkeys(("parent_turn_index", "wave"), _INTEGER),
        **dict.fromkeys(("subtask_id", "subtask", "agent_status"), _TEXT),
        **_COUNTS,
    },
    "turn": {
        **_GROUPING,
        **_OF_AGENT,
        "turn_index": _INTEGER,
        **dict.fromkeys(("request_id", "engine_id", "model_name"), _TEXT),
        **_HASHES,
        **_TOKEN_COUNTS,
        **dict.fromkeys(("mean_logprob", "min_logprob", "temperature", "top_p"), _NUMBER),
        "finish_reason": _TEXT,
        **dict.fromkeys(("truncated", "trainable"), _TRUTH),
        "mask_reason": _TEXT,
        **dict.fromkeys(("tool_calls", "tool_failures"), _INTEGER),
        "tools": _TEXT,
        **_TIMES,
        "text": _TEXT,
    },
    "token": {
        **dict.fromkeys(("rollout_id", "job_id", "group_id", "task_id"), _TEXT),
        **_OF_AGENT,
        **dict.fromkeys(("turn_index", "position", "token_id"), _INTEGER),
        "logprob": _NUMBER,
        "version": _INTEGER,
        "trained": _TRUTH,
        "mask_reason": _TEXT,
    },
}
"""Types of the columns by level and name, without those of rewards."""


def reward_columns(rewards: Iterable[Reward]) -> dict[str, str]:
    """The columns that these rewards need."""
    components: set[str] = set()
    roles: set[str] = set()
    for reward in rewards:
        components.update(reward.components)
        roles.update(reward.role_reward)
    return {
        "reward_version": _TEXT,
        "reward": _NUMBER,
        "reward_valid": _TRUTH,
        **{f"reward_{name}": _NUMBER for name in sorted(components)},
        **{f"role_reward_{name}": _NUMBER for name in sorted(roles)},
    }


def rows(level: str, entry: StoredRollout, rollout: Rollout, reward: Reward | None) -> Iterator[Row]:
    """The rows of one rollout; columns that a row lacks are empty."""
    rewarded = _rewarded(reward)
    masked: dict[str, Masked] = {}
    for mask in reward.masks if reward else ():
        masked.setdefault(mask.agent_id, {})[mask.turn_index] = mask.reason
    for row in _LEVELS[level](entry, rollout, masked):
        yield {**row, **rewarded}


def _rewarded(reward: Reward | None) -> Row:
    if reward is None:
        return {}
    return {
        **{f"reward_{name}": value for name, value in reward.components.items()},
        **{f"role_reward_{name}": value for name, value in reward.role_reward.items()},
        "reward_version": reward.reward_version,
        "reward": reward.total,
        "reward_valid": reward.valid,
    }


def _rollout(entry: StoredRollout, rollout: Rollout, masked: dict[str, Masked]) -> Iterator[Row]:
    counts = [_counts(agent, masked.get(agent.agent_id, {})) for agent in rollout.agents]
    yield {
        **rollout.model_dump(mode="json", exclude={"agents"}),
        **_grouping(entry),
        "seconds": rollout.finished_at - rollout.started_at,
        "agents": len(rollout.agents),
        **{name: sum(count[name] for count in counts) for name in _COUNTS},
        "uri": entry.uri,
        "sha256": entry.sha256,
    }


def _agent(entry: StoredRollout, rollout: Rollout, masked: dict[str, Masked]) -> Iterator[Row]:
    for agent in rollout.agents:
        yield {
            **agent.model_dump(mode="json", exclude={"turns", "status"}),
            **_grouping(entry),
            "agent_status": agent.status.value,
            **_counts(agent, masked.get(agent.agent_id, {})),
        }


def _turn(entry: StoredRollout, rollout: Rollout, masked: dict[str, Masked]) -> Iterator[Row]:
    grouping = _grouping(entry)
    for agent in rollout.agents:
        excluded = masked.get(agent.agent_id, {})
        for turn in agent.turns:
            logprobs = turn.sampled_logprobs
            yield {
                **turn.model_dump(mode="json", include={*COLUMNS["turn"]} - {"tool_calls"}),
                **grouping,
                **_who(agent),
                **turn.timings.model_dump(),
                "prompt_tokens": len(turn.prompt_token_ids),
                "sampled_tokens": len(logprobs),
                "mean_logprob": sum(logprobs) / len(logprobs) if logprobs else None,
                "min_logprob": min(logprobs, default=None),
                "temperature": turn.sampling.temperature,
                "top_p": turn.sampling.top_p,
                "mask_reason": _mask(turn, excluded),
                "tool_calls": len(turn.tool_calls),
                "tool_failures": sum(not call.ok for call in turn.tool_calls),
                "tools": " ".join(call.name for call in turn.tool_calls),
            }


def _token(entry: StoredRollout, rollout: Rollout, masked: dict[str, Masked]) -> Iterator[Row]:
    grouping = {name: getattr(entry, name) for name in ("rollout_id", "job_id", "group_id", "task_id")}
    for agent in rollout.agents:
        for turn in agent.turns:
            reason = _mask(turn, masked.get(agent.agent_id, {}))
            shared = {**grouping, **_who(agent), "turn_index": turn.turn_index, "mask_reason": reason}
            versions = (span.version for span in turn.weight_version_spans for _ in range(span.start, span.end))
            sampled = zip(turn.sampled_token_ids, turn.sampled_logprobs, versions, strict=True)
            for position, (token, logprob, version) in enumerate(sampled):
                yield {
                    **shared,
                    "position": position,
                    "token_id": token,
                    "logprob": logprob,
                    "version": version,
                    "trained": not reason,
                }


def _grouping(entry: StoredRollout) -> Row:
    return {name: getattr(entry, name) for name in _GROUPING} | {
        "status": entry.status.value,
        "source": entry.source.value,
    }


def _who(agent: AgentRecord) -> Row:
    return {"agent_id": agent.agent_id, "role": agent.role.value}


def _mask(turn: TurnRecord, excluded: Masked) -> str:
    if not turn.trainable:
        return turn.mask_reason or "untrainable"
    return excluded.get(turn.turn_index, "")


def _counts(agent: AgentRecord, excluded: Masked) -> dict[str, int]:
    calls = [call for turn in agent.turns for call in turn.tool_calls]
    return {
        "turns": len(agent.turns),
        "tool_calls": len(calls),
        "tool_failures": sum(not call.ok for call in calls),
        "prompt_tokens": sum(len(turn.prompt_token_ids) for turn in agent.turns),
        "sampled_tokens": sum(len(turn.sampled_token_ids) for turn in agent.turns),
        "trainable_tokens": sum(len(turn.sampled_token_ids) for turn in agent.turns if turn.trainable),
        "trained_tokens": sum(len(turn.sampled_token_ids) for turn in agent.turns if not _mask(turn, excluded)),
    }


_LEVELS: dict[str, Callable[[StoredRollout, Rollout, dict[str, Masked]], Iterator[Row]]] = {
    "rollout": _rollout,
    "agent": _agent,
    "turn": _turn,
    "token": _token,
}
