"""Turns merged to rows: what is trained on, what forks, and what merging saves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.trainer.objective.rows import (
    Merging,
    Row,
    TurnLengths,
    forks,
    measured_saving,
    merge,
    merge_saving,
    merging,
    needed,
    turn_lengths,
    unmerged,
)
from tests.objective_parts import agent, turn
from wideseek.rollout import AgentRecord


def growing(turns: int, prompt: int, output: int, tools: int) -> AgentRecord:
    """An agent whose every turn extends the one before."""
    context, made = list(range(prompt)), []
    for index in range(turns):
        sampled = [1_000 * (index + 1) + place for place in range(output)]
        made.append(turn(index, context, sampled))
        context = context + sampled + [500_000 + 1_000 * index + place for place in range(tools)]
    return agent("a", *made)


def test_turns_that_extend_each_other_are_one_row() -> None:
    found = merge(agent("a", turn(0, [1, 2], [3, 4]), turn(1, [1, 2, 3, 4, 5], [6])), {})

    assert found == [
        Row(
            token_ids=(1, 2, 3, 4, 5, 6),
            trained=(False, False, True, True, False, True),
            behaviour=(0.0, 0.0, -0.125, -0.25, 0.0, -0.125),
        )
    ]


def test_a_masked_or_untrainable_turn_is_context() -> None:
    turns = turn(0, [1], [2]), turn(1, [1, 2], [3], trainable=False), turn(2, [1, 2, 3], [4])

    (row,) = merge(agent("a", *turns), {0: "lead_failed"})

    assert row.trained == (False, False, False, True)


def test_a_mask_goes_by_the_turns_index_not_by_its_place() -> None:
    (row,) = merge(agent("a", turn(3, [1], [2]), turn(5, [1, 2], [3])), {5: "untrainable", 0: "untrainable"})

    assert row.trained == (False, True, False)


def test_a_prompt_that_equals_what_came_before_extends_it() -> None:
    continued = agent("a", turn(0, [1], [2]), turn(1, [1, 2], [3]))

    assert forks(continued) == 0
    assert [row.token_ids for row in merge(continued, {})] == [(1, 2, 3)]


def test_a_prompt_that_lost_a_token_is_a_fork() -> None:
    shortened = agent("a", turn(0, [1, 2], [3]), turn(1, [1, 2], [4]))

    assert forks(shortened) == 1
    assert [row.token_ids for row in merge(shortened, {})] == [(1, 2, 3), (1, 2, 4)]


def test_after_a_fork_turns_extend_the_new_row() -> None:
    turns = turn(0, [1], [2]), turn(1, [9], [3]), turn(2, [9, 3, 4], [5])

    assert [row.token_ids for row in merge(agent("a", *turns), {})] == [(1, 2), (9, 3, 4, 5)]


def test_an_agent_without_turns_has_no_rows() -> None:
    assert merge(agent("a"), {}) == []
    assert unmerged(agent("a"), {}) == []
    assert forks(agent("a")) == 0


def test_merged_and_unmerged_rows_train_the_same_tokens_on_the_same_contexts() -> None:
    given = growing(4, 5, 3, 2)

    def trained(rows: list[Row]) -> list[tuple[tuple[int, ...], float]]:
        return [
            (row.token_ids[: place + 1], row.behaviour[place])
            for row in rows
            for place, own in enumerate(row.trained)
            if own
        ]

    assert trained(merge(given, {1: "masked"})) == trained(unmerged(given, {1: "masked"}))
    assert len(merge(given, {})) == 1
    assert len(unmerged(given, {})) == 4


def test_only_what_trained_tokens_see_is_needed() -> None:
    rows = merge(agent("a", turn(0, [1], [2]), turn(1, [1, 2, 3], [4]), turn(2, [9], [5])), {1: "m", 2: "m"})

    assert needed(rows) == [Row((1, 2), (False, True), (0.0, -0.125))]


@pytest.mark.parametrize(("turns", "times"), [(3, 2.1), (5, 3.1), (10, 5.6), (20, 10.6)])
def test_the_formula_gives_the_saving_of_the_design(turns: int, times: float) -> None:
    """P 1500, o 400, u 1200."""
    lengths = TurnLengths(1_500, (400,) * turns, (1_200,) * (turns - 1))

    found = merge_saving([lengths])

    apart = turns * 1_500 + turns * 400 + 1_600 * turns * (turns - 1) / 2
    assert found == pytest.approx(apart / (1_500 + turns * 400 + (turns - 1) * 1_200))
    assert found == pytest.approx(times, abs=0.05)


@given(st.lists(st.tuples(*[st.integers(1, 6)] * 4), min_size=1, max_size=4))
def test_the_measured_saving_is_the_formula_of_the_logged_lengths(shapes: list[tuple[int, int, int, int]]) -> None:
    agents = [growing(*shape) for shape in shapes]

    assert measured_saving(agents) == pytest.approx(merge_saving([turn_lengths(one) for one in agents]), rel=1e-12)


def test_a_fork_saves_less_than_the_formula_promises() -> None:
    """Rows of 3 and 3 tokens either way; merged without the fork they would have been one of 3."""
    forked = agent("a", turn(0, [1, 2], [3]), turn(1, [1, 2], [4]))

    assert measured_saving([forked]) == 1.0
    assert merge_saving([turn_lengths(forked)]) > 1.0


def test_nothing_saves_nothing() -> None:
    assert merge_saving([]) == measured_saving([]) == 1.0


def test_forks_are_counted_per_thousand_turns_over_all_agents() -> None:
    """Four turns, one fork; 3 + 3 + 2 + 4 tokens a turn apart, 3 + 3 + 4 merged."""
    forked = agent("a", turn(0, [1, 2], [3]), turn(1, [1, 2], [4]))
    grown = agent("b", turn(0, [1], [2]), turn(1, [1, 2, 3], [4]))

    found = merging(forked, merge(forked, {})) + merging(grown, merge(grown, {}))

    assert found == Merging(turns=4, forks=forks(forked) + forks(grown), apart=12, merged=10)
    assert found.scalars() == {"tokens/merge_saving": pytest.approx(1.2), "forks/per_1000_turns": 250.0}
    assert Merging().scalars() == {}
