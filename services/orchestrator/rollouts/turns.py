"""One turn of the log as a record: token-exact, or marked as what cannot be trained on."""

import hashlib
import json
import math
from array import array
from collections.abc import Mapping, Sequence
from typing import Any

from services.kit.policies import BASE, parse
from services.orchestrator.rollouts.facts import AgentFacts
from wideseek.events import ToolCompleted, TurnCompleted, Weights
from wideseek.messages import Completion, Sampling
from wideseek.rollout import RolloutSource, SamplingRecord, Timings, ToolRecord, TurnRecord, WeightSpan

NOT_EXACT = "not_token_exact"
"""Ids or log-probabilities of the turn were not recorded, or not those of the prompt that was sent."""
NO_TOKENS = "no_tokens"
"""Nothing was sampled."""


def turn_records(
    facts: AgentFacts, sampling: Sampling, weights: Mapping[str, Weights], source: RolloutSource
) -> tuple[TurnRecord, ...]:
    """The turns of an agent in order, counted from 0.

    A turn whose weights are of another source than the rollout's is not trained on, whatever the training.
    """
    turns = [facts.turns[number] for number in sorted(facts.turns)]
    records = []
    for index, (turn, after) in enumerate(zip(turns, [*turns[1:], None], strict=False)):
        results = [event for _, event in sorted(facts.results.get(turn.turn, {}).items())]
        name = turn.completion.model_name
        record = _record(index, turn, sampling, weights.get(name) or _by_name(name), source)
        tools = _tools(turn.completion, results, after.completion if after else None)
        queued_s = facts.waited_s if index == 0 else 0.0
        records.append(record.model_copy(update={"tool_calls": tools, "timings": _timings(turn, results, queued_s)}))
    return tuple(records)


def sha256_of(value: Any) -> str:
    """SHA-256 of a text, or of a value as canonical JSON."""
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _by_name(model: str) -> Weights:
    """What a name alone says: `policy@v3` is version 3, any other name the base."""
    named = parse(model)
    return Weights(version=named[1] if named else BASE)


def _record(index: int, turn: TurnCompleted, sampling: Sampling, weights: Weights, source: RolloutSource) -> TurnRecord:
    done = turn.completion
    exact = _is_exact(done)
    sampled = done.token_ids if exact else ()
    reason = _mask_reason(done, weights, source, exact=exact)
    return TurnRecord(
        turn_index=index,
        request_id=done.request_id,
        model_name=done.model_name,
        base_model_hash=weights.base_model_hash,
        adapter_hash=weights.adapter_hash,
        tokenizer_hash=weights.tokenizer_hash,
        template_hash=weights.template_hash,
        prompt_token_ids=done.prompt_token_ids,
        sampled_token_ids=sampled,
        sampled_logprobs=tuple(array("f", done.logprobs)) if exact else (),
        weight_version_spans=(WeightSpan(version=weights.version, start=0, end=len(sampled)),),
        sampling=SamplingRecord(**sampling.model_dump(), max_tokens=turn.max_tokens),
        finish_reason=done.finish_reason,
        truncated=done.truncated,
        cached_tokens=done.cached_tokens,
        trainable=not reason,
        mask_reason=reason,
    )


def _is_exact(done: Completion) -> bool:
    """Whether every sampled id has a log-probability that is one."""
    aligned = len(done.token_ids) == len(done.logprobs)
    return aligned and all(math.isfinite(value) and value <= 0 for value in array("f", done.logprobs))


def _mask_reason(done: Completion, weights: Weights, source: RolloutSource, *, exact: bool) -> str:
    if not (exact and done.trainable and done.prompt_token_ids):
        return NOT_EXACT
    if not done.token_ids:
        return NO_TOKENS
    return "" if weights.source is source else weights.source.value


def _tools(done: Completion, results: Sequence[ToolCompleted], after: Completion | None) -> tuple[ToolRecord, ...]:
    start, end = _result_span(done, after) if len(results) == 1 else (None, None)
    return tuple(
        ToolRecord(
            call_id=event.result.call.call_id if event.result.call else "",
            name=event.result.call.name if event.result.call else "",
            args_hash=sha256_of(event.result.call.arguments) if event.result.call else "",
            ok=not event.result.failed,
            error="" if not event.result.failed else "failed" if event.result.call else "unreadable",
            seconds=event.result.seconds,
            result_hash=sha256_of(event.result.content),
            result_start=start,
            result_end=end,
            sources=event.result.sources,
            subtask_ids=event.result.subtask_ids,
        )
        for event in results
    )


def _result_span(done: Completion, after: Completion | None) -> tuple[int | None, int | None]:
    """Where the one result of a turn stands in the next prompt, the template's marks and the hint around it included.

    Several results share what was appended, and only the engine's tokenizer could tell them apart.
    """
    if after is None or not (done.trainable and after.trainable):
        return None, None
    before = (*done.prompt_token_ids, *done.token_ids)
    if after.prompt_token_ids[: len(before)] != before or len(after.prompt_token_ids) == len(before):
        return None, None
    return len(before), len(after.prompt_token_ids)


def _timings(turn: TurnCompleted, results: Sequence[ToolCompleted], queued_s: float) -> Timings:
    """From the log's own times, so that they are the same whenever the record is built."""
    last = max((event.at for event in results), default=turn.at)
    return Timings(queued_s=queued_s, generate_s=turn.completion.seconds, tools_s=max(0.0, last - turn.at))
