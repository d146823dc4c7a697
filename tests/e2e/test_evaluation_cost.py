"""What real runs took, held against what the cluster itself says of them."""

import pytest

from services.evaluation.cost import Rates, measure
from services.evaluation.results import Cost
from tests.e2e.processes import Cluster
from wideseek.contracts import Mode, Run, RunStatus

QUERY = "For Ghana, Norway, Peru and Oman: capital and population (total number of people)."
RATES = Rates(usd_per_mtok_prompt=1, usd_per_mtok_completion=1, params_billion=1)


def worked(cluster: Cluster, mode: Mode) -> tuple[Run, Cost]:
    """A run in a mode, and its cost; whatever the mode, the events say what the run object says."""
    started = cluster.post({"query": QUERY, "columns": ["Country", "Capital", "Population"], "mode": mode.value})
    run = Run.model_validate(cluster.finished(started["id"], seconds=180))
    assert run.status is RunStatus.COMPLETED, (run.incomplete_reason, run.error)

    found = measure(cluster.events(run.id), run, rates=RATES, accepted_rows=4)

    total, cost = run.usage["total"], found.cost
    assert cost.tokens == total.prompt_tokens + total.completion_tokens
    assert (cost.model_calls, cost.tool_calls) == (total.model_calls, total.tool_calls)
    assert cost.model_calls == sum(map(sum, cost.turns.values()))
    assert found.opened == {source.url for source in run.sources}
    assert found.opened
    assert found.format_failures == 0
    assert cost.usd == pytest.approx(cost.tokens / 1e6)
    assert cost.tokens_per_row == cost.tokens / 4
    assert cost.energy_wh is not None
    assert cost.energy_wh > 0
    return run, cost


def test_the_critical_path_is_the_lead_and_its_slowest_subagents(whole: Cluster) -> None:
    run, cost = worked(whole, Mode.MULTI_AGENT)

    assert cost.subagents == sum(cost.waves) == run.progress.subagents.completed == len(cost.turns["subagent"]) > 1
    assert 0 < cost.critical_path_s < cost.work_s
    assert cost.critical_path_s <= cost.wall_s + 1e-6
    assert cost.critical_path_calls < cost.model_calls


def test_one_subagent_at_a_time_puts_all_work_on_the_critical_path(whole: Cluster) -> None:
    _, cost = worked(whole, Mode.SEQUENTIAL)

    assert cost.critical_path_calls == cost.model_calls
    assert 0 < cost.critical_path_s <= cost.wall_s + 1e-6
    assert cost.critical_path_s <= cost.work_s + 1e-6


def test_an_agent_alone_has_no_waves(whole: Cluster) -> None:
    _, cost = worked(whole, Mode.SINGLE_AGENT)

    assert (cost.subagents, cost.waves, set(cost.turns)) == (0, (), {"single"})
    assert cost.critical_path_calls == cost.model_calls
    assert 0 < cost.critical_path_s <= min(cost.wall_s, cost.work_s) + 1e-6
