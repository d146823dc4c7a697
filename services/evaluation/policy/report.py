"""`README.md` and its plots, from the files of evaluations and of training; the same files give the same bytes."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from services.evaluation.journal import write_atomically
from services.evaluation.policy import charts, scores, settings
from services.evaluation.policy.arms import read_arms
from services.evaluation.policy.charts import Chart
from services.evaluation.policy.columns import Trained, accuracy, columns_of
from services.evaluation.policy.markdown import MISSING
from services.evaluation.policy.parts import Report
from services.evaluation.policy.training import read_stages

NAME, PLOTS = "README.md", "plots"

SECTIONS: Mapping[str, tuple[str, Callable[[Report], str]]] = {
    "headline": ("Headline", scores.headline),
    "targets": ("Targets", scores.targets),
    "paired": ("Paired comparisons", scores.paired_section),
    "columns": ("Columns", scores.columns),
    "ablation": ("One agent, other budgets, other engines", settings.ablations),
    "width": ("Width", settings.width),
    "domains": ("In and out of domain", settings.domains),
    "learning": ("Learning curves", settings.learning),
    "cost": ("Cost of a task", settings.cost),
    "provenance": ("What was measured", settings.provenance),
}
"""Section -> heading and content, in the order of the report."""

_METHOD = """Numbers are means over tasks of the mean over seeds, by the robust scorer
([how](%s)); brackets are 95 %% bootstrap intervals, tasks resampled with all their seeds. A paired difference takes the
same tasks of two arms and resamples them together. *Valid tool calls* are calls that could be read and served, over all
calls. A run that an outage ended is asked again and is no score; a task of which a run is missing is in no mean."""


def read_report(results: Path, training: Path, trained: Trained) -> Report:
    """What there is to report. `trained` says of each column whether training tasks may ask for it.

    Raises `InvalidRequest` naming the file and key, or the line, that cannot be read.
    """
    described, arms = read_arms(results)
    return Report(described, arms, read_stages(training, described.training), trained)


def write_report(report: Report, out: Path, *, method: str) -> list[Path]:
    """Write the page and its plots below `out`; plots that are no longer made are removed. The files written.

    `method` is the link to where the scorer is explained, seen from `out`.
    """
    drawn = plots_of(report)
    folder = out / PLOTS
    folder.mkdir(parents=True, exist_ok=True)
    files = {folder / chart.file: chart.svg for some in drawn.values() for chart in some}
    files[out / NAME] = render(report, drawn, method=method)
    for stale in sorted(set(folder.glob("*.svg")) - files.keys()):
        stale.unlink()
    for path, text in files.items():
        write_atomically(path, text.rstrip("\n"))
    return list(files)


def plots_of(report: Report) -> dict[str, list[Chart]]:
    """Section -> its plots."""
    headline = report.group("headline")
    return {
        "headline": list(charts.headline_charts(headline)),
        "columns": list(_column_charts(report)),
        "width": list(charts.width_charts(report.group("width"))),
        "learning": [chart for stage in report.stages for chart in charts.stage_charts(stage)],
        "cost": list(charts.cost_charts(headline)),
    }


def _column_charts(report: Report) -> Sequence[Chart]:
    """Of the last headline arm that was measured and is no reference, or there would be nothing to see."""
    trained = [arm for arm in report.group("headline") if arm.trials and not arm.spec.reference]
    if not trained:
        return ()
    arm = trained[-1]
    found = {
        f"{name} ({'held out' if report.trained.get(name) is False else 'in training'})": value
        for name in columns_of([arm])
        if (value := accuracy(arm, name))
    }
    return list(charts.column_charts(found, arm.title))


def render(report: Report, drawn: Mapping[str, Sequence[Chart]], *, method: str) -> str:
    """The page as markdown."""
    described = report.described
    missing = [arm.title for arm in report.arms if not arm.trials]
    missing += [f"training of {stage.title}" for stage in report.stages if not stage.steps]
    absent = f"{MISSING.capitalize()} so far: {'; '.join(missing)}." if missing else ""
    opening = [f"# {described.title}", described.introduction.strip(), _METHOD % method, absent]
    sections = [_section(report, name, drawn.get(name, ())) for name in SECTIONS]
    return "\n\n".join(part for part in (*opening, *sections) if part) + "\n"


def _section(report: Report, name: str, drawn: Sequence[Chart]) -> str:
    """A section with its plots and the note that `arms.toml` has for it."""
    heading, content = SECTIONS[name]
    plots = [f"![{chart.title}]({PLOTS}/{chart.file})" for chart in drawn]
    body = [content(report) or f"{MISSING.capitalize()}.", *plots, report.described.notes.get(name, "").strip()]
    return "\n\n".join([f"## {heading}", *(part for part in body if part)])
