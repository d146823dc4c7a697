"""Some subagents of a rollout stand for all: who is drawn, what each counts, and that nothing is lost on average."""

from collections import Counter
from collections.abc import Sequence
from itertools import chain
from typing import Any

import pytest

from services.trainer.config import WeightsConfig
from services.trainer.objective.batch import RolloutShape
from services.trainer.objective.credit import masks, shape
from services.trainer.objective.drawn import NOT_DRAWN
from services.trainer.objective.weights import lead_share, token_weights
from tests.objective_parts import agent, rollout, turn
from wideseek.rollout import AgentStatus, Reward, Rollout, ToolRecord
from wideseek.trajectory import Role


def team(name: str, *waves: int, failed: Sequence[str] = ()) -> Rollout:
    """A lead of 4 tokens whose calls handed out so many subtasks each; subagent `w<call>s<place>` has 2 + place."""
    names = [[f"w{wave}s{place}" for place in range(size)] for wave, size in enumerate(waves)]
    calls = tuple(
        ToolRecord(name="call_subagent", args_hash="a", ok=True, result_hash="r", subtask_ids=tuple(wave))
        for wave in names
    )
    lead = agent("lead", turn(0, [1], [2, 3, 4, 5]).model_copy(update={"tool_calls": calls}), role=Role.LEAD)
    below = [
        agent(
            one,
            turn(0, [7], [9] * (2 + place)),
            status=AgentStatus.TURN_LIMIT if one in failed else AgentStatus.ANSWERED,
        ).model_copy(update={"subtask_id": one})
        for wave in names
        for place, one in enumerate(wave)
    ]
    return rollout(lead, *below).model_copy(update={"rollout_id": name})


def thinned(given: Rollout, number: int | None) -> RolloutShape:
    """What the objective sees of a rollout of which so many subagents are trained on."""
    masked = masks(given, valid=True, rule="mask", subagents=number)
    reward = Reward(
        rollout_id=given.rollout_id,
        reward_version="1",
        total=0.5,
        scorer_version="1",
        answer_hash="h",
        valid=True,
        masks=masked,
    )
    return shape(given, "g", reward, "mask")


def counted(given: Rollout, number: int | None) -> dict[str, float]:
    """The agents that are trained on, and how many each counts."""
    return {one.agent_id: one.stands_for for one in thinned(given, number).agents if one.trained_tokens}


def shares(found: RolloutShape, **scheme: Any) -> dict[str, float]:
    """What the tokens of each agent weigh together."""
    weights = token_weights([found], WeightsConfig.model_validate(scheme), 1)
    return {one.agent_id: weights[found.rollout_id, one.agent_id] * one.trained_tokens for one in found.agents}


def test_by_hand() -> None:
    """One subagent finds four rows: of two that are drawn one found them, and the other counts four lookups.

    N = 1 + 1 + 4 = 6, so that lead and finder weigh 1/6 each and the one lookup 4/6.
    """
    found = thinned(team("ro_1", 1, 4), 2)

    (lookup,) = {one.agent_id for one in found.agents if one.trained_tokens} - {"lead", "w0s0"}
    assert counted(team("ro_1", 1, 4), 2) == {"lead": 1, "w0s0": 1, lookup: 4}
    shared = {name: share for name, share in shares(found).items() if share}
    assert shared == pytest.approx({"lead": 1 / 6, "w0s0": 1 / 6, lookup: 4 / 6})


@pytest.mark.parametrize("number", [None, 5, 9])
def test_who_is_trained_on_as_a_whole_counts_once(number: int | None) -> None:
    given = team("ro_1", 1, 4)

    assert thinned(given, number) == thinned(given, None)
    assert set(counted(given, number).values()) == {1.0}
    assert len(counted(given, number)) == 6


def test_the_others_are_masked_with_a_reason() -> None:
    masked = masks(team("ro_1", 4), valid=True, rule="mask", subagents=1)

    assert {mask.reason for mask in masked} == {NOT_DRAWN}
    assert len(masked) == 3


def test_a_subagent_that_ran_into_a_limit_is_neither_drawn_nor_stood_for() -> None:
    given = team("ro_1", 3, failed=["w0s1"])

    ((name, count),) = (pair for pair in counted(given, 1).items() if pair[0] != "lead")

    assert (name in {"w0s0", "w0s2"}, count) == (True, 2.0)


def test_subagents_of_a_call_that_was_never_recorded_are_a_wave_of_their_own() -> None:
    """The lead was cut off while its second call worked: those four lookups are drawn from, and stood for, too."""
    given = team("ro_1", 2, 4)
    lead = given.agents[0]
    (turn_,) = lead.turns
    cut = lead.model_copy(update={"turns": (turn_.model_copy(update={"tool_calls": turn_.tool_calls[:1]}),)})
    given = given.model_copy(update={"agents": (cut, *given.agents[1:])})

    found = counted(given, 2)

    assert sorted(found.values()) == [1, 2, 4]
    assert sum(found.values()) == 7


def test_the_draw_is_the_rollout_s_own() -> None:
    drawn = [counted(team(name, 30), 3) for name in ("ro_1", "ro_1", "ro_2")]

    assert drawn[0] == drawn[1]
    assert drawn[0].keys() != drawn[2].keys()
    assert sum(drawn[0].values()) == pytest.approx(31)


@pytest.mark.parametrize("waves", [(1, 4), (3, 5), (1, 1, 1), (2, 1, 3)])
@pytest.mark.parametrize("scheme", [{}, {"scheme": "role"}, {"scheme": "dr_grpo"}])
def test_over_the_draw_every_agent_weighs_what_it_weighs_when_all_are_trained_on(
    waves: tuple[int, ...], scheme: dict[str, str]
) -> None:
    draws = 3_000
    together: Counter[str] = Counter()
    for number in range(draws):
        together.update(shares(thinned(team(f"ro_{number}", *waves), 2), **scheme))

    whole = shares(thinned(team("ro", *waves), None), **scheme)
    mean = {name: share / draws for name, share in together.items()}
    assert mean == pytest.approx(whole, rel=0.12)


def test_a_lead_keeps_its_share_of_the_rollout() -> None:
    found = [thinned(team("ro_1", 2, 8), number) for number in (2, None)]

    some, all_ = (lead_share([one], token_weights([one], WeightsConfig(), 1)) for one in found)

    assert some == pytest.approx(all_) == pytest.approx(1 / 11)


@pytest.mark.parametrize("scheme", ["rollout", "global"])
def test_sums_of_tokens_count_those_that_are_stood_for(scheme: str) -> None:
    """Lead 4 tokens, one of four lookups with L: the sum is 4 + 4 L, and its tokens weigh 4 each."""
    found = thinned(team("ro_1", 4), 1)

    (lookup,) = (one for one in found.agents if one.trained_tokens and one.role is Role.SUBAGENT)
    weights = token_weights([found], WeightsConfig.model_validate({"scheme": scheme}), 1)

    total = 4 + 4 * lookup.trained_tokens
    assert weights["ro_1", "lead"] == pytest.approx(1 / total)
    assert weights["ro_1", lookup.agent_id] == pytest.approx(4 / total)


def test_more_waves_than_draws_are_one_wave() -> None:
    given = team("ro_1", 1, 1, 2)

    found = counted(given, 2)

    assert [count for name, count in found.items() if name != "lead"] == [2, 2]
    names = chain(*(counted(team(f"ro_{number}", 1, 1, 2), 2) for number in range(60)))
    assert set(names) == {"lead", "w0s0", "w1s0", "w2s0", "w2s1"}
