"""Judges that need no network: one that decides by rule, one that decides nothing, and how far two of them agree."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal

from wideseek.concurrency import run_all
from wideseek.ports import Alignment, AnswerPair, ColumnPairs, Judge
from wideseek.scoring.meaning import same_meaning, stands_in
from wideseek.scoring.naming import Names, named_headings
from wideseek.values import Frozen


class NoJudge:
    """Aligns nothing and judges nothing right: what a scorer can do on its own."""

    async def align(self, alignment: Alignment) -> Mapping[str, str]:
        """No value means another."""
        del alignment
        return {}

    async def judge_column(self, cells: ColumnPairs) -> Sequence[float]:
        """No cell is right."""
        return [0.0] * len(cells.pairs)

    async def judge_answer(self, answer: AnswerPair) -> bool:
        """No answer is right."""
        del answer
        return False


class DeterministicJudge:
    """Rules only, always the same verdict; `wideseek.scoring.naming` and `wideseek.scoring.meaning` state them."""

    async def align(self, alignment: Alignment) -> Mapping[str, str]:
        """Each found value to the one wanted value it names, whatever else was found."""
        if not alignment.column:
            return named_headings(alignment.found, alignment.wanted)
        names = Names(alignment.wanted, alignment.aliases)
        told = ((value, names.meant(value)) for value in alignment.found)
        return {value: target for value, target in told if target is not None}

    async def judge_column(self, cells: ColumnPairs) -> Sequence[float]:
        """1 for the cells that say what the gold or one of its aliases says."""
        return [float(same_meaning(given, (gold, *cells.aliases.get(gold, ())))) for given, gold in cells.pairs]

    async def judge_answer(self, answer: AnswerPair) -> bool:
        """Whether the answer says what an accepted one says, or is one in a sentence of filling words."""
        return same_meaning(answer.given, answer.accepted) or any(
            stands_in(answer.given, accepted) for accepted in answer.accepted
        )


class VerdictAgreement(Frozen):
    """How often two judges said the same of one column's values or cells, or of answers."""

    kind: Literal["alignment", "cells", "answers"]
    column: str = ""
    """Empty for answers, and for the alignment of column headings."""
    asked: int
    equal: int
    kappa: float
    """Cohen's kappa, `(p_o - p_e) / (1 - p_e)`; 1 when both never differ. Source: Cohen (1960)."""

    @property
    def share(self) -> float:
        """Equal verdicts among all."""
        return self.equal / self.asked


class Agreement(Frozen):
    """How far two judges agreed over all they were asked."""

    verdicts: tuple[VerdictAgreement, ...] = ()
    """One a kind and column, in the order they were first asked; without those that were asked nothing."""

    @property
    def asked(self) -> int:
        """Verdicts compared."""
        return sum(group.asked for group in self.verdicts)

    @property
    def share(self) -> float:
        """Equal verdicts among all; 1 when nothing was asked."""
        return sum(group.equal for group in self.verdicts) / self.asked if self.asked else 1.0


Kind = Literal["alignment", "cells", "answers"]


class AgreementJudge:
    """Answers with the verdicts of `primary`, and asks `other` the same; an outage of either is an outage."""

    def __init__(self, primary: Judge, other: Judge) -> None:
        self._primary = primary
        self._other = other
        self._told: dict[tuple[Kind, str], list[tuple[str, str]]] = {}

    async def align(self, alignment: Alignment) -> Mapping[str, str]:
        """The primary's alignment; a verdict a found value: which wanted one it names, or none."""
        mine, theirs = await run_all([self._primary.align(alignment), self._other.align(alignment)])
        told = [(mine.get(value, ""), theirs.get(value, "")) for value in alignment.found]
        self._note("alignment", alignment.column, told)
        return mine

    async def judge_column(self, cells: ColumnPairs) -> Sequence[float]:
        """The primary's scores; a verdict a cell: right from 0.5 on."""
        mine, theirs = await run_all([self._primary.judge_column(cells), self._other.judge_column(cells)])
        told = [(str(first >= 0.5), str(second >= 0.5)) for first, second in zip(mine, theirs, strict=True)]
        self._note("cells", cells.column, told)
        return mine

    async def judge_answer(self, answer: AnswerPair) -> bool:
        """The primary's verdict."""
        mine, theirs = await run_all([self._primary.judge_answer(answer), self._other.judge_answer(answer)])
        self._note("answers", "", [(str(mine), str(theirs))])
        return mine

    def agreement(self) -> Agreement:
        """What was compared so far."""
        groups = [
            VerdictAgreement(
                kind=kind,
                column=column,
                asked=len(told),
                equal=sum(mine == theirs for mine, theirs in told),
                kappa=cohens_kappa(told),
            )
            for (kind, column), told in self._told.items()
        ]
        return Agreement(verdicts=tuple(groups))

    def _note(self, kind: Kind, column: str, told: Sequence[tuple[str, str]]) -> None:
        if told:
            self._told.setdefault((kind, column), []).extend(told)


def cohens_kappa(pairs: Sequence[tuple[str, str]]) -> float:
    """Agreement of two raters beyond chance, over any number of categories; 1 when they never differ.

        p_o = share of equal verdicts        p_e = sum over categories of p_first * p_second
        kappa = (p_o - p_e) / (1 - p_e)

    Source: Cohen, "A coefficient of agreement for nominal scales" (1960).
    """
    total = len(pairs)
    equal = sum(first == second for first, second in pairs)
    if equal == total:
        return 1.0
    firsts, seconds = Counter(first for first, _ in pairs), Counter(second for _, second in pairs)
    chance = sum(firsts[category] * seconds[category] for category in firsts) / total**2
    return (equal / total - chance) / (1 - chance)
