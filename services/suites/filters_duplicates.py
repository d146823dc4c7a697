"""Instances that say again what a kept one says, exactly or nearly.

Wide tasks are compared by the folded keys of their rows among tasks with the same columns; questions by their
words among questions with the same answer and documents, since templates make many questions that differ in one
name only and are not the same question for that.
"""

from services.suites.filters import Reason
from services.suites.filters_keys import SetIndex, columns_of, folded, row_keys, words
from wideseek.instances import Question, Task, WideTask

Fact = tuple[str, tuple[str, ...]]
"""What a question is about: its folded canonical answer and its documents."""


class DuplicateFilter:
    """Rejects an instance that asks what a kept one asks: same id, same question, same rows and columns."""

    stage = "duplicates"

    def __init__(self) -> None:
        self._ids: set[str] = set()
        self._texts: dict[str, str] = {}
        self._tables: dict[tuple[tuple[str, ...], frozenset[str]], str] = {}

    def check(self, instance: Task) -> Reason | None:
        """What it repeats, or None."""
        if instance.instance_id in self._ids:
            return Reason(code="duplicate_id", why=f"instance_id: {instance.instance_id!r} was kept already")
        same = self._texts.get(folded(text_of(instance)))
        if same is not None:
            return Reason(code="duplicate_question", why=f"asks in the same words as {same}")
        if isinstance(instance, WideTask) and (keys := row_keys(instance)):
            same = self._tables.get((columns_of(instance), keys))
            if same is not None:
                return Reason(code="duplicate_answer", why=f"has the rows and columns of {same}")
        return None

    def keep(self, instance: Task) -> None:
        """Remember its id, its words, its rows."""
        self._ids.add(instance.instance_id)
        self._texts.setdefault(folded(text_of(instance)), instance.instance_id)
        if isinstance(instance, WideTask):
            self._tables.setdefault((columns_of(instance), row_keys(instance)), instance.instance_id)


class NearDuplicateFilter:
    """Rejects an instance whose Jaccard index with a comparable kept one is above the limit."""

    stage = "near duplicates"

    def __init__(self, max_jaccard: float = 0.7) -> None:
        self._limit = max_jaccard
        self._tables: dict[tuple[str, ...], SetIndex] = {}
        self._questions: dict[Fact, SetIndex] = {}

    def check(self, instance: Task) -> Reason | None:
        """What it nearly repeats, or None."""
        if isinstance(instance, Question):
            index, members, what = self._questions.get(fact(instance)), frozenset(words(instance.question)), "words"
        else:
            index, members, what = self._tables.get(columns_of(instance)), row_keys(instance), "rows"
        near = index.nearest(members) if index else None
        if near is None or near.similarity <= self._limit:
            return None
        why = f"shares {near.similarity:.0%} of its {what} with {near.instance_id}, the limit is {self._limit:.0%}"
        return Reason(code="near_duplicate", why=why)

    def keep(self, instance: Task) -> None:
        """Take its rows or words into the index."""
        if isinstance(instance, Question):
            index = self._questions.setdefault(fact(instance), SetIndex())
            index.add(instance.instance_id, frozenset(words(instance.question)))
        else:
            self._tables.setdefault(columns_of(instance), SetIndex()).add(instance.instance_id, row_keys(instance))


def text_of(instance: Task) -> str:
    """What the instance asks."""
    return instance.question if isinstance(instance, Question) else instance.query


def fact(question: Question) -> Fact:
    """What the question is about."""
    return folded(question.answers[0]), tuple(sorted(question.gold_docs))
