"""The order of training tasks, and which groups a step is made of."""

from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.trainer.collect.attempts import task_label
from services.trainer.collect.groups import run_key, seed_of
from services.trainer.collect.pacing import Standing, choose, last_step, quota, room
from services.trainer.collect.source import Kind, TaskSource
from services.trainer.config import DataConfig
from tests.collect_parts import source_of
from tests.evaluation_parts import record, write_tasks
from wideseek.errors import InvalidRequest


def question_record(name: str, **more: Any) -> dict[str, Any]:
    return {"instance_id": name, "question": "Capital of Peru?", "answers": ["Lima"], **more}


def test_wide_tasks_and_questions_take_turns() -> None:
    source = source_of(wides=2, questions=2)

    kinds = [source.draw(number).kind for number in range(6)]

    assert kinds == ["question", "wide"] * 3


@given(share=st.integers(0, 20), steps=st.integers(1, 8), groups=st.integers(1, 9))
def test_any_draws_in_a_row_are_mixed_as_asked(share: int, steps: int, groups: int) -> None:
    source = source_of(share=share / 20)

    wide = [source.draw(number).kind == "wide" for number in range(steps * groups)]

    for end in range(len(wide) + 1):
        assert abs(sum(wide[:end]) - Fraction(share, 20) * end) < 1


