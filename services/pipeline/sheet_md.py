"""The datasheet as a document, and in the words that its page uses too."""

from collections.abc import Iterator, Mapping

from services.pipeline.looks import LookSheet
from services.pipeline.sheet import Histogram, PipelineSheet

_BAR = 40
"""Blocks of the longest bar."""
_MOST_VALUES = 15


def render_md(sheet: PipelineSheet) -> str:
    """The document; the same datasheet gives the same text."""
    parts = (_head(sheet), _stages(sheet), _sample(sheet), _counts(sheet), _histograms(sheet), _files(sheet))
    return "\n".join(line for part in parts for line in part).rstrip() + "\n"


def checked_sentence(sheet: PipelineSheet) -> str:
    """What of the set models or agents have looked at, and what they have not."""
    total = sheet.wide + sheet.questions
    if not sheet.looked_at:
        return (
            f"No model and no agent has looked at any of the {total:,} instances: they passed the rules, and how an "
            "agent answers them is not known."
        )
    return (
        f"Models or agents answered {sheet.looked_at:,} of a sample of {sheet.sample:,} instances, drawn by the seed "
        f"from those that the rules kept. {sheet.looked_at_kept:,} of them are in the set; the other "
        f"{total - sheet.looked_at_kept:,} of its {total:,} instances passed the rules alone. The rates below are the "
        "sample's, not the set's."
    )


def _head(sheet: PipelineSheet) -> Iterator[str]:
    yield "# Datasheet of the training set"
    yield ""
    yield (
        f"{sheet.wide:,} wide tasks and {sheet.questions:,} questions, one to one, made by `wideseek data pipeline` "
        f"with seed {sheet.seed}; data hash `{sheet.data_sha256}`. `wideseek data datasheet` makes this sheet again "
        "from the files."
    )
    yield ""
    yield checked_sentence(sheet)
    yield ""
    yield f"The rules object {sheet.findings:,} times to the files as they stand."
    yield ""


def _stages(sheet: PipelineSheet) -> Iterator[str]:
    yield "## Stages"
    yield ""
    yield "| stage | seen | rejected | passed |"
    yield "| --- | ---: | ---: | ---: |"
    for stage in sheet.stages:
        yield f"| {stage.name} | {stage.seen:,} | {stage.rejected:,} | {stage.passed:,} |"
    yield ""
    yield f"Of what passed, {sheet.surplus:,} were not needed for as many of each kind."
    for name, values in (("Sources", sheet.sources), ("Words", sheet.wording)):
        yield f"{name}: {', '.join(f'{value} {count:,}' for value, count in values.items())}."
    against = ", ".join(f"`{name}` (SHA-256 `{digest[:12]}…`)" for name, digest in sheet.checks.against.items())
    yield f"Held out: {against or 'no file was named; reserved regions, columns and sets are kept out by rule'}."
    yield ""
    yield "## Rejections"
    yield ""
    if not sheet.rejections:
        yield "None."
        yield ""
        return
    yield "| stage | check | code | instances | for example |"
    yield "| --- | --- | --- | ---: | --- |"
    for one in sheet.rejections:
        example = one.example.replace("|", "\\|").replace("\n", " ")
        yield f"| {one.stage} | {one.check} | `{one.code}` | {one.count:,} | {example} |"
    yield ""


def _sample(sheet: PipelineSheet) -> Iterator[str]:
    if not sheet.looks:
        return
    yield "## Looks at the sample"
    yield ""
    yield (
        f"Two answers agree from F1 {sheet.checks.consistent} on; a wide task is solved from item F1 "
        f"{sheet.checks.solved} on, a question by exact match. Intervals are Wilson's, 95 %."
    )
    yield ""
    yield "| look | by | answered | objected | share | interval | by group (objected of answered) |"
    yield "| --- | --- | ---: | ---: | ---: | --- | --- |"
    for look in sheet.looks:
        yield _look(look)
    yield ""


def _look(look: LookSheet) -> str:
    groups = ", ".join(f"{name} {hits} of {of}" for name, (of, hits) in look.groups.items())
    interval = f"{look.ci95[0]:.3f} to {look.ci95[1]:.3f}"
    counts = f"{look.answered:,} of {look.drawn:,} | {look.objected:,} | {look.share:.3f}"
    return f"| {look.name} | {look.by} | {counts} | {interval} | {groups} |"


def _counts(sheet: PipelineSheet) -> Iterator[str]:
    yield "## Counts"
    yield ""
    yield "An instance counts once for every region, family, column and field that occurs in it."
    yield ""
    yield "```"
    for name, values in sheet.counts.items():
        yield name
        yield from _bars(dict(list(values.items())[:_MOST_VALUES]))
        if len(values) > _MOST_VALUES:
            yield f"  ({len(values) - _MOST_VALUES} more)"
    yield "```"
    yield ""


def _histograms(sheet: PipelineSheet) -> Iterator[str]:
    yield "## Lengths"
    yield ""
    yield "```"
    for one in sheet.histograms:
        yield f"{one.name} (median {one.median:g}, mean {one.mean:g})"
        yield from _bars(bins(one))
    yield "```"
    yield ""
    if sheet.looks:
        yield "## Difficulty, as F1 of the answers"
        yield ""
        yield "```"
        for look in sheet.looks:
            yield look.name
            yield from _bars(tenths(look.scores))
        yield "```"
        yield ""


def bins(one: Histogram) -> dict[str, int]:
    """Range of a bin in words -> instances in it."""
    spans = zip(one.edges, one.edges[1:], strict=False)
    names = [str(low) if high - low == 1 else f"{low}–{high - 1}" for low, high in spans]
    return dict(zip(names, one.counts, strict=True))


def tenths(scores: tuple[float, ...]) -> dict[str, int]:
    """F1 in steps of a tenth -> answers; 1 stands alone, since it is what is asked for."""
    found = {f"{place / 10:.1f}–{(place + 1) / 10:.1f}": 0 for place in range(10)} | {"1": 0}
    names = list(found)
    for score in scores:
        found[names[min(10, int(score * 10))]] += 1
    return found


def _bars(values: Mapping[str, int]) -> Iterator[str]:
    longest, widest = max(values.values(), default=1), max(map(len, values), default=0)
    for name, count in values.items():
        bar = "█" * max(1 if count else 0, round(_BAR * count / max(1, longest)))
        yield f"  {name:<{widest}}  {count:>6,} {bar}".rstrip()


def _files(sheet: PipelineSheet) -> Iterator[str]:
    yield "## Files"
    yield ""
    yield "| file | instances | bytes | SHA-256 |"
    yield "| --- | ---: | ---: | --- |"
    for name, file in sheet.files.items():
        yield f"| `{name}` | {file.instances:,} | {file.size:,} | `{file.sha256}` |"
    yield ""
