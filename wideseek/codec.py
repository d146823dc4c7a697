"""Trajectories and rollouts as protobuf bytes, and files of length-delimited records.

Written by hand: protobuf's own route over dictionaries is twenty times slower on long token lists.
Log-probabilities are kept in 32 bits; numbers inside tool arguments are doubles, as in JSON.
Bytes that are no record raise `ContractViolation`.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, BinaryIO, TypeVar

from google.protobuf import struct_pb2
from google.protobuf.message import DecodeError, Message
from google.protobuf.proto import parse_length_prefixed, serialize_length_prefixed
from pydantic import ValidationError

from wideseek.errors import ContractViolation
from wideseek.messages import Completion, Malformed, ToolCall
from wideseek.rollout import AgentRecord, Rollout, SamplingRecord, Timings, ToolRecord, TurnRecord, WeightSpan
from wideseek.trajectory import Source, ToolResult, Trajectory, Turn
from wideseek.v1 import agent_pb2, rollout_pb2
from wideseek.values import Frozen

Value = TypeVar("Value", bound=Frozen)
Record = TypeVar("Record", bound=Message)


def encode_trajectory(trajectory: Trajectory) -> bytes:
    """The trajectory with its subagents', as one `wideseek.v1.Trajectory`."""
    return bytes(_trajectory(trajectory).SerializeToString(deterministic=True))


def decode_trajectory(data: bytes) -> Trajectory:
    """What `encode_trajectory` wrote. Raises ContractViolation."""
    return _decode(data, agent_pb2.Trajectory, _read_trajectory)


def encode_rollout(rollout: Rollout) -> bytes:
    """The rollout as one `wideseek.v1.Rollout`; equal rollouts give equal bytes."""
    return bytes(_rollout(rollout).SerializeToString(deterministic=True))


def decode_rollout(data: bytes) -> Rollout:
    """What `encode_rollout` wrote. Raises ContractViolation."""
    return _decode(data, rollout_pb2.Rollout, _read_rollout)


def write_rollouts(rollouts: Iterable[Rollout], stream: BinaryIO) -> int:
    """Append rollouts to a binary stream, each behind its length as a varint; returns how many."""
    count = 0
    for rollout in rollouts:
        serialize_length_prefixed(_rollout(rollout), stream)  # type: ignore[arg-type]
        count += 1
    return count


def read_rollouts(stream: BinaryIO) -> Iterator[Rollout]:
    """The rollouts of a binary stream, one at a time. Raises ContractViolation at a torn or foreign record."""
    while True:
        try:
            record = parse_length_prefixed(rollout_pb2.Rollout, stream)  # type: ignore[arg-type]
        except (DecodeError, ValueError) as error:
            raise ContractViolation(f"no wideseek.v1.Rollout record: {error}") from error
        if record is None:
            return
        yield _valid(record, _read_rollout)


def _decode(data: bytes, kind: type[Record], read: Callable[[Record], Value]) -> Value:
    record = kind()
    try:
        record.ParseFromString(data)
    except DecodeError as error:
        raise ContractViolation(f"no wideseek.v1.{kind.DESCRIPTOR.name} record: {error}") from error
    return _valid(record, read)


def _valid(record: Record, read: Callable[[Record], Value]) -> Value:
    try:
        return read(record)
    except ValidationError as error:
        raise ContractViolation(f"the wideseek.v1.{record.DESCRIPTOR.name} record is broken: {error}") from error


def _maybe(record: Message, field: str) -> Any:
    """An optional field, None where it was left out."""
    return getattr(record, field) if record.HasField(field) else None


def _fields(value: Frozen) -> dict[str, Any]:
    """Fields by name, nested values as they are; protobuf reads None as left out."""
    return {name: getattr(value, name) for name in type(value).model_fields}


def _scalars(record: Message) -> dict[str, Any]:
    """Singular scalars by name; an optional one that was left out is left out here too."""
    return {
        field.name: getattr(record, field.name)
        for field in record.DESCRIPTOR.fields
        if field.message_type is None
        and not field.is_repeated
        and (not field.has_presence or record.HasField(field.name))
    }


# ---- JSON values --------------------------------------------------------------------------


def _struct(fields: dict[str, Any]) -> struct_pb2.Struct:
    struct = struct_pb2.Struct()
    struct.update(fields)
    return struct


def _read_value(value: struct_pb2.Value) -> Any:
    match value.WhichOneof("kind"):
        case "struct_value":
            return _read_struct(value.struct_value)
        case "list_value":
            return [_read_value(item) for item in value.list_value.values]
        case "number_value":
            number = value.number_value
            return int(number) if number.is_integer() else number
        case "string_value":
            return value.string_value
        case "bool_value":
            return value.bool_value
        case _:
            return None


def _read_struct(struct: struct_pb2.Struct) -> dict[str, Any]:
    return {name: _read_value(value) for name, value in struct.fields.items()}


# ---- trajectories -------------------------------------------------------------------------


def _trajectory(value: Trajectory) -> agent_pb2.Trajectory:
    turns = [
        agent_pb2.Turn(completion=_completion(turn.completion), results=[_result(result) for result in turn.results])
        for turn in value.turns
    ]
    subagents = [_trajectory(subagent) for subagent in value.subagents]
    return agent_pb2.Trajectory(**{**_fields(value), "turns": turns, "subagents": subagents})


