"""Instances that would show a policy in training what it is to be tested on."""

from collections.abc import Iterable

from services.suites.filters import Reason
from services.suites.filters_duplicates import Fact, fact, text_of
from services.suites.filters_keys import SetIndex, folded, row_documents, row_keys
from wideseek.instances import Question, Task, WideTask


class LeakFilter:
    """Rejects what a held-out instance asks: its id, its words, its answer, or nearly its rows.

    A wide task's answer is its set of rows whatever the columns are, so that no held-out set of rows is ever
    rewarded in training; a question's is the answer with the documents it follows from, however it is worded.
    """

    stage = "leaks"

    def __init__(self, held_out: Iterable[Task], max_jaccard: float = 0.7) -> None:
        self._limit = max_jaccard
        self._ids: set[str] = set()
        self._texts: dict[str, str] = {}
        self._facts: dict[Fact, str] = {}
        self._rows, self._documents = SetIndex(), SetIndex()
        for instance in held_out:
            self._hold_out(instance)

    def _hold_out(self, instance: Task) -> None:
        name = instance.instance_id
        self._ids.add(name)
        self._texts.setdefault(folded(text_of(instance)), name)
        if isinstance(instance, WideTask):
            self._rows.add(name, row_keys(instance))
            self._documents.add(name, row_documents(instance))
        elif instance.gold_docs:
            self._facts.setdefault(fact(instance), name)

    def check(self, instance: Task) -> Reason | None:
        """What it would give away, or None."""
        if instance.instance_id in self._ids:
            return Reason(code="held_out_id", why=f"instance_id: {instance.instance_id!r} is held out")
        same = self._texts.get(folded(text_of(instance)))
        if same is not None:
            return Reason(code="held_out_question", why=f"asks in the words of {same}, which is held out")
        return self._fact_leak(instance) if isinstance(instance, Question) else self._row_leak(instance)

    def _fact_leak(self, question: Question) -> Reason | None:
        same = self._facts.get(fact(question))
        if same is None:
            return None
        return Reason(code="held_out_answer", why=f"has answer and documents of {same}, which is held out")

    def _row_leak(self, task: WideTask) -> Reason | None:
        keys, documents = row_keys(task), row_documents(task)
        same = self._rows.same(keys) or self._documents.same(documents)
        if same is not None:
            return Reason(code="held_out_answer", why=f"has the rows of {same}, which is held out")
        near = max(
            (found for found in (self._rows.nearest(keys), self._documents.nearest(documents)) if found),
            key=lambda found: found.similarity,
            default=None,
        )
        if near is None or near.similarity <= self._limit:
            return None
        why = f"shares {near.similarity:.0%} of its rows with {near.instance_id}, which is held out"
        return Reason(code="held_out_near", why=why)

    def keep(self, instance: Task) -> None:
        """Nothing to remember."""
