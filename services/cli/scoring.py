"""What `wideseek score` does with its options: files validated, responses scored, lines written, means said."""

import asyncio
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from services.cli.console import CommandError, harmless, notes
from services.evaluation.files import Response, read_responses
from services.evaluation.journal import write_atomically
from services.evaluation.judges import compared_with_rules, open_judge
from services.evaluation.options import make_setting
from services.evaluation.score import Line, ScoreMode, Scorer, means, score_responses, unanswered
from services.kit.tasks import Loaded, load_tasks
from wideseek.errors import InvalidRequest
from wideseek.judging import AgreementJudge, NoJudge
from wideseek.metrics import ScoreOptions
from wideseek.ports import Judge
from wideseek.values import Frozen

_BAD_INPUT = 2
_NAMED = 10
"""Tasks without a response that are named one by one; the rest is a number."""

_Choice = TypeVar("_Choice", bound=StrEnum)


class ExtraColumns(StrEnum):
    """What columns nobody asked for do to a table in robust mode."""

    REFUSE = "refuse"
    IGNORE = "ignore"


class Asked(Frozen):
    """The options as they were given."""

    tasks: Path
    responses: Path
    mode: str
    judge: str
    judge_model: str | None
    gold: Path | None
    extra_columns: str
    out: Path | None


def run(asked: Asked) -> int:
    """Score, write, and say the means; the exit code.

    Raises CommandError for what has to be put right first, JudgeUnavailable when the judge is down. Nothing is
    written unless all input is valid and all of it is scored.
    """
    mode = _chosen(ScoreMode, asked.mode, "--mode")
    options = ScoreOptions(extra_columns=_chosen(ExtraColumns, asked.extra_columns, "--extra-columns").value)
    try:
        tasks = load_tasks(asked.tasks, gold=asked.gold, checks=mode.checks)
        responses = read_responses(asked.responses, [loaded.task for loaded in tasks])
        lines = asyncio.run(_scored(asked, mode, options, tasks, responses))
    except InvalidRequest as error:
        raise CommandError(str(error), exit_code=_BAD_INPUT) from error
    _write(lines, asked.out)
    _say(tasks, responses, lines, notes())
    return _BAD_INPUT if all("rejected" in line for line in lines) else 0


def _chosen(kind: type[_Choice], name: str, option: str) -> _Choice:
    try:
        return kind(name)
    except ValueError as error:
        known = ", ".join(kind)
        raise CommandError(f"{option} {name!r}: expected one of {known}", exit_code=_BAD_INPUT) from error


async def _scored(
    asked: Asked, mode: ScoreMode, options: ScoreOptions, tasks: Sequence[Loaded], responses: Sequence[Response]
) -> list[Line]:
    console = notes()
    async with open_judge(make_setting({"judge": asked.judge, "judge_model": asked.judge_model})) as judge:
        compared = compared_with_rules(judge)
        scorer = _scorer(mode, compared or judge, options)
        with _bar(len(responses), console) as advance:
            lines = await score_responses(tasks, responses, scorer, advance)
    if compared is not None:
        _say_agreement(compared, console)
    return lines


def _scorer(mode: ScoreMode, judge: Judge, options: ScoreOptions) -> Scorer:
    return Scorer(mode, judge, None if isinstance(judge, NoJudge) else judge, options)


@contextmanager
def _bar(total: int, console: Console) -> Iterator[Callable[[], None]]:
    """A bar on a terminal, nothing elsewhere."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("Scoring", total=total)
        yield lambda: progress.advance(bar)


def _write(lines: Sequence[Line], out: Path | None) -> None:
    text = "\n".join(json.dumps(line) for line in lines)
    if out is None:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
        return
    try:
        write_atomically(out, text)
    except OSError as error:
        raise CommandError(f"--out {out}: {error.strerror or error}", exit_code=_BAD_INPUT) from error


def _say(tasks: Sequence[Loaded], responses: Sequence[Response], lines: Sequence[Line], console: Console) -> None:
    """The means, and everything that is not in them."""

    def say(text: str) -> None:
        console.print(harmless(text), markup=False, soft_wrap=True)

    for loaded in tasks:
        for note in (*loaded.notes, *([f"{loaded.rejected} (rejected)"] if loaded.rejected else [])):
            say(note)
    missing = unanswered(tasks, responses)
    if missing:
        more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        say(f"{len(missing)} of {len(tasks)} tasks have no response: {', '.join(missing[:_NAMED])}{more}")
    say(means(lines))


def _say_agreement(judge: AgreementJudge, console: Console) -> None:
    """How far the judge and the rules of the deterministic one agree."""
    agreement = judge.agreement()
    if not agreement.asked:
        console.print("the judge was asked nothing", soft_wrap=True)
        return
    parts = []
    for group in agreement.verdicts:
        what = f"{group.kind} of {group.column}" if group.column else group.kind
        parts.append(f"{what} {group.equal}/{group.asked} (kappa {group.kappa:.2f})")
    share = f"{agreement.share:.1%} of {agreement.asked} verdicts"
    said = f"the judge agrees with the deterministic one in {share}: {'; '.join(parts)}"
    console.print(harmless(said), markup=False, soft_wrap=True)
