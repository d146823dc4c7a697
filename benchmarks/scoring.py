"""How many table pairs a second the robust scorer takes with the deterministic judge: 20 rows of 5 cells, one core.

Run as `python -m benchmarks.scoring`. Every pair is another table: the answer has its rows shuffled and its columns
turned, some keys in another spelling (aligned by the judge), some wrong or missing cells, a duplicate and an invented
row. Times are CPU seconds of this process (`time.process_time`), so that what else the machine does does not count;
the median of the repeats is reported. Goal: 200 pairs a second.
"""

import argparse
import asyncio
import json
import random
import statistics
import sys
import time
from typing import Any

from wideseek.instances import WideTask
from wideseek.judging import DeterministicJudge
from wideseek.metrics import score_robust
from wideseek.tables import Table, render_markdown

GOAL = 200
ROWS = 20
COLUMNS = ("Name", "Capital", "Area km2", "Founded", "Website")
PLAIN = {"metric": ["exact_match"], "preprocess": ["norm_str"]}
RULES: dict[str, dict[str, Any]] = {
    "name": PLAIN,
    "capital": PLAIN,
    "areakm2": {"metric": ["number_near"], "preprocess": ["extract_number"], "criterion": 0.05},
    "founded": {"metric": ["date_near"], "preprocess": []},
    "website": {"metric": ["url_match"], "preprocess": []},
}
JUDGED = {"metric": ["llm_judge"], "preprocess": ["norm_str"], "criterion": "same meaning"}
_SYLLABLES = ("ba", "co", "dúl", "es", "fen", "gor", "hul", "il", "jö", "kre", "lum", "nar", "olu", "pel", "qua", "ros")


def pair(number: int, *, judged: bool) -> tuple[WideTask, str]:
    """A task and an answer, the same for the same number."""
    dice = random.Random(number)
    rows = [_row(dice, place) for place in range(ROWS)]
    rules = RULES | ({"capital": JUDGED, "founded": JUDGED} if judged else {})
    evaluation = {"required": list(RULES), "unique_columns": ["name"], "eval_pipeline": rules}
    gold = render_markdown(Table(columns=COLUMNS, rows=tuple(rows)))
    aliases = {"name": {row[0]: (f"Republic of {row[0]}",) for row in rows}}
    task = WideTask.model_validate(
        {"instance_id": str(number), "evaluation": evaluation, "answer": gold, "aliases": aliases}
    )
    return task, f"Here is the table.\n\n```markdown\n{_answer(dice, rows)}\n```"


def _row(dice: random.Random, place: int) -> tuple[str, ...]:
    name = "".join(dice.choices(_SYLLABLES, k=3)).title() + f" {chr(65 + place)}"
    day = f"{dice.randrange(1700, 2020)}-{dice.randrange(1, 13):02d}-{dice.randrange(1, 29):02d}"
    site = f"https://www.{''.join(dice.choices('abcdefgh', k=6))}.org/about"
    return name, "".join(dice.choices(_SYLLABLES, k=3)).title(), str(dice.randrange(1_000, 9_999_999)), day, site


def _answer(dice: random.Random, rows: list[tuple[str, ...]]) -> str:
    told = [list(row) for row in dice.sample(rows, ROWS)]
    for row in told[:5]:
        row[0] = f"Republic of {row[0]}"
    for row in told[5:8]:
        row[0] = row[0].upper().replace("Ú", "U")
    for row in told[8:12]:
        row[dice.randrange(1, len(COLUMNS))] = dice.choice(["", "n/a", "unknown", "17"])
    for row in told[::3]:
        row[2] = f"{int(row[2]):,} km²" if row[2].isdigit() else row[2]
    told += [list(told[0]), ["Ruritania", "Strelsau", "1", "1894", "-"]]
    order = dice.sample(range(len(COLUMNS)), len(COLUMNS))
    turned = tuple(tuple(row[place] for place in order) for row in told)
    return render_markdown(Table(columns=tuple(COLUMNS[place] for place in order), rows=turned))


async def measured(pairs: list[tuple[WideTask, str]]) -> float:
    """Pairs a CPU second of one pass."""
    judge = DeterministicJudge()
    started = time.process_time()
    for task, answer in pairs:
        await score_robust(answer, task, judge)
    return len(pairs) / (time.process_time() - started)


async def main() -> int:
    """Print one JSON line a setting; 1 when the goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=300)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    reached = True
    for judged in (False, True):
        sizes = range(arguments.pairs)
        passes = [
            await measured([pair(repeat * arguments.pairs + number, judged=judged) for number in sizes])
            for repeat in range(arguments.repeats)
        ]
        median = statistics.median(passes)
        reached = reached and median >= GOAL
        result = {
            "rows": ROWS,
            "columns": len(COLUMNS),
            "llm_judge_columns": 2 if judged else 0,
            "pairs_per_s": round(median, 1),
            "of_goal": round(median / GOAL, 2),
            "passes": [round(value, 1) for value in passes],
        }
        print(json.dumps(result))
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
