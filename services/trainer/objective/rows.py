"""Turns to training rows: an agent's turns are one row as long as each prompt extends what came before.

A turn whose prompt does not begin with all tokens of the row so far starts a new row, and is counted as a fork: token
ids are never realigned, since a drift of one token means that the logged log-probabilities belong to another text.
Merging changes no gradient, only the number of tokens (trainer design, identities 8 and 9).
"""

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from itertools import pairwise
from typing import NamedTuple

from wideseek.rollout import AgentRecord, TurnRecord


class Row(NamedTuple):
    """One sequence of tokens; all three parts have its length."""

    token_ids: tuple[int, ...]
    trained: tuple[bool, ...]
    """Whether a token was sampled in a turn that is trained on."""
    behaviour: tuple[float, ...]
    """Log-probability of a sampled token when it was sampled, natural logarithm; 0.0 where not sampled."""


def merge(agent: AgentRecord, masked: Mapping[int, str]) -> list[Row]:
    """The rows of an agent: one, and one more a fork. `masked` names turns that are only context, by turn index."""
    rows: list[Row] = []
    for turn in agent.turns:
        forked = not rows or turn.prompt_token_ids[: len(rows[-1].token_ids)] != rows[-1].token_ids
        before = Row((), (), ()) if forked else rows.pop()
        rows.append(_extended(before, turn, trained=turn.trainable and turn.turn_index not in masked))
    return rows


def unmerged(agent: AgentRecord, masked: Mapping[int, str]) -> list[Row]:
    """One row a turn; the same gradient as of `merge`, with every context repeated."""
    return [
        _extended(Row((), (), ()), turn, trained=turn.trainable and turn.turn_index not in masked)
        for turn in agent.turns
    ]


def forks(agent: AgentRecord) -> int:
    """Turns whose prompt does not extend the turn before it."""
    return sum(
        after.prompt_token_ids[: len(before.prompt_token_ids) + len(before.sampled_token_ids)]
        != before.prompt_token_ids + before.sampled_token_ids
        for before, after in pairwise(agent.turns)
    )


def needed(rows: Sequence[Row]) -> list[Row]:
    """The rows that have trained tokens, each up to its last one: under causal attention the rest has no effect."""
    ends = [len(row.trained) - row.trained[::-1].index(True) if any(row.trained) else 0 for row in rows]
    return [
        Row(row.token_ids[:end], row.trained[:end], row.behaviour[:end])
        for row, end in zip(rows, ends, strict=True)
        if end
    ]


class TurnLengths(NamedTuple):
    """Logged lengths of an agent: its first prompt, its outputs, and what tools added between two turns."""

    prompt: int
    outputs: tuple[int, ...]
    between: tuple[int, ...]
    """One fewer than outputs."""


def turn_lengths(agent: AgentRecord) -> TurnLengths:
    """The lengths of an agent with at least one turn, as logged."""
    ends = [len(turn.prompt_token_ids) + len(turn.sampled_token_ids) for turn in agent.turns]
    return TurnLengths(
        prompt=len(agent.turns[0].prompt_token_ids),
        outputs=tuple(len(turn.sampled_token_ids) for turn in agent.turns),
        between=tuple(len(turn.prompt_token_ids) - end for turn, end in zip(agent.turns[1:], ends, strict=False)),
    )


def merge_saving(agents: Sequence[TurnLengths]) -> float:
    """How many times fewer tokens merged rows have, by the formula, were every turn to extend the one before.

    T turns with the first prompt P, outputs o_t and tool tokens u_t between them:

        a row a turn: sum over t of P + (o_1 + u_1) + … + (o_(t-1) + u_(t-1)) + o_t
                      = T P + T o + (o + u) T (T - 1) / 2 for constant o and u
        merged:       P + sum of o_t + sum of u_t = P + T o + (T - 1) u

    Returns 1.0 where there are no tokens.
    """
    apart = merged = 0
    for prompt, outputs, between in agents:
        context = prompt
        for output, added in zip(outputs, (*between, 0), strict=True):
            apart += context + output
            context += output + added
        merged += context
    return apart / merged if merged else 1.0


@dataclass(frozen=True)
class Merging:
    """What merging the turns of some agents came to; `a + b` is what both came to."""

    turns: int = 0
    forks: int = 0
    apart: int = 0
    """Tokens of a row a turn."""
    merged: int = 0
    """Tokens of the merged rows."""

    def __add__(self, other: "Merging") -> "Merging":
        return Merging(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    @property
    def saving(self) -> float:
        """How many times fewer tokens merged rows have; 1.0 without tokens."""
        return self.apart / self.merged if self.merged else 1.0

    def scalars(self) -> dict[str, float]:
        """The metrics by name; of no turns there are none."""
        if not self.turns:
            return {}
        return {"tokens/merge_saving": self.saving, "forks/per_1000_turns": 1_000 * self.forks / self.turns}


def merging(agent: AgentRecord, rows: Sequence[Row]) -> Merging:
    """What merging came to for an agent, whose whole rows `merge` has made."""
    return Merging(
        turns=len(agent.turns),
        forks=max(0, len(rows) - 1),
        apart=sum(len(turn.prompt_token_ids) + len(turn.sampled_token_ids) for turn in agent.turns),
        merged=sum(len(row.token_ids) for row in rows),
    )


def measured_saving(agents: Sequence[AgentRecord]) -> float:
    """How many times fewer tokens the merged rows of these agents have than a row a turn; 1.0 without tokens.

    Equals `merge_saving` of their `turn_lengths` where no turn forks.
    """
    return sum((merging(agent, merge(agent, {})) for agent in agents), Merging()).saving


def _extended(row: Row, turn: TurnRecord, *, trained: bool) -> Row:
    context = turn.prompt_token_ids[len(row.token_ids) :]
    sampled = len(turn.sampled_token_ids)
    return Row(
        row.token_ids + context + turn.sampled_token_ids,
        row.trained + (False,) * len(context) + (trained,) * sampled,
        row.behaviour + (0.0,) * len(context) + turn.sampled_logprobs,
    )
