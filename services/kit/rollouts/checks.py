"""What must hold of a rollout before it is stored, beyond what its classes refuse.

What is wrong in a stored rollout cannot be repaired later, so it is refused while its writer can still be named.
"""

import hashlib
import math
from collections.abc import Iterator

from wideseek.errors import ContractViolation
from wideseek.rollout import SCHEMA_VERSION, AgentRecord, Reward, Rollout, RolloutStatus, TurnRecord, rollout_id_of
from wideseek.trajectory import Role

_LOWEST_FLOAT32 = -3.4028234663852886e38
_LARGEST_TOKEN = 2**32 - 1
_LATEST = 253_402_300_799.0
"""Last second of the year 9999, in Unix seconds."""


def answer_hash_of(answer_text: str) -> str:
    """SHA-256 of an answer, as rollouts and rewards carry it: 64 hexadecimal digits."""
    return hashlib.sha256(answer_text.encode()).hexdigest()


def check_rollout(rollout: Rollout) -> None:
    """Raise `ContractViolation` that names everything wrong with a rollout."""
    breaches = [*_identity(rollout), *_tree(rollout)]
    for agent in rollout.agents:
        for place, turn in enumerate(agent.turns):
            breaches += [f"agent {agent.agent_id} turn {place}: {said}" for said in _turn(agent, place, turn)]
    if breaches:
        more = f" and {len(breaches) - 5} more" if len(breaches) > 5 else ""
        raise ContractViolation(f"rollout {rollout.rollout_id}: {'; '.join(breaches[:5])}{more}")


def check_reward(reward: Reward, answer_hash: str | None) -> None:
    """Raise `ContractViolation` for a reward that is no number or was given to another answer."""
    numbers = [reward.total, *reward.components.values(), *reward.role_reward.values()]
    if not all(math.isfinite(number) for number in numbers):
        raise ContractViolation(f"reward of {reward.rollout_id}: a number is not finite")
    if answer_hash is not None and reward.answer_hash != answer_hash:
        raise ContractViolation(f"reward of {reward.rollout_id} was given to another answer than the rollout's")


def _identity(rollout: Rollout) -> Iterator[str]:
    if rollout.schema_version != SCHEMA_VERSION:
        yield f"schema_version is {rollout.schema_version}, this release writes {SCHEMA_VERSION}"
    if not rollout.run_id:
        yield "run_id is empty"
    if (rollout.group_id is None) != (rollout.index_in_group is None):
        yield "group_id and index_in_group go together"
    expected = rollout_id_of(rollout.run_id, rollout.group_id, rollout.index_in_group, rollout.attempt)
    if rollout.rollout_id != expected:
        yield f"rollout_id is not {expected}, the hash of run, group, index and attempt"
    if rollout.answer_hash != answer_hash_of(rollout.answer_text):
        yield "answer_hash is not the SHA-256 of answer_text"
    times = (rollout.started_at, rollout.finished_at)
    if not all(math.isfinite(time) and 0 <= time <= _LATEST for time in times):
        yield "started_at or finished_at is no time in Unix seconds"


def _tree(rollout: Rollout) -> Iterator[str]:
    """The agents form one tree: a lead (or a single agent) at the top, subagents below."""
    by_id = {agent.agent_id: agent for agent in rollout.agents}
    if len(by_id) < len(rollout.agents):
        yield "two agents have the same agent_id"
    tops = [agent for agent in rollout.agents if agent.parent_agent_id is None]
    if len(tops) > 1 or (rollout.agents and not tops):
        yield f"{len(tops)} agents have no parent, one must"
    if not rollout.agents and rollout.status in {RolloutStatus.OK, RolloutStatus.FAILED_TASK}:
        yield f"no agents, though the status is {rollout.status}"
    for agent in rollout.agents:
        yield from _place(agent, by_id)


def _place(agent: AgentRecord, by_id: dict[str, AgentRecord]) -> Iterator[str]:
    if agent.parent_agent_id is None:
        if agent.role is Role.SUBAGENT:
            yield f"agent {agent.agent_id} is a subagent without parent_agent_id"
        return
    if agent.role is not Role.SUBAGENT:
        yield f"agent {agent.agent_id} is a {agent.role} below another agent"
    seen = {agent.agent_id}
    above: str | None = agent.parent_agent_id
    while above is not None:
        if above not in by_id:
            yield f"agent {agent.agent_id}: there is no agent {above} above it"
            return
        if above in seen:
            yield f"agent {agent.agent_id} stands above itself"
            return
        seen.add(above)
        above = by_id[above].parent_agent_id


def _turn(agent: AgentRecord, place: int, turn: TurnRecord) -> Iterator[str]:
    if turn.turn_index != place:
        yield f"turn_index is {turn.turn_index}, turns are numbered from 0 in order"
    for name, tokens in (("prompt", turn.prompt_token_ids), ("sampled", turn.sampled_token_ids)):
        if tokens and not 0 <= min(tokens) <= max(tokens) <= _LARGEST_TOKEN:
            yield f"a {name} token id is negative or above 2^32 - 1"
    if turn.sampled_logprobs and min(turn.sampled_logprobs) < _LOWEST_FLOAT32:
        yield "a log-probability does not fit 32 bits"
    if turn.trainable and not (turn.sampled_token_ids and turn.sampled_logprobs and turn.prompt_token_ids):
        yield "trainable without prompt, sampled tokens and their log-probabilities"
    following = agent.turns[place + 1].prompt_token_ids if place + 1 < len(agent.turns) else None
    for call in turn.tool_calls:
        start, end = call.result_start, call.result_end
        if (start is None) != (end is None):
            yield f"call {call.call_id}: result_start and result_end go together"
        elif start is not None and end is not None and not 0 <= start <= end <= len(following or ()):
            yield f"call {call.call_id}: the result's span is not inside the next turn's prompt"
