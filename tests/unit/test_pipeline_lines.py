"""Files of the pipeline: in order, whole, taken up behind the last whole line; and settings that stay what they are."""

from pathlib import Path

import pytest

from services.pipeline.lines import Said, StageFile
from services.pipeline.settings import (
    AnswerSettings,
    CheckSettings,
    QuerySettings,
    read_manifest,
    take_up,
    with_answers,
    with_checks,
)
from wideseek.errors import InvalidRequest


def said(number: int) -> Said:
    return Said(instance_id=f"i{number}", text=f"line\u2028{number}")


def test_a_file_is_there_when_it_is_finished_and_not_before(tmp_path: Path) -> None:
    file = StageFile(tmp_path / "a.jsonl", Said)

    with file.unfinished() as growing:
        growing.append(said(1))
        assert not file.finished

    assert file.finished
    assert file.read() == [said(1)]


def test_a_killed_stage_goes_on_behind_its_last_whole_line_and_ends_with_the_same_bytes(tmp_path: Path) -> None:
    whole, broken = StageFile(tmp_path / "whole.jsonl", Said), StageFile(tmp_path / "broken.jsonl", Said)
    with whole.unfinished() as growing:
        for number in range(4):
            growing.append(said(number))
    content = whole.path.read_bytes()
    (tmp_path / "broken.jsonl.part").write_bytes(content[: content.index(b"i2") + 1])

    with broken.unfinished() as growing:
        assert growing.lines == [said(0), said(1)]
        growing.append(said(2))
        growing.append(said(3))

    assert broken.path.read_bytes() == content


def test_an_error_leaves_the_file_unfinished_with_what_it_has(tmp_path: Path) -> None:
    file = StageFile(tmp_path / "a.jsonl", Said)

    def broken_off() -> None:
        with file.unfinished() as growing:
            growing.append(said(1))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken_off()

    assert not file.finished
    with file.unfinished() as growing:
        assert growing.lines == [said(1)]


def test_two_cannot_write_one_file(tmp_path: Path) -> None:
    with (
        StageFile(tmp_path / "a.jsonl", Said).unfinished(),
        pytest.raises(InvalidRequest, match=r"another pipeline is writing a\.jsonl"),
        StageFile(tmp_path / "a.jsonl", Said).unfinished(),
    ):
        pass


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"instance_id": "x", "text": ""}\n{"no": 1}\n', "utf-8")

    with pytest.raises(InvalidRequest, match=r"a\.jsonl:2"):
        StageFile(tmp_path / "a.jsonl", Said).read()
    with pytest.raises(InvalidRequest, match="No such file"):
        StageFile(tmp_path / "b.jsonl", Said).read()


def test_a_pipeline_that_has_begun_is_not_gone_on_with_otherwise(tmp_path: Path) -> None:
    take_up(tmp_path, QuerySettings(seed=1))
    changed = take_up(tmp_path, QuerySettings(seed=2))
    (tmp_path / "queries.jsonl.part").write_text("{}\n", "utf-8")

    assert changed.queries.seed == 2
    with pytest.raises(InvalidRequest, match="seed = 2, not 3; choose another --out"):
        take_up(tmp_path, QuerySettings(seed=3))


def test_answers_belong_to_their_queries(tmp_path: Path) -> None:
    take_up(tmp_path, QuerySettings())
    with_answers(tmp_path, AnswerSettings(queries_sha256="a"))

    with pytest.raises(InvalidRequest, match="queries_sha256"):
        with_answers(tmp_path, AnswerSettings(queries_sha256="b"))


def test_checks_may_change_but_not_who_answered(tmp_path: Path) -> None:
    take_up(tmp_path, QuerySettings())
    with_checks(tmp_path, CheckSettings(answerers=("a", "b")))

    assert with_checks(tmp_path, CheckSettings(min_rows=5)).checks == CheckSettings(min_rows=5, answerers=("a", "b"))
    with pytest.raises(InvalidRequest, match="answered by a, b"):
        with_checks(tmp_path, CheckSettings(answerers=("c",)))


def test_a_manifest_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "pipeline.json").write_text('{"queries": {"seed": "x"}}', "utf-8")

    with pytest.raises(InvalidRequest, match=r"pipeline\.json: queries\.seed"):
        read_manifest(tmp_path)