def test_every_epoch_has_every_task_once_in_an_order_of_its_own() -> None:
    source = source_of(wides=0, questions=20)

    epochs = [[source.draw(20 * epoch + place).task.instance_id for place in range(20)] for epoch in range(3)]

    assert all(Counter(epoch) == Counter(epochs[0]) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3


def test_the_order_follows_from_the_seed_and_the_number_alone() -> None:
    drawn = [source_of(seed=5).draw(number) for number in range(30)]

    again = [source_of(seed=5).draw(number) for number in reversed(range(30))]

    assert drawn == again[::-1]
    assert drawn != [source_of(seed=6).draw(number) for number in range(30)]


def test_files_are_read_by_kind(tmp_path: Path) -> None:
    wide = write_tasks(tmp_path / "w.jsonl", record("a"), record("b"))
    questions = write_tasks(tmp_path / "q.jsonl", question_record("c"))

    source = TaskSource.read(DataConfig(wide=(wide,), questions=(questions,)), seed=0)

    assert sorted(source.instance_ids) == ["a", "b", "c"]
    assert source.task("c").instance_id == "c"


def test_what_cannot_be_trained_on_is_refused_with_file_and_line(tmp_path: Path) -> None:
    wide = write_tasks(tmp_path / "w.jsonl", record("a"))
    empty = write_tasks(tmp_path / "e.jsonl")
    broken = write_tasks(tmp_path / "b.jsonl", record("z"), record("a2", evaluation={"required": ["country"]}))
    again = write_tasks(tmp_path / "again.jsonl", record("x"), record("a"))
    questions = write_tasks(tmp_path / "q.jsonl", question_record("c"))

    cases = {
        r"e\.jsonl: holds no task": DataConfig(wide=(wide, empty)),
        r"b\.jsonl:2: evaluation\.unique_columns": DataConfig(wide=(broken,)),
        r"again\.jsonl:2: instance_id: 'a' stands at .*w\.jsonl:1 already": DataConfig(wide=(wide, again)),
        r"q\.jsonl:1: is a question task in data\.wide; name the file in": DataConfig(wide=(questions,)),
        r"gone\.jsonl: No such file": DataConfig(wide=(tmp_path / "gone.jsonl",)),
        "there is no task": DataConfig(),
    }

    for message, data in cases.items():
        with pytest.raises(InvalidRequest, match=message):
            TaskSource.read(data, seed=0)


def test_a_task_that_is_gone_from_the_files_is_named() -> None:
    with pytest.raises(InvalidRequest, match="task 'old' was asked earlier"):
        source_of().task("old")


def test_names_that_a_run_may_not_carry_are_hashed() -> None:
    assert task_label("ws_en_001") == "ws_en_001"
    assert task_label("factbook:africa 1") == "factbook:africa 1"
    for odd in ("a/b", "a\\b", "..", "a..b", " a", "", "x" * 300, "a\nb"):
        assert task_label(odd).startswith("task-")


def test_keys_and_seeds_differ_by_place_and_attempt() -> None:
    places = [(group, index, attempt) for group in ("g0-1", "g0-11") for index in range(12) for attempt in range(3)]

    assert len({run_key("job", *place) for place in places}) == len(places)
    assert len({seed_of(0, *place) for place in places}) == len(places)
    assert all(0 <= seed_of(7, *place) < 2**31 for place in places)


# ---- pacing -------------------------------------------------------------------------------


def test_the_room_of_a_version_shrinks_as_steps_pass() -> None:
    due = last_step(4, 1)

    assert due == 6
    assert room(0, groups=3, due=due, trained=4) == 6
    assert room(5, groups=3, due=due, trained=4) == 1
    assert room(0, groups=3, due=due, trained=5) == 3
    assert room(0, groups=3, due=due, trained=6) == 0


def line(*standing: tuple[int, Kind, int, bool]) -> list[Standing]:
    return [Standing(*one) for one in standing]


def test_a_step_takes_what_is_due_before_what_is_ready() -> None:
    groups = line((0, "wide", 2, False), (1, "wide", 3, True), (2, "wide", 3, True))

    assert choose(groups, step=2, groups=2, wanted={"wide": 2, "question": 0}) is None
    assert choose(groups, step=1, groups=2, wanted={"wide": 2, "question": 0}) == [1, 2]


def test_a_step_waits_for_its_mix_and_fills_up_where_a_kind_is_missing() -> None:
    wanted: dict[Kind, int] = {"wide": 1, "question": 1}

    waiting = choose(
        line((0, "wide", 9, False), (1, "question", 9, True), (2, "question", 9, True)), step=1, groups=2, wanted=wanted
    )
    filled = choose(line((1, "question", 9, True), (2, "question", 9, True)), step=1, groups=2, wanted=wanted)

    assert waiting is None
    assert filled == [1, 2]


def test_what_a_step_had_too_few_of_is_made_up_for() -> None:
    assert quota(Fraction(1, 2), {"wide": 0, "question": 0}, 3) == {"wide": 1, "question": 2}
    assert quota(Fraction(1, 2), {"wide": 1, "question": 2}, 3) == {"wide": 2, "question": 1}
    assert quota(Fraction(1, 2), {"wide": 0, "question": 4}, 2) == {"wide": 2, "question": 0}


@given(data=st.data(), bound=st.integers(0, 3), groups=st.integers(1, 4), share=st.integers(0, 4))
def test_with_both_rules_no_group_misses_its_last_step(
    data: st.DataObject, bound: int, groups: int, share: int
) -> None:
    source = source_of(share=share / 4)
    standing: list[Standing] = []
    taken: Counter[Kind] = Counter()
    number = 0

    for step in range(1, 8):
        due = last_step(step - 1, bound)
        while room(len(standing), groups=groups, due=due, trained=step - 1) > 0:
            standing.append(Standing(number, source.draw(number).kind, due, ready=False))
            number += 1
        picked = None
        while picked is None:
            waiting = [one for one in standing if not one.ready]
            if waiting:
                ended = data.draw(st.sampled_from(waiting))
                standing[standing.index(ended)] = Standing(ended.number, ended.kind, ended.last_step, ready=True)
            picked = choose(standing, step=step, groups=groups, wanted=quota(source.share, taken, groups))
        assert all(one.last_step >= step for one in standing)
        taken.update(one.kind for one in standing if one.number in picked)
        standing = [one for one in standing if one.number not in picked]
        assert len(picked) == groups

    assert abs(taken["wide"] - source.share * taken.total()) < groups