def _read_trajectory(record: agent_pb2.Trajectory) -> Trajectory:
    turns = tuple(
        Turn(completion=_read_completion(turn.completion), results=tuple(_read_result(r) for r in turn.results))
        for turn in record.turns
    )
    subagents = tuple(_read_trajectory(subagent) for subagent in record.subagents)
    return Trajectory.model_validate({**_scalars(record), "turns": turns, "subagents": subagents})


def _completion(value: Completion) -> agent_pb2.Completion:
    calls = None
    if value.calls is not None:
        calls = struct_pb2.ListValue()
        for call in value.calls:
            calls.add_struct().update(call.model_dump())
    return agent_pb2.Completion(**{**_fields(value), "calls": calls})


def _read_completion(record: agent_pb2.Completion) -> Completion:
    calls = _maybe(record, "calls")
    return Completion.model_validate(
        {
            **_scalars(record),
            "token_ids": tuple(record.token_ids),
            "logprobs": tuple(record.logprobs),
            "prompt_token_ids": tuple(record.prompt_token_ids),
            "calls": None if calls is None else tuple(_read_call(call) for call in calls.values),
        }
    )


def _read_call(value: struct_pb2.Value) -> ToolCall | Malformed:
    fields = _read_struct(value.struct_value)
    return Malformed.model_validate(fields) if "problem" in fields else ToolCall.model_validate(fields)


def _result(value: ToolResult) -> agent_pb2.ToolResult:
    call = value.call and agent_pb2.ToolCall(**{**_fields(value.call), "arguments": _struct(value.call.arguments)})
    sources = [_source(source) for source in value.sources]
    return agent_pb2.ToolResult(**{**_fields(value), "call": call, "sources": sources})


def _read_result(record: agent_pb2.ToolResult) -> ToolResult:
    call = _maybe(record, "call")
    return ToolResult.model_validate(
        {
            **_scalars(record),
            "call": call and ToolCall(**{**_scalars(call), "arguments": _read_struct(call.arguments)}),
            "sources": tuple(_read_source(source) for source in record.sources),
            "subtask_ids": tuple(record.subtask_ids),
        }
    )


def _source(value: Source) -> agent_pb2.Source:
    return agent_pb2.Source(**_fields(value))


def _read_source(record: agent_pb2.Source) -> Source:
    return Source(**_scalars(record))


# ---- rollouts -----------------------------------------------------------------------------


def _rollout(value: Rollout) -> rollout_pb2.Rollout:
    return rollout_pb2.Rollout(**{**_fields(value), "agents": [_agent(agent) for agent in value.agents]})


def _read_rollout(record: rollout_pb2.Rollout) -> Rollout:
    return Rollout.model_validate({**_scalars(record), "agents": tuple(_read_agent(agent) for agent in record.agents)})


def _agent(value: AgentRecord) -> rollout_pb2.AgentRecord:
    return rollout_pb2.AgentRecord(**{**_fields(value), "turns": [_turn(turn) for turn in value.turns]})


def _read_agent(record: rollout_pb2.AgentRecord) -> AgentRecord:
    return AgentRecord.model_validate({**_scalars(record), "turns": tuple(_read_turn(turn) for turn in record.turns)})


def _turn(value: TurnRecord) -> rollout_pb2.TurnRecord:
    nested = {
        "weight_version_spans": [rollout_pb2.WeightSpan(**_fields(span)) for span in value.weight_version_spans],
        "sampling": rollout_pb2.SamplingRecord(**_fields(value.sampling)),
        "tool_calls": [
            rollout_pb2.ToolRecord(**{**_fields(call), "sources": [_source(source) for source in call.sources]})
            for call in value.tool_calls
        ],
        "timings": rollout_pb2.Timings(**_fields(value.timings)),
    }
    return rollout_pb2.TurnRecord(**{**_fields(value), **nested})


def _read_turn(record: rollout_pb2.TurnRecord) -> TurnRecord:
    return TurnRecord.model_validate(
        {
            **_scalars(record),
            "prompt_token_ids": tuple(record.prompt_token_ids),
            "sampled_token_ids": tuple(record.sampled_token_ids),
            "sampled_logprobs": tuple(record.sampled_logprobs),
            "weight_version_spans": tuple(WeightSpan(**_scalars(span)) for span in record.weight_version_spans),
            "sampling": SamplingRecord(
                **{
                    **_scalars(record.sampling),
                    "stop": tuple(record.sampling.stop),
                    "logit_bias": dict(record.sampling.logit_bias),
                }
            ),
            "tool_calls": tuple(_read_tool(call) for call in record.tool_calls),
            "timings": Timings(**_scalars(record.timings)),
        }
    )


def _read_tool(record: rollout_pb2.ToolRecord) -> ToolRecord:
    nested = {
        "sources": tuple(_read_source(source) for source in record.sources),
        "subtask_ids": tuple(record.subtask_ids),
    }
    return ToolRecord(**{**_scalars(record), **nested})
