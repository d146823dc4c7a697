"""The outcome reward of a rollout, as named terms.

    R = answer + format + access - length     when the lead answered and its answer is valid
    R = 0                                      otherwise: no table or box, or the lead ran into a limit
    length = penalty * clip((L - from) / (to - from), 0, 1), L = tokens of the rollout's longest turn

`answer` is the item F1 of the robust scorer for tables, and EM, F1 or the judge's word for questions.
Source: WideSeek-R1 (arXiv:2602.04634) and its code. Two deliberate differences: the item F1 there could
exceed 1, here it cannot; and an access counts when a page was opened, not when it was tried.

An outage has no reward, and neither has a rollout that somebody cancelled: an outage is an exception and
never reaches a `StopReason`, and `Outcome` takes only the reasons that a rollout ends for by itself.
"""

from collections.abc import Iterator, Mapping
from typing import Literal

from pydantic import Field, model_validator

from wideseek.errors import InvalidRequest
from wideseek.questions import AnswerScore
from wideseek.trajectory import Role, StopReason, Trajectory
from wideseek.values import Frozen

Ended = Literal[
    StopReason.ANSWERED, StopReason.TURN_LIMIT, StopReason.CONTEXT_LIMIT, StopReason.DEADLINE, StopReason.BUDGET
]
"""Why a rollout that has a reward ended."""


class RewardRule(Frozen):
    """What counts how much. No weight is negative: what is taken off is named a penalty."""

    answer_weight: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    question_metric: Literal["em", "f1", "judged"] = "judged"
    """What the answer to a question is worth."""
    format_bonus: float = Field(default=0.1, ge=0, allow_inf_nan=False)
    """For a valid table or box."""
    access_bonus: float = Field(default=0.05, ge=0, allow_inf_nan=False)
    """For a page opened by any agent of the rollout."""
    length_penalty: float = Field(default=0.1, ge=0, allow_inf_nan=False)
    """Most that a long turn takes off."""
    length_from: int = Field(default=3_000, ge=0)
    """Tokens of the longest turn that cost nothing yet."""
    length_to: int = Field(default=5_000, ge=1)
    """Tokens of the longest turn that cost the whole penalty."""

    @model_validator(mode="after")
    def _rising(self) -> "RewardRule":
        if self.length_to <= self.length_from:
            raise ValueError(f"length_to: {self.length_to} is not above length_from, {self.length_from}")
        return self


class Outcome(Frozen):
    """What a rollout came to: all that its reward depends on."""

    score: float = Field(ge=0, le=1)
    """Item F1 of a table (robust scorer), or what `answer_value` says of an answer."""
    valid: bool
    """Whether the answer could be scored: a table with the columns asked for, a box with something in it."""
    stop_reason: Ended
    """Of the lead, or of the agent that worked alone."""
    longest_turn_tokens: int = Field(ge=0)
    """Sampled tokens of the longest turn of any agent."""
    accessed: bool
    """Whether any agent opened a page."""


class RoleOutcome(Frozen):
    """What the agents of one role did, as far as the reward depends on it."""

    longest_turn_tokens: int = Field(default=0, ge=0)
    """Sampled tokens of the longest turn of these agents."""
    accessed: bool = False
    """Whether one of them opened a page."""


class Reward(Frozen):
    """A reward and what it is made of."""

    total: float
    """Sum of the terms."""
    terms: Mapping[str, float]
    """`answer`, `format`, `access` and `length`, the last 0 or less; all 0 when nothing was earned."""
    forfeit: str = ""
    """Why nothing was earned: `no valid answer`, or the limit that the lead ran into."""


