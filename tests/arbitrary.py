"""Hypothesis strategies for any value of the core, read off its fields."""

import types
from collections.abc import Callable
from enum import Enum
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import annotated_types
from hypothesis import strategies as st
from pydantic.fields import FieldInfo

from wideseek.contracts import RunRequest
from wideseek.messages import Completion
from wideseek.rollout import AgentRecord, Rollout, SamplingRecord, TurnRecord, WeightSpan
from wideseek.tables import Table
from wideseek.trajectory import Trajectory
from wideseek.values import Frozen

Value = TypeVar("Value", bound=Frozen)
Strategy = st.SearchStrategy[Any]

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
EIGHTHS = st.integers(-800, 800).map(lambda eighths: eighths / 8)
"""Numbers that 32 bits, 64 bits and decimal all hold exactly."""
LOGPROBS = st.integers(-800, 0).map(lambda eighths: eighths / 8)
TOKENS = st.integers(0, 151_643)
JSON: Strategy = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | EIGHTHS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


def values(kind: type[Value]) -> st.SearchStrategy[Value]:
    """Valid values of a class."""
    special = _SPECIAL.get(kind)
    return special() if special else st.builds(kind, **fields(kind))


def fields(kind: type[Frozen]) -> dict[str, Strategy]:
    """A strategy for each field of a class."""
    return {name: _field(field) for name, field in kind.model_fields.items()}


def _field(field: FieldInfo) -> Strategy:
    return _annotation(field.annotation, field.metadata)


def _annotation(annotation: Any, metadata: list[Any]) -> Strategy:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        strategy = _annotation(arguments[0], [*_metadata(arguments[1:]), *metadata])
    elif origin in {Union, types.UnionType}:
        strategy = st.one_of([_annotation(argument, metadata) for argument in arguments])
    elif origin is tuple:
        smallest = _bound(metadata, annotated_types.MinLen, "min_length", 0)
        strategy = st.lists(_annotation(arguments[0], []), min_size=smallest, max_size=smallest + 2).map(tuple)
    elif origin is dict:
        strategy = st.dictionaries(TEXTS, _annotation(arguments[1], []), max_size=2)
    elif origin is Literal:
        strategy = st.sampled_from(arguments)
    else:
        strategy = _plain(annotation, metadata)
    return strategy


def _plain(kind: Any, metadata: list[Any]) -> Strategy:
    least = _bound(metadata, annotated_types.Ge, "ge", None)
    least = _bound(metadata, annotated_types.Gt, "gt", least)
    most = _bound(metadata, annotated_types.Le, "le", None)
    if kind is Any:
        strategy = JSON
    elif kind is type(None):
        strategy = st.none()
    elif kind is bool:
        strategy = st.booleans()
    elif kind is int:
        strategy = st.integers(0 if least is None else int(least), 2**31 - 1 if most is None else int(most))
    elif kind is float:
        lowest = -800 if least is None else int(least * 8) + 1
        strategy = st.integers(lowest, 800 if most is None else int(most * 8)).map(lambda eighths: eighths / 8)
    elif kind is str:
        smallest = _bound(metadata, annotated_types.MinLen, "min_length", 0)
        strategy = st.text("aé中 ", min_size=smallest, max_size=12).map(
            lambda text: text if text.strip() else f"{text}x"
        )
        strategy = strategy if smallest else strategy | TEXTS
    elif issubclass(kind, Enum):
        strategy = st.sampled_from(kind)
    else:
        strategy = st.deferred(lambda: values(kind))
    return strategy


def _metadata(items: tuple[Any, ...]) -> list[Any]:
    return [part for item in items for part in (item.metadata if isinstance(item, FieldInfo) else [item])]


def _bound(metadata: list[Any], kind: type, name: str, default: Any) -> Any:
    return next((getattr(item, name) for item in metadata if isinstance(item, kind)), default)


# ---- classes whose fields depend on one another -------------------------------------------


@st.composite
def _tables(draw: st.DrawFn) -> Table:
    width = draw(st.integers(0, 3))
    row = st.lists(TEXTS, min_size=width, max_size=width).map(tuple)
    return Table(columns=draw(row), rows=tuple(draw(st.lists(row, max_size=3))))


@st.composite
def _completions(draw: st.DrawFn) -> Completion:
    sampled = draw(st.lists(st.tuples(TOKENS, LOGPROBS), max_size=5))
    given = {
        **fields(Completion),
        "token_ids": st.just(tuple(token for token, _ in sampled)),
        "logprobs": st.just(tuple(logprob for _, logprob in sampled)),
        "prompt_token_ids": st.lists(TOKENS, max_size=5).map(tuple),
    }
    return draw(st.builds(Completion, **given))


@st.composite
def _requests(draw: st.DrawFn) -> RunRequest:
    given = fields(RunRequest)
    columns = st.sampled_from([None, ({"name": "Name", "description": "long"}, {"name": "Area"})])
    return draw(
        st.builds(RunRequest, **{**given, "columns": columns, "primary_key": st.sampled_from([None, ("Name",)])})
    )


@st.composite
def _trajectories(draw: st.DrawFn, depth: int = 2) -> Trajectory:
    below = st.lists(_trajectories(depth - 1), max_size=2).map(tuple) if depth else st.just(())
    return draw(st.builds(Trajectory, **{**fields(Trajectory), "subagents": below}))


@st.composite
def _turn_records(draw: st.DrawFn, version: int | None = None) -> TurnRecord:
    sampled = draw(st.lists(st.tuples(TOKENS, LOGPROBS), min_size=1, max_size=6))
    cut = draw(st.integers(0, len(sampled)))
    first = draw(st.integers(0, 9)) if version is None else version
    later = first + 1 if version is None else version
    given = {
        **fields(TurnRecord),
        "prompt_token_ids": st.lists(TOKENS, max_size=8).map(tuple),
        "sampled_token_ids": st.just(tuple(token for token, _ in sampled)),
        "sampled_logprobs": st.just(tuple(logprob for _, logprob in sampled)),
        "weight_version_spans": st.just(
            (WeightSpan(version=first, start=0, end=cut), WeightSpan(version=later, start=cut, end=len(sampled)))
        ),
        "sampling": st.builds(SamplingRecord, **fields(SamplingRecord)),
        "trainable": st.just(False),
    }
    return draw(st.builds(TurnRecord, **given))


@st.composite
def _rollouts(draw: st.DrawFn) -> Rollout:
    version = draw(st.integers(0, 9))
    turns = st.lists(_turn_records(version), max_size=2).map(tuple)
    agents = st.lists(st.builds(AgentRecord, **{**fields(AgentRecord), "turns": turns}), max_size=3).map(tuple)
    both = {"policy_version_min": st.just(version), "policy_version_max": st.just(version)}
    return draw(st.builds(Rollout, **{**fields(Rollout), **both, "agents": agents}))


_SPECIAL: dict[type[Frozen], Callable[[], Strategy]] = {
    Table: _tables,
    Completion: _completions,
    RunRequest: _requests,
    Trajectory: _trajectories,
    TurnRecord: _turn_records,
    Rollout: _rollouts,
}
