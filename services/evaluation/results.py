"""What an evaluation writes: one `Trial` a line in `results.jsonl`, a `Summary` in `summary.json`."""

from collections.abc import Mapping

from pydantic import Field

from wideseek.contracts import RunStatus
from wideseek.instances import Scores
from wideseek.trajectory import Usage
from wideseek.values import Frozen


class Cost(Frozen):
    """What one run took."""

    tokens: int = 0
    """Prompt and completion tokens of all agents."""
    model_calls: int = 0
    tool_calls: int = 0
    subagents: int = 0
    """Subtasks handed out."""
    waves: tuple[int, ...] = ()
    """Width of each `call_subagent` turn of the lead: subtasks handed out in it."""
    turns: Mapping[str, tuple[int, ...]] = Field(default_factory=dict)
    """Role -> turns of each of its agents."""
    wall_s: float = 0.0
    """From the first claim to the end."""
    work_s: float = 0.0
    """Seconds of all model and tool calls, added up."""
    critical_path_s: float = 0.0
    """Seconds of the longest chain of model and tool calls that had to wait for one another."""
    critical_path_calls: int = 0
    """Model calls on the longest such chain."""
    usd: float = 0.0
    """Tokens at the prices given."""
    energy_wh: float | None = None
    """An estimate, by the assumptions that the summary states; None when the policy's size is unknown."""
    usd_per_row: float | None = None
    """Cost per accepted row (a matched row whose cells are all right); None when there is none."""
    tokens_per_row: float | None = None


class AnswerScores(Frozen):
    """What an answer to a question scores."""

    em: float
    f1: float
    judged: float | None = None
    """1 when a judge accepts the answer; None without a judge."""
    given: str = ""
    """The answer as read from the response."""


class Trial(Frozen):
    """One task, answered once. A run that an outage ended is no trial and is asked again."""

    instance_id: str
    trial: int
    """From 0."""
    run_id: str
    status: RunStatus
    suite: str = ""
    group: str = ""
    """Difficulty of a wide task, kind of a question, else the suite."""
    model: str = ""
    """The lead's policy, as the cluster resolved it."""
    response_text: str
    """The lead's final text, verbatim; empty when it wrote none."""
    scores: Mapping[str, Scores] = Field(default_factory=dict)
    """`official` and `robust`; empty for questions."""
    answer: AnswerScores | None = None
    """Of a question."""
    columns: Mapping[str, float] = Field(default_factory=dict)
    """Column -> right cells over gold cells, robust mode."""
    problem: str = ""
    """Why the table scored 0 as a whole (`no table`, `columns differ: …`), robust mode."""
    rows_accepted: int | None = None
    """Matched rows whose cells are all right, robust mode; None for questions."""
    incomplete_reason: str | None = None
    evidence_recall: float | None = None
    """Gold documents that an agent of the run opened, over gold documents; None when the task names none."""
    format_failures: int = 0
    """Tool calls that could not be read or served because of how they were written."""
    usage: Mapping[str, Usage] = Field(default_factory=dict)
    """By role, and `total`."""
    seconds: float
    """From submit to end, as the client saw it."""
    cost: Cost = Cost()
    finished_at: float = 0.0
    """Unix seconds."""


class Metric(Frozen):
    """One metric over tasks and trials."""

    avg: float
    """Avg@N: mean over tasks of the mean over trials."""
    max: float
    """Max@N: mean over tasks of the best trial; of `success`, Pass@N."""
    ci95: tuple[float, float]
    """Bootstrap interval of `avg`, tasks resampled."""


class Group(Frozen):
    """Metrics of a set of trials."""

    tasks: int
    trials: int
    """Trials a task (N)."""
    item_f1: Metric | None = None
    row_f1: Metric | None = None
    success: Metric | None = None
    em: Metric | None = None
    f1: Metric | None = None
    judged: Metric | None = None
    cost: Mapping[str, float] = Field(default_factory=dict)
    """Means a trial: `tokens`, of each role too (`tokens_lead`), `wall_s`, `critical_path_s`, `subagents`, `usd`, …"""
    format_failures: float = 0.0
    evidence_recall: float | None = None


class Summary(Group):
    """`summary.json`: robust mode at the top, the official scorer's numbers beside them."""

    official: Group | None = None
    by: Mapping[str, Group] = Field(default_factory=dict)
    """Difficulty of wide tasks, kind of questions, else suite -> robust metrics."""
    setting: Mapping[str, str | int | float | None] = Field(default_factory=dict)
    """Mode, models, limits: all that a number depends on."""
    tasks_sha256: str = ""
    unfinished: Mapping[str, str] = Field(default_factory=dict)
    """`instance_id#trial` -> the outage that kept it from ending; such trials are in no mean."""
    assumptions: Mapping[str, float | str] = Field(default_factory=dict)
    """Prices and energy figures used."""
    sweep: Mapping[str, Group] = Field(default_factory=dict)
    """With `--sweep KEY=a,b`: `KEY=a` -> metrics of that setting."""
