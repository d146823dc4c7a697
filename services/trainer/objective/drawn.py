"""Subagents that stand for others: a rollout of many alike lookups is trained on by some of them.

    wave   the subagents that one call of the lead handed out (finding the rows, looking them up)
    n_w    subagents of a wave that could be trained on        k_w    of these, drawn by the rollout's id

A subagent that is drawn counts n_w / k_w agents, so that over the draw the gradient is that of training on all of
them. Waves are drawn from in turn: the one subagent that finds the rows is never lost among those that look them up.
With fewer draws than waves all subagents are one wave, or some would never stand for anything.
"""

import random
from collections.abc import Collection, Iterable, Mapping, Sequence

from wideseek.rollout import Rollout
from wideseek.trajectory import Role

NOT_DRAWN = "not_drawn"
"""Why turns of a subagent that another stands for are not trained on."""


def waves(rollout: Rollout) -> list[list[str]]:
    """Agent ids of subagents by the call that handed them out, in the order of the calls.

    Those that no recorded call names, of a lead that was cut off in the middle of its call, are a wave of their own.
    """
    below = [agent for agent in rollout.agents if agent.role is Role.SUBAGENT]
    names = {agent.subtask_id: agent.agent_id for agent in below}
    calls = (call for agent in rollout.agents for turn in agent.turns for call in turn.tool_calls)
    named = [[names[one] for one in call.subtask_ids if one in names] for call in calls if call.subtask_ids]
    unnamed = [agent.agent_id for agent in below if not any(agent.agent_id in wave for wave in named)]
    return [wave for wave in (*named, unnamed) if wave]


def draw(among: Iterable[Sequence[str]], number: int, *, seed: str) -> frozenset[str]:
    """At most `number` of all, wave by wave in turn, each wave shuffled by `seed`."""
    dice = random.Random(seed)
    shuffled = [dice.sample(wave, len(wave)) for wave in among]
    deepest = max(map(len, shuffled), default=0)
    return frozenset([wave[place] for place in range(deepest) for wave in shuffled if place < len(wave)][:number])


def strata(rollout: Rollout, fit: Collection[str], number: int) -> list[list[str]]:
    """What so many of the subagents `fit` are drawn from: their waves, or one wave of all where there are more."""
    found = [kept for wave in waves(rollout) if (kept := [one for one in wave if one in fit])]
    return found if len(found) <= number else [[one for wave in found for one in wave]]


def stands_for(rollout: Rollout, drawn: Collection[str], others: Collection[str]) -> Mapping[str, float]:
    """How many agents each of `drawn` counts, where `others` were left for it."""
    among = strata(rollout, {*drawn, *others}, len(drawn))
    counts = [(wave, sum(one in drawn for one in wave)) for wave in among]
    return {one: len(wave) / count for wave, count in counts for one in wave if one in drawn}
