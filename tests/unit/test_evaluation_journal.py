"""What an evaluation has stored: found again whole after any end, and never gone on with otherwise."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from services.evaluation.journal import ABOUT, RESULTS, About, open_journal, read_trials, take_up
from services.evaluation.options import Setting
from tests.evaluation_parts import trial_of
from wideseek.errors import InvalidRequest


def about(**more: Any) -> About:
    values: dict[str, Any] = {
        "id": "first",
        "url": "http://127.0.0.1:8080",
        "tasks": "tasks.jsonl",
        "tasks_sha256": "ab" * 32,
        "gold_sha256": "12" * 32,
        "setting": Setting(),
        "trials": 2,
        "instance_ids": ("a", "b"),
        "created_at": 1.0,
    }
    return About.model_validate(values | more)


def written(directory: Path, *names: str) -> Path:
    with open_journal(directory) as journal:
        for name in names:
            journal.append(trial_of(name))
    return directory / RESULTS


def test_trials_are_found_again(tmp_path: Path) -> None:
    written(tmp_path, "a", "b")

    with open_journal(tmp_path) as journal:
        assert journal.trials == {("a", 0): trial_of("a"), ("b", 0): trial_of("b")}
        assert not journal.note


def test_a_text_with_line_separators_is_one_line(tmp_path: Path) -> None:
    text = "first\u2028second\u0085third\r\nfourth"
    with open_journal(tmp_path) as journal:
        journal.append(trial_of("a", response_text=text))

    (line,) = (tmp_path / RESULTS).read_text("utf-8").splitlines()
    assert json.loads(line)["response_text"] == text
    assert read_trials(tmp_path)[0].response_text == text


@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
def test_a_torn_last_line_is_cut_off_with_a_note(tmp_path: Path, share: float) -> None:
    path = written(tmp_path, "a", "b")
    first, second, _ = path.read_bytes().split(b"\n")
    path.write_bytes(first + b"\n" + second[: max(1, int(len(second) * share))])

    with open_journal(tmp_path) as journal:
        assert list(journal.trials) == [("a", 0)]
        assert journal.note == f"{path}:2: cut off a line that was not written to its end"
        journal.append(trial_of("c"))

    assert [trial.instance_id for trial in read_trials(tmp_path)] == ["a", "c"]


def test_a_last_line_that_lacks_only_its_end_is_kept(tmp_path: Path) -> None:
    path = written(tmp_path, "a", "b")
    os.truncate(path, path.stat().st_size - 1)

    with open_journal(tmp_path) as journal:
        assert list(journal.trials) == [("a", 0), ("b", 0)]
        journal.append(trial_of("c"))

    assert [trial.instance_id for trial in read_trials(tmp_path)] == ["a", "b", "c"]


def test_a_corrupt_line_elsewhere_is_an_error_and_nothing_is_lost(tmp_path: Path) -> None:
    path = written(tmp_path, "a", "b")
    before = path.read_bytes().replace(b'"seconds": 2.5', b'"seconds": "long"', 1)
    path.write_bytes(before)

    with pytest.raises(InvalidRequest, match=rf"{RESULTS}:1: seconds: Input should be a valid number"):
        open_journal(tmp_path).__enter__()

    assert path.read_bytes() == before


def test_a_trial_that_stands_twice_is_an_error(tmp_path: Path) -> None:
    path = written(tmp_path, "a")
    path.write_bytes(path.read_bytes() * 2)

    with pytest.raises(InvalidRequest, match=rf"{RESULTS}:2: trial 0 of a stands here twice"):
        open_journal(tmp_path).__enter__()


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    with open_journal(tmp_path), pytest.raises(InvalidRequest, match="another evaluation is writing there"):
        open_journal(tmp_path).__enter__()


def test_an_evaluation_is_begun_and_gone_on_with(tmp_path: Path) -> None:
    take_up(tmp_path, about())

    again = take_up(tmp_path, about(id="second", created_at=2.0, url="http://127.0.0.1:9090"))

    assert (again.id, again.created_at, again.url) == ("first", 1.0, "http://127.0.0.1:9090")
    assert About.model_validate_json((tmp_path / ABOUT).read_bytes()) == again


def test_more_tasks_and_trials_may_be_added(tmp_path: Path) -> None:
    take_up(tmp_path, about())

    again = take_up(tmp_path, about(trials=4, instance_ids=("a", "b", "c")))

    assert again.trials == 4


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"setting": Setting(width=5)}, "was made with width = unset, not 5"),
        ({"setting": Setting.model_validate({"mode": "sequential"})}, "was made with mode = multi_agent, not sequen"),
        ({"tasks_sha256": "cd" * 32}, r"was made with other tasks \(tasks.jsonl, sha256 abababababab"),
        ({"gold_sha256": "34" * 32}, "was made with other gold tables"),
        ({"instance_ids": ("b", "c")}, "holds task a too"),
        ({"trials": 1}, "holds 2 trials a task, more than the 1 asked for"),
        ({"sweep": "width"}, "was made with --sweep of nothing, not of width"),
    ],
)
def test_another_evaluation_is_refused_saying_what_differs(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    take_up(tmp_path, about())
    written(tmp_path, "a")
    before = (tmp_path / ABOUT).read_bytes()

    with pytest.raises(InvalidRequest, match=said):
        take_up(tmp_path, about(**change))

    assert (tmp_path / ABOUT).read_bytes() == before


def test_what_never_got_a_result_gives_way_to_another_evaluation(tmp_path: Path) -> None:
    take_up(tmp_path, about())
    written(tmp_path)

    other = take_up(tmp_path, about(id="second", setting=Setting(width=5)))

    assert other.id == "second"
    assert About.model_validate_json((tmp_path / ABOUT).read_bytes()) == other


def test_a_sweep_with_results_below_it_does_not_give_way(tmp_path: Path) -> None:
    take_up(tmp_path, about(sweep="width"))
    (tmp_path / "width=1").mkdir()
    written(tmp_path / "width=1", "a")

    with pytest.raises(InvalidRequest, match="was made with --sweep of width"):
        take_up(tmp_path, about())


def test_results_of_an_unknown_evaluation_are_left_alone(tmp_path: Path) -> None:
    written(tmp_path, "a")

    with pytest.raises(InvalidRequest, match=r"holds results\.jsonl without evaluation\.json"):
        take_up(tmp_path, about())


def test_an_unreadable_description_is_named(tmp_path: Path) -> None:
    (tmp_path / ABOUT).write_text('{"id": ""}')

    with pytest.raises(InvalidRequest, match=rf"{ABOUT}: id: String should have at least 1 character"):
        take_up(tmp_path, about())