def reward(outcome: Outcome, rule: RewardRule | None = None) -> Reward:
    """The reward of a rollout: in [0, 1.15] with the weights of the paper.

    >>> won = Outcome(score=0.5, valid=True, stop_reason=StopReason.ANSWERED, longest_turn_tokens=4_000, accessed=True)
    >>> reward(won).terms
    {'answer': 0.5, 'format': 0.1, 'access': 0.05, 'length': -0.05}
    """
    rule = rule or RewardRule()
    forfeit = _forfeit(outcome)
    if forfeit:
        return Reward(total=0.0, terms=dict.fromkeys(("answer", "format", "access", "length"), 0.0), forfeit=forfeit)
    terms = {
        "answer": rule.answer_weight * outcome.score,
        "format": rule.format_bonus,
        "access": rule.access_bonus if outcome.accessed else 0.0,
        "length": -_penalty(outcome.longest_turn_tokens, rule),
    }
    return Reward(total=sum(terms.values()), terms=terms)


def role_rewards(
    outcome: Outcome, roles: Mapping[Role, RoleOutcome], rule: RewardRule | None = None
) -> dict[Role, float]:
    """The reward of each role of a rollout: what all share, and what its own agents are answerable for.

        R_role = answer + format + access_role - length_role      0 for every role where `reward` is forfeited
        length_role: the penalty for the longest turn of the role's agents
        access_role: the bonus if one of the role's agents opened a page; for the lead, who cannot, if any agent did

    A lead without subagents, and an agent that works alone, has the reward of the rollout.

    >>> won = Outcome(score=0.5, valid=True, stop_reason=StopReason.ANSWERED, longest_turn_tokens=4_000, accessed=True)
    >>> long, short = RoleOutcome(longest_turn_tokens=4_000, accessed=True), RoleOutcome(longest_turn_tokens=200)
    >>> [round(each, 3) for each in role_rewards(won, {Role.LEAD: short, Role.SUBAGENT: long}).values()]
    [0.65, 0.6]
    """
    return {
        role: reward(
            outcome.model_copy(
                update={
                    "longest_turn_tokens": own.longest_turn_tokens,
                    "accessed": outcome.accessed if role is Role.LEAD else own.accessed,
                }
            ),
            rule,
        ).total
        for role, own in roles.items()
    }


def _forfeit(outcome: Outcome) -> str:
    if outcome.stop_reason is not StopReason.ANSWERED:
        return outcome.stop_reason.value
    return "" if outcome.valid else "no valid answer"


def _penalty(tokens: int, rule: RewardRule) -> float:
    """0 up to `length_from`, rising evenly to the whole penalty at `length_to`."""
    share = (tokens - rule.length_from) / (rule.length_to - rule.length_from)
    return rule.length_penalty * min(max(share, 0.0), 1.0)


def answer_value(score: AnswerScore, rule: RewardRule) -> float:
    """What the answer to a question is worth, by the rule's metric.

    Raises `InvalidRequest` when the rule asks for a judge's word and no judge was there to give it.
    """
    value = {"em": score.em, "f1": score.f1, "judged": score.judged}[rule.question_metric]
    if value is None:
        raise InvalidRequest("the reward rule asks for the judge's word (question_metric: judged), and none was given")
    return value


def outcome(rollout: Trajectory, *, score: float, valid: bool) -> Outcome:
    """The outcome of a rollout given as the lead's trajectory with its subagents' below it.

    Raises `InvalidRequest` for a cancelled one, which has no reward.
    """
    if rollout.stop_reason is StopReason.CANCELLED:
        raise InvalidRequest("a cancelled rollout has no reward")
    turns = [turn for agent in _walk(rollout) for turn in agent.turns]
    opened = (
        result.call is not None and result.call.name == "access" and bool(result.sources)
        for turn in turns
        for result in turn.results
    )
    return Outcome(
        score=score,
        valid=valid,
        stop_reason=rollout.stop_reason,
        longest_turn_tokens=max((turn.completion.completion_tokens for turn in turns), default=0),
        accessed=any(opened),
    )


def _walk(agent: Trajectory) -> Iterator[Trajectory]:
    yield agent
    for below in agent.subagents:
        yield from _walk(below)
