"""One turn of a log as a record: exact to the token and the bit, or marked as not to be trained on."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.rollout_logs import CREATED, HASHES, MALI, MODEL, built, completed, queued, result, sampled, turn
from wideseek.events import (
    Event,
    Weights,
)
from wideseek.messages import Completion
from wideseek.rollout import (
    Rollout,
    RolloutSource,
    WeightSpan,
)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"trainable": False}, "not_token_exact"),
        ({"logprobs": ()}, "not_token_exact"),
        ({"logprobs": (0.5, -1.0)}, "not_token_exact"),
        ({"logprobs": (float("-inf"), -1.0)}, "not_token_exact"),
        ({"logprobs": (-1e300, -1.0)}, "not_token_exact"),
        ({"prompt_token_ids": ()}, "not_token_exact"),
        ({"token_ids": (), "logprobs": ()}, "no_tokens"),
    ],
)
def test_what_is_not_exact_is_not_trained_on(fields: dict[str, Any], reason: str) -> None:
    first = built([turn("lead", 1, sampled([1], [2, 3], **fields))]).agents[0].turns[0]

    assert (first.trainable, first.mask_reason) == (False, reason)
    assert len(first.sampled_token_ids) == len(first.sampled_logprobs)


def test_an_endpoint_that_only_chats_leaves_text_and_no_tokens() -> None:
    chatted = Completion(text="hello", model_name="gpt", completion_tokens=2)

    first = built([turn("lead", 1, chatted)]).agents[0].turns[0]

    assert (first.sampled_token_ids, first.mask_reason) == ((), "not_token_exact")
    assert first.weight_version_spans == (WeightSpan(version=0, start=0, end=0),)


def test_a_version_that_is_served_under_its_bases_name_counts_as_itself() -> None:
    created = CREATED.model_copy(update={"model": "base", "weights": {"base": Weights(version=4)}})

    rollout = built([turn("lead", 1, sampled([1], [2], model_name="base"))], created=created)

    assert (rollout.policy_version_min, rollout.policy_version_max) == (4, 4)


def test_versions_that_nobody_stated_are_read_off_the_models_names() -> None:
    created = CREATED.model_copy(update={"subagent_model": "smollm2"})
    log: list[Event] = [
        turn("lead", 1, sampled([1], [2], model_name="policy@v7")),
        queued("s1"),
        turn("s1", 1, sampled([1], [2], model_name="smollm2")),
        completed("s1"),
    ]

    rollout = built(log, created=created)

    assert (rollout.policy_version_min, rollout.policy_version_max) == (0, 7)


def test_a_demonstration_says_so_and_foreign_turns_in_it_are_masked() -> None:
    weights = {"expert": Weights(source=RolloutSource.DEMONSTRATION), MODEL: HASHES}
    created = CREATED.model_copy(update={"model": "expert", "subagent_model": MODEL, "weights": weights})
    log: list[Event] = [
        turn("lead", 1, sampled([1], [2], model_name="expert")),
        queued("s1"),
        turn("s1", 1, sampled([1], [2])),
        completed("s1"),
    ]

    shown = built(log, created=created)
    trained = built(log, created=created.model_copy(update={"model": MODEL}))

    assert (shown.source, trained.source) == (RolloutSource.DEMONSTRATION, RolloutSource.POLICY)
    assert [agent.turns[0].mask_reason for agent in shown.agents] == ["", "policy"]
    assert [agent.turns[0].mask_reason for agent in trained.agents] == ["demonstration", ""]


def test_results_are_placed_in_the_next_prompt_where_that_can_be_told() -> None:
    one = built(
        [turn("lead", 1, sampled([1], [2])), result("lead", 1, 0, "x"), turn("lead", 2, sampled([1, 2, 3], [4]))]
    )
    two = built(
        [
            turn("lead", 1, sampled([1], [2])),
            result("lead", 1, 0, "x"),
            result("lead", 1, 1, "y", failed=True, sources=(MALI,)),
            turn("lead", 2, sampled([1, 2, 3], [4])),
        ]
    )
    forked = built(
        [turn("lead", 1, sampled([1], [2])), result("lead", 1, 0, "x"), turn("lead", 2, sampled([5, 5, 5], [4]))]
    )
    last = built([turn("lead", 1, sampled([1], [2])), result("lead", 1, 0, "x")])

    def spans(rollout: Rollout) -> list[tuple[int | None, int | None]]:
        return [(call.result_start, call.result_end) for call in rollout.agents[0].turns[0].tool_calls]

    assert [spans(one), spans(forked), spans(last)] == [[(2, 3)], [(None, None)], [(None, None)]]
    assert spans(two) == [(None, None), (None, None)]
    refused = two.agents[0].turns[0].tool_calls[1]
    assert (refused.ok, refused.error, refused.sources) == (False, "failed", (MALI,))


def test_a_call_that_could_not_be_read_is_recorded() -> None:
    log: list[Event] = [turn("lead", 1, sampled([1], [2])), result("lead", 1, 0, "unreadable", call=None, failed=True)]

    [call] = built(log).agents[0].turns[0].tool_calls

    assert (call.name, call.args_hash, call.ok, call.error) == ("", "", False, "unreadable")


LOGPROBS = st.floats(min_value=-1e30, max_value=0, allow_nan=False)
TOKENS = st.lists(st.integers(0, 151_642), min_size=1, max_size=6)


@given(data=st.data(), turns=st.lists(st.tuples(TOKENS, TOKENS), min_size=1, max_size=4))
@settings(max_examples=50, deadline=None)
def test_a_record_survives_the_wire_and_each_prompt_continues_the_last(
    data: st.DataObject, turns: list[tuple[list[int], list[int]]]
) -> None:
    context: list[int] = []
    log: list[Event] = []
    for number, (appended, ids) in enumerate(turns, start=1):
        logprobs = tuple(data.draw(st.lists(LOGPROBS, min_size=len(ids), max_size=len(ids))))
        context += appended
        log += [turn("lead", number, sampled(context, ids, logprobs=logprobs)), result("lead", number, 0, "x")]
        context += ids

    [lead] = built(log).agents

    for before, after in zip(lead.turns, lead.turns[1:], strict=False):
        told = before.prompt_token_ids + before.sampled_token_ids
        assert after.prompt_token_ids[: len(told)] == told
        assert before.tool_calls[0].result_start == len(told)
        assert before.tool_calls[0].result_end == len(after.prompt_token_ids)
