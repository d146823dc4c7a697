"""The last stage: rules, the sample, what looks at it object to, balance; nothing is lost on the way."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from services.evaluation.journal import ABOUT, RESULTS
from services.evaluation.options import Setting
from services.evaluation.results import AnswerScores, Trial
from services.pipeline.assemble import FILES
from services.pipeline.held_out import PageFilter
from services.pipeline.lines import Answered, Kind
from services.pipeline.looks import read_looks, wilson
from services.pipeline.run import Stage, run_pipeline, write_sheet
from services.pipeline.sample import Look, draw
from services.pipeline.settings import CheckSettings
from services.pipeline.sheet import PipelineSheet
from services.pipeline.sheet_md import checked_sentence, tenths
from services.pipeline.sieve import balance, candidate, sieve
from services.suites.filters_read import read_instances
from tests.pipeline_parts import CLUBS, HEADER, asked, lines_of, page, settings, watch
from tests.suite_parts import question, question_record, wide_record, wide_task
from wideseek.contracts import Mode, RunStatus
from wideseek.errors import InvalidRequest
from wideseek.instances import Scores


def answered(record: Mapping[str, Any]) -> Answered:
    kind = Kind.QUESTION if "question" in record else Kind.WIDE
    return Answered(instance_id=record["instance_id"], kind=kind, source="x", record=record)


def sized(wide: int, questions: int) -> list[Answered]:
    rows = [[f"Land {n}-{m}", f"Town {n}-{m}", str(m)] for n in range(wide) for m in range(4)]
    made = [wide_record(f"w{n}", rows[4 * n : 4 * n + 4]) for n in range(wide)]
    return [*map(answered, made), *(answered(question_record(f"q{n}")) for n in range(questions))]


def test_each_rule_objects_under_its_own_name() -> None:
    lines = [
        *sized(2, 1),
        answered({"instance_id": "s"} | {"evaluation": 1}),
        answered(wide_record("few", [["A", "B", "1"]])),
        answered(wide_record("dev", [[f"L{n}", "C", "1"] for n in range(4)], split="dev")),
        answered(sized(1, 0)[0].record or {}),
        answered(question_record("leak")),
        answered(wide_record("p", [[f"P{n}", "C", "1"] for n in range(4)], suite="table-wide", list_doc="doc:p#x")),
    ]
    held_out = [question("held", question="What is the capital of leak?"), question("other", gold_docs=["doc:p"])]

    sifted = sieve(lines, CheckSettings(), held_out)

    assert [one.instance_id for one in sifted.kept] == ["w0", "w1", "q0"]
    assert {one.candidate.instance_id: one.reason.code for one in sifted.rejected} == {
        "s": "schema",
        "few": "too_few_rows",
        "dev": "other_split",
        "w0": "duplicate_id",
        "leak": "held_out_question",
        "p": "held_out_page",
    }


def test_pages_are_held_out_for_tables_only() -> None:
    rule = PageFilter([question(gold_docs=["https://wiki/A#Top"])])
    rule.keep(question())

    assert rule.check(wide_task(suite="table-wide", list_doc="https://wiki/A#Clubs")) is not None
    assert rule.check(wide_task(suite="table-wide", list_doc="https://wiki/B#Clubs")) is None
    assert rule.check(wide_task(suite="factbook-wide", list_doc="https://wiki/A")) is None


@pytest.mark.parametrize(("wide", "questions", "per_kind", "size"), [(5, 7, 3, 3), (2, 7, 3, 2), (0, 4, 3, 0)])
def test_a_set_has_as_many_of_each_kind_and_names_what_is_left_over(
    wide: int, questions: int, per_kind: int, size: int
) -> None:
    kept = [candidate(line, number) for number, line in enumerate(sized(wide, questions))]

    balanced = balance(kept, per_kind)

    assert [len(balanced.of(kind)) for kind in Kind] == [size, size]
    assert len(balanced.chosen) + len(balanced.surplus) == wide + questions
    assert {one.reason.code for one in balanced.surplus} == {"surplus"}


def test_a_sample_follows_from_the_seed_and_grows_around_the_smaller_one() -> None:
    balanced = balance([candidate(line, number) for number, line in enumerate(sized(20, 20))], 20)

    small, large, other = (draw(balanced, size, seed) for size, seed in ((6, 1), (10, 1), (10, 2)))

    names = [{one.instance_id for one in drawn} for drawn in (small, large, other)]
    assert [len(some) for some in names] == [6, 10, 10]
    assert names[0] < names[1] != names[2]
    assert sum(name.startswith("w") for name in names[1]) == 5
    assert len(draw(balanced, 0, 1)) == 40
    assert [one.instance_id for one in large] == [one.instance_id for one in balanced.chosen if one in large]


@pytest.mark.parametrize(
    ("hits", "of", "interval"),
    [(0, 0, (0.0, 1.0)), (0, 10, (0.0, 0.2775)), (5, 10, (0.2366, 0.7634)), (10, 10, (0.7225, 1.0))],
)
def test_shares_have_wilsons_interval(hits: int, of: int, interval: tuple[float, float]) -> None:
    assert wilson(hits, of) == pytest.approx(interval, abs=1e-4)


def trial(name: str, score: float) -> Trial:
    of_question = {"answer": AnswerScores(em=float(score == 1), f1=score)} if "-qa-" in name else {}
    scores = {} if of_question else {"scores": {"robust": Scores(f1_by_item=score), "official": Scores()}}
    known = {"instance_id": name, "trial": 0, "run_id": "r", "status": RunStatus.COMPLETED, "suite": "s", "group": "g"}
    return Trial.model_validate({**known, "model": "m", "response_text": "", "seconds": 1.0, **scores, **of_question})


def took(folder: Path, look: Look, scores: Mapping[str, float], mode: Mode) -> None:
    place = folder / "runs" / look
    place.mkdir(parents=True)
    about = {"id": "x", "url": "u", "tasks": "t", "tasks_sha256": "", "gold_sha256": "", "trials": 1, "created_at": 0}
    setting = Setting(mode=mode, max_turns=3 if look is Look.SINGLE_SEARCH else None)
    (place / ABOUT).write_text(
        json.dumps({**about, "setting": setting.model_dump(), "instance_ids": list(scores)}), "utf-8"
    )
    lines = [json.dumps(trial(name, score).model_dump(mode="json")) for name, score in scores.items()]
    (place / RESULTS).write_text("\n".join(lines) + "\n", "utf-8")


async def looked(folder: Path) -> tuple[PipelineSheet, list[str]]:
    """A set of 12 whose sample of 6 was looked at; the names of the sample, wide ones first."""
    await run_pipeline(asked(folder), watch(folder))
    chosen = [line["instance_id"] for name in FILES.values() for line in lines_of(folder / name)]
    kept = [*chosen[:3], *chosen[6:9]]
    by_name = {line["instance_id"]: line["record"] for line in lines_of(folder / "answers.jsonl")}
    (folder / "sample.jsonl").write_text("".join(json.dumps(by_name[name]) + "\n" for name in kept), "utf-8")
    took(folder, Look.AGENT, dict(zip(kept, (0.5, 1, 1, 1, 1, 1), strict=True)), Mode.MULTI_AGENT)
    took(folder, Look.CLOSED_BOOK, dict(zip(kept, (0.1, 0.95, 0.2, 1, 0.9, 0), strict=True)), Mode.CLOSED_BOOK)
    took(folder, Look.SINGLE_SEARCH, dict(zip(kept[:4], (0, 0.95, 0, 0), strict=True)), Mode.SINGLE_AGENT)
    sheet = await run_pipeline(asked(folder, stage=Stage.FILTER), watch(folder))
    assert sheet is not None
    return sheet, kept


async def test_what_a_look_objects_to_is_replaced_by_what_was_left_over(tmp_path: Path) -> None:
    sheet, sample = await looked(tmp_path)

    rejected = {line["instance_id"]: line["rejected"] for line in lines_of(tmp_path / "rejected.jsonl")}
    assert {name: rejected[name]["code"] for name in sample if name in rejected} == {
        sample[0]: "inconsistent",
        sample[1]: "solved_closed_book",
        sample[3]: "solved_closed_book",
    }
    assert (sheet.wide, sheet.questions, sheet.looked_at, sheet.looked_at_kept, sheet.sample) == (6, 6, 6, 3, 6)
    assert not set(sample[:2]) & {task.instance_id for task in read_instances(tmp_path / FILES[Kind.WIDE])}


async def test_rates_are_the_samples_and_the_sheet_says_so(tmp_path: Path) -> None:
    sheet, _ = await looked(tmp_path)
    looks = {look.name: look for look in sheet.looks}

    assert {name: (look.answered, look.drawn, look.objected) for name, look in looks.items()} == {
        "agent": (6, 6, 1),
        "closed_book": (6, 6, 2),
        "single_search": (4, 6, 1),
    }
    assert looks["closed_book"].share == pytest.approx(1 / 3, abs=1e-3)
    assert sum(of for of, _ in looks["agent"].groups.values()) == 6
    assert looks["single_search"].by == "m in mode single_agent, 3 turns"
    assert "6 of a sample of 6" in checked_sentence(sheet)
    assert "3 of them are in the set; the other 9 of its 12 instances passed the rules alone" in checked_sentence(sheet)
    text = (tmp_path / "datasheet.md").read_text("utf-8")
    assert "not the set's" in text
    assert "| single_search | m in mode single_agent, 3 turns | 4 of 6 | 1 | 0.250 |" in text


async def test_without_looks_the_sheet_says_that_nobody_looked(tmp_path: Path) -> None:
    sheet = await run_pipeline(asked(tmp_path), watch(tmp_path))

    assert sheet is not None
    assert (sheet.looks, sheet.sample, sheet.looked_at) == ((), 0, 0)
    assert checked_sentence(sheet).startswith("No model and no agent has looked at any of the 12 instances")
    assert await read_looks(tmp_path, CheckSettings()) == []


async def test_every_query_ends_in_exactly_one_file(tmp_path: Path) -> None:
    pages = [page("League", HEADER, CLUBS), page("Few", HEADER, CLUBS[:2])]

    sheet = await run_pipeline(asked(tmp_path, pages=pages, settings=settings(count=10)), watch(tmp_path))

    assert sheet is not None
    queries = [line["instance_id"] for line in lines_of(tmp_path / "queries.jsonl")]
    files = [*FILES.values(), "rejected.jsonl"]
    assert sorted(queries) == sorted(line["instance_id"] for name in files for line in lines_of(tmp_path / name))
    assert sheet.stages[0].rejected == 1
    assert sheet.sources["tables"] == 3
    assert sum(one.count for one in sheet.rejections) + sheet.surplus == sheet.files["rejected.jsonl"].instances
    assert [stage.passed for stage in sheet.stages[:2]] == [stage.seen for stage in sheet.stages[1:]]
    assert "size" in (tmp_path / "datasheet.md").read_text("utf-8")


async def test_a_sheet_is_made_again_from_the_files_byte_for_byte(tmp_path: Path) -> None:
    await looked(tmp_path)
    names = ("datasheet.md", "datasheet.json", "datasheet.html")
    before = [(tmp_path / name).read_bytes() for name in names]
    for name in names:
        (tmp_path / name).unlink()

    sheet = await write_sheet(tmp_path, watch(tmp_path))

    assert [(tmp_path / name).read_bytes() for name in names] == before
    assert PipelineSheet.model_validate_json(before[1]) == sheet
    assert before[2].count(b"<svg ") >= 12
    for one in sheet.histograms:
        assert len(one.edges) == len(one.counts) + 1
    assert {sum(one.counts) for one in sheet.histograms} == {6}


async def test_the_seed_decides_every_byte_and_the_hash_speaks_for_all_files(tmp_path: Path) -> None:
    sheets = []
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        one = asked(tmp_path / name, settings=settings(seed=seed))
        sheets.append(await run_pipeline(one, watch(tmp_path / name)))
    first, second, other = sheets

    assert first is not None
    assert other is not None
    assert first == second
    assert first.data_sha256 != other.data_sha256
    for name in [*first.files, "datasheet.md", "datasheet.html"]:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


async def test_a_stage_needs_the_one_before(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"queries\.jsonl: No such file"):
        await run_pipeline(asked(tmp_path, stage=Stage.ANSWERS), watch(tmp_path))
    assert await run_pipeline(asked(tmp_path, stage=Stage.QUERIES), watch(tmp_path)) is None
    with pytest.raises(InvalidRequest, match=r"answers\.jsonl: No such file"):
        await run_pipeline(asked(tmp_path, stage=Stage.FILTER), watch(tmp_path))
    with pytest.raises(InvalidRequest, match="has not come to its end"):
        await write_sheet(tmp_path, watch(tmp_path))
    assert await run_pipeline(asked(tmp_path, stage=Stage.ANSWERS), watch(tmp_path)) is None
    assert await run_pipeline(asked(tmp_path, stage=Stage.FILTER), watch(tmp_path)) is not None


def test_scores_are_counted_by_tenths_and_one_stands_alone() -> None:
    found = tenths((0.0, 0.05, 0.95, 1.0, 1.0))

    assert (found["0.0–0.1"], found["0.9–1.0"], found["1"]) == (2, 1, 2)
    assert sum(found.values()) == 5
