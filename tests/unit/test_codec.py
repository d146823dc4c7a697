"""Records survive their bytes, and broken bytes are told from records."""

import io
import json
import struct

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.arbitrary import values
from wideseek.codec import (
    decode_rollout,
    decode_trajectory,
    encode_rollout,
    encode_trajectory,
    read_rollouts,
    write_rollouts,
)
from wideseek.errors import ContractViolation
from wideseek.messages import Completion
from wideseek.rollout import LogprobMode, Rollout, SamplingRecord, TurnRecord, WeightSpan
from wideseek.trajectory import Role, StopReason, Trajectory, Turn

_FEW = settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))


def _turn(**given: object) -> TurnRecord:
    plain: dict[str, object] = {
        "turn_index": 0,
        "model_name": "policy@v3",
        "prompt_token_ids": (1, 2, 3),
        "sampled_token_ids": (4, 5),
        "sampled_logprobs": (-0.5, 0.0),
        "weight_version_spans": (WeightSpan(version=3, start=0, end=2),),
        "sampling": SamplingRecord(max_tokens=10),
        "finish_reason": "stop",
    }
    return TurnRecord.model_validate({**plain, **given})


@_FEW
@given(values(Trajectory))
def test_a_trajectory_survives_its_bytes(trajectory: Trajectory) -> None:
    assert decode_trajectory(encode_trajectory(trajectory)) == trajectory


@_FEW
@given(values(Rollout))
def test_a_rollout_survives_its_bytes(rollout: Rollout) -> None:
    assert decode_rollout(encode_rollout(rollout)) == rollout


@_FEW
@given(st.lists(values(Rollout), max_size=3))
def test_a_file_of_rollouts_is_read_back_in_order(rollouts: list[Rollout]) -> None:
    stream = io.BytesIO()

    count = write_rollouts(rollouts, stream)

    stream.seek(0)
    assert count == len(rollouts)
    assert list(read_rollouts(stream)) == rollouts


@_FEW
@given(values(Rollout))
def test_a_torn_file_is_refused(rollout: Rollout) -> None:
    stream = io.BytesIO()
    write_rollouts([rollout], stream)
    torn = io.BytesIO(stream.getvalue()[:-1])

    with pytest.raises(ContractViolation):
        list(read_rollouts(torn))


def test_bytes_that_are_no_record_are_refused() -> None:
    with pytest.raises(ContractViolation, match="no wideseek"):
        decode_trajectory(b"\xff\xff\xff\xff")


def test_a_record_that_lacks_what_it_must_have_is_refused() -> None:
    with pytest.raises(ContractViolation, match="broken"):
        decode_rollout(b"")


def test_log_probabilities_are_kept_to_32_bits() -> None:
    completion = Completion(text="a", token_ids=(7,), logprobs=(-0.1,))
    turns = (Turn(completion=completion),)
    trajectory = Trajectory(agent_id="lead", role=Role.LEAD, task="t", turns=turns, stop_reason=StopReason.ANSWERED)

    back = decode_trajectory(encode_trajectory(trajectory))

    nearest = struct.unpack("f", struct.pack("f", -0.1))[0]
    assert back.turns[0].completion.logprobs == (nearest,)


def test_equal_rollouts_give_equal_bytes() -> None:
    first = SamplingRecord(max_tokens=1, logit_bias={"a": 1.0, "b": 2.0})
    second = SamplingRecord(max_tokens=1, logit_bias={"b": 2.0, "a": 1.0})

    assert encode_rollout(_rollout(first)) == encode_rollout(_rollout(second))


def _rollout(sampling: SamplingRecord) -> Rollout:
    turn = _turn(sampling=sampling, weight_version_spans=({"version": 0, "start": 0, "end": 2},))
    agent = {"agent_id": "lead", "role": "lead", "subtask": "q", "status": "answered", "turns": (turn,)}
    names = ("run_id", "rollout_id", "task_hash", "query", "answer_text", "answer_hash")
    times = {"started_at": 1.0, "finished_at": 2.0, "schema_version": 1}
    words = {**dict.fromkeys(names, "x"), "source": "policy", "status": "ok"}
    return Rollout.model_validate({**words, **times, "agents": (agent,)})


def test_long_token_lists_are_a_third_of_their_json() -> None:
    ids = tuple(range(20_000, 32_000))
    logprobs = tuple(-struct.unpack("f", struct.pack("f", number / 7_000))[0] for number in range(len(ids)))
    completion = Completion(text="", token_ids=ids, logprobs=logprobs)
    turns = (Turn(completion=completion),)
    trajectory = Trajectory(agent_id="lead", role=Role.LEAD, task="t", turns=turns, stop_reason=StopReason.ANSWERED)

    size = len(encode_trajectory(trajectory))

    assert size * 3 < len(json.dumps(trajectory.model_dump(mode="json")))


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"sampled_logprobs": (-0.5,)}, "1 log-probabilities for 2 tokens"),
        ({"sampled_logprobs": (-0.5, 0.5)}, "above 0"),
        ({"sampled_logprobs": (-0.5, float("-inf"))}, "not finite"),
        ({"weight_version_spans": ()}, "cover 0 of 2"),
        ({"weight_version_spans": ({"version": 1, "start": 1, "end": 2},)}, "gap"),
        ({"trainable": True, "sampling": {"max_tokens": 1, "frequency_penalty": 0.5}}, "reshaped"),
    ],
)
def test_an_inexact_turn_cannot_be_recorded(given: dict[str, object], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        _turn(**given)


def test_penalties_are_trainable_with_processed_log_probabilities() -> None:
    sampling = SamplingRecord(max_tokens=1, repetition_penalty=1.1)

    turn = _turn(trainable=True, sampling=sampling, logprob_mode=LogprobMode.PROCESSED)

    assert turn.trainable
