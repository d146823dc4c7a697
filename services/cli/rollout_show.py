"""`wideseek rollouts show`."""

import json
import sys

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from services.cli.console import CommandError, duration, harmless
from services.cli.rollout_place import check_format, jobs_of, tables
from services.cli.rollout_rewards import Rewards
from services.kit.rollouts.entry import StoredRollout
from services.kit.rollouts.store import RolloutStore
from wideseek.rollout import AgentRecord, Reward, Rollout, ToolRecord, TurnRecord

_LONGEST = 2_000
"""Characters of a text that are shown."""


def show(store: RolloutStore, rollout_id: str, job: str | None, form: str) -> None:
    """Print one rollout. Raises `CommandError` when there is none of this id."""
    check_format(form)
    if job is not None:
        jobs_of(store, job)
    entry = store.find(rollout_id, job)
    if entry is None:
        raise CommandError(f"no rollout {rollout_id} in the store; `wideseek rollouts list` names them")
    rollout = store.get(entry.uri, entry.sha256)
    rewards = Rewards(store, entry.job_id).of(rollout_id)
    if form == "json":
        shown = {
            "entry": entry.model_dump(mode="json"),
            "rollout": rollout.model_dump(mode="json"),
            "rewards": [reward.model_dump(mode="json") for reward in rewards],
        }
        sys.stdout.write(json.dumps(shown, ensure_ascii=False, indent=1) + "\n")
        return
    output = tables()
    _print_head(output, entry, rollout)
    masked = {(mask.agent_id, mask.turn_index): mask.reason for reward in rewards[-1:] for mask in reward.masks}
    output.print(_agents(rollout, masked))
    for agent in rollout.agents:
        output.print(_turns(agent, masked))
    if rewards:
        output.print(_rewards(rewards))


def _print_head(output: Console, entry: StoredRollout, rollout: Rollout) -> None:
    group = f"group {entry.group_id} #{entry.index_in_group}, " if entry.group_id else ""
    lines = (
        f"{entry.rollout_id} of job {entry.job_id}: {entry.status}, {entry.source}",
        f"run {entry.run_id}, {group}task {entry.task_id or 'none'}, attempt {entry.attempt}",
        f"took {duration(max(0.0, rollout.finished_at - rollout.started_at))}, "
        f"policy versions {entry.version_min} to {entry.version_max}",
        f"object {entry.uri}, SHA-256 {entry.sha256}",
        *([f"error: {rollout.error}"] if rollout.error else []),
    )
    for line in lines:
        output.print(Text(harmless(line)), soft_wrap=True)
    for title, text in (("query", rollout.query), ("answer", rollout.answer_text)):
        cut = text if len(text) <= _LONGEST else f"{text[:_LONGEST]} … ({len(text):,} characters)"
        output.print(Text(f"\n{title}", style="bold"))
        output.print(Text(harmless(cut)), soft_wrap=True)


def _table(title: str, left: tuple[str, ...], right: tuple[str, ...], last: tuple[str, ...] = ()) -> Table:
    table = Table(title=Text(harmless(title)), title_justify="left", box=box.SIMPLE_HEAD)
    for name in left:
        table.add_column(name, overflow="fold")
    for name in right:
        table.add_column(name, justify="right")
    for name in last:
        table.add_column(name, overflow="fold")
    return table


def _agents(rollout: Rollout, masked: dict[tuple[str, int], str]) -> Table:
    table = _table("agents", ("agent", "role", "below", "status"), ("turns", "sampled", "trained"), ("subtask",))
    for agent in rollout.agents:
        sampled = sum(len(turn.sampled_token_ids) for turn in agent.turns)
        trained = sum(len(turn.sampled_token_ids) for turn in agent.turns if not _why_not(agent, turn, masked))
        above = "" if agent.parent_agent_id is None else f"{agent.parent_agent_id}, turn {agent.parent_turn_index}"
        subtask = agent.subtask if len(agent.subtask) <= 120 else f"{agent.subtask[:120]} …"
        numbers = (str(len(agent.turns)), f"{sampled:,}", f"{trained:,}")
        table.add_row(*map(_cell, (agent.agent_id, agent.role, above, agent.status, *numbers, subtask)))
    return table


def _turns(agent: AgentRecord, masked: dict[tuple[str, int], str]) -> Table:
    numbers = ("turn", "version", "prompt", "cached", "sampled", "mean log-prob", "seconds")
    table = _table(f"turns of {agent.agent_id}", (), numbers, ("finish", "not trained on", "tool calls"))
    for turn in agent.turns:
        count = len(turn.sampled_logprobs)
        versions = dict.fromkeys(str(span.version) for span in turn.weight_version_spans)
        table.add_row(
            *map(
                _cell,
                (
                    str(turn.turn_index),
                    ", ".join(versions),
                    f"{len(turn.prompt_token_ids):,}",
                    f"{turn.cached_tokens:,}",
                    f"{count:,}",
                    f"{sum(turn.sampled_logprobs) / count:.3f}" if count else "",
                    f"{turn.timings.generate_s:.1f}",
                    turn.finish_reason + (" (truncated)" if turn.truncated else ""),
                    _why_not(agent, turn, masked),
                    "\n".join(map(_call, turn.tool_calls)),
                ),
            )
        )
    return table


def _why_not(agent: AgentRecord, turn: TurnRecord, masked: dict[tuple[str, int], str]) -> str:
    """Why a turn is not trained on, empty when it is."""
    if not turn.trainable:
        return turn.mask_reason or "untrainable"
    return masked.get((agent.agent_id, turn.turn_index), "")


def _call(call: ToolRecord) -> str:
    said = "ok" if call.ok else f"failed: {call.error}"
    return f"{call.name} {said}, {call.seconds:.1f} s"


def _rewards(rewards: list[Reward]) -> Table:
    table = _table("rewards", ("version", "scorer"), ("total",), ("valid", "components", "by role", "masked turns"))
    for reward in rewards:
        table.add_row(
            *map(
                _cell,
                (
                    reward.reward_version,
                    reward.scorer_version,
                    f"{reward.total:.4f}",
                    "yes" if reward.valid else "no",
                    _named(reward.components),
                    _named(reward.role_reward),
                    str(len(reward.masks)),
                ),
            )
        )
    return table


def _named(numbers: dict[str, float]) -> str:
    return "\n".join(f"{name} {value:.4f}" for name, value in sorted(numbers.items()))


def _cell(text: str) -> Text:
    return Text(harmless(text))
