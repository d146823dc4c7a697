"""The turn loop, told through `Agent.run` with a scripted policy."""

import asyncio
import json

import pytest

from tests.fakes import EchoSubagents, PagesInMemory, Purse, ScriptedModel, page
from wideseek import agents
from wideseek.agent import Agent, Recorded
from wideseek.delegation import DelegationTools
from wideseek.errors import ModelUnavailable
from wideseek.events import AgentEvent, ToolCompleted, TurnCompleted
from wideseek.messages import Completion
from wideseek.retrieval_tools import RetrievalTools
from wideseek.trajectory import StopReason

MALI = page("made:mali", "Mali", "Capital: Bamako\nPopulation: 22,634,423")


def call(name: str, **arguments: object) -> str:
    return f"<tool_call>{json.dumps({'name': name, 'arguments': arguments})}</tool_call>"


def delegate(*prompts: str) -> str:
    return call("call_subagent", subtasks=[{"prompt": prompt} for prompt in prompts])


class Facts(list[AgentEvent]):
    async def emit(self, event: AgentEvent) -> None:
        self.append(event)


def lead_of(model: ScriptedModel, *, facts: Facts | None = None, purse: Purse | None = None, **limits: int) -> Agent:
    spec = agents.lead(max_turns=limits.get("max_turns", 5), max_width=limits.get("max_width", 3))
    tools = DelegationTools("ws_1", EchoSubagents(), model, limits.get("max_width", 3))
    emit = (facts if facts is not None else Facts()).emit
    return Agent(spec=spec, model=model, tools=tools, budget=purse or Purse(), emit=emit)


def subagent_of(model: ScriptedModel, task: str = "Capital of Mali?", *, purse: Purse | None = None) -> Agent:
    tools = RetrievalTools(PagesInMemory([MALI]), model, purse or Purse(), task=task)
    return Agent(
        spec=agents.subagent(), model=model, tools=tools, budget=purse or Purse(), emit=Facts().emit, agent_id="s1"
    )


async def test_an_agent_that_calls_nothing_has_answered() -> None:
    trajectory = await lead_of(ScriptedModel(["| A |\n| --- |\n| 1 |"])).run("What?")

    assert trajectory.stop_reason is StopReason.ANSWERED
    assert trajectory.final_text.startswith("| A |")


async def test_reports_come_back_in_order_under_their_prompts() -> None:
    model = ScriptedModel([delegate("one", "two"), "done"])

    trajectory = await lead_of(model).run("What?")

    content = trajectory.turns[0].results[0].content
    assert content.index("## Subtask 1\none\n## Result 1 (answered)\ndone: one") < content.index("## Subtask 2\ntwo")
    assert content in model.asked[1]


async def test_every_call_of_a_turn_is_served() -> None:
    model = ScriptedModel([delegate("one") + "\n" + delegate("two"), "done"])

    trajectory = await lead_of(model).run("What?")

    assert [result.call is not None for result in trajectory.turns[0].results] == [True, True]
    assert len({*trajectory.turns[0].results[0].subtask_ids, *trajectory.turns[0].results[1].subtask_ids}) == 2


async def test_of_a_call_that_loops_what_was_said_before_is_served() -> None:
    said = delegate("one").partition("]")[0]
    loop = Completion(text=f'{said}, {{"prom', finish_reason="repetition", model_name="scripted")
    model = ScriptedModel([loop, "done"])

    trajectory = await lead_of(model).run("What?")

    assert trajectory.stop_reason is StopReason.ANSWERED
    assert len(trajectory.turns[0].results[0].subtask_ids) == 1
    assert "done: one" in trajectory.turns[0].results[0].content


async def test_a_malformed_call_goes_back_to_the_policy() -> None:
    model = ScriptedModel(["<tool_call>{not json</tool_call>", "sorry; 42"])

    trajectory = await lead_of(model).run("What?")

    assert trajectory.turns[0].results[0].failed
    assert "not valid JSON" in model.asked[1]
    assert trajectory.stop_reason is StopReason.ANSWERED


@pytest.mark.parametrize("finish_reason", ["stop", "repetition"])
async def test_a_turn_that_ends_within_its_thought_is_no_answer(finish_reason: str) -> None:
    unfinished = Completion(text="<think>\nMali yes; Chad", finish_reason=finish_reason, model_name="scripted")
    model = ScriptedModel([unfinished, delegate("Mali"), "done"])

    trajectory = await lead_of(model).run("What?")

    assert [len(turn.results) for turn in trajectory.turns] == [1, 1, 0]
    assert trajectory.turns[0].results[0].failed
    assert "ended within its thought; end the thought, then call a tool" in model.asked[1]
    assert trajectory.final_text == "done"


async def test_thoughts_without_end_use_up_the_repairs() -> None:
    model = ScriptedModel(["<think>Mali", "<think>Mali", "<think>Mali"])

    trajectory = await lead_of(model, max_turns=9).run("What?")

    assert model.finals == [False, False, True]
    assert trajectory.stop_reason is StopReason.ANSWERED


async def test_an_unknown_tool_is_answered_with_the_known_ones() -> None:
    model = ScriptedModel([call("browse", url="x"), "done"])

    await lead_of(model).run("What?")

    assert "There is no tool 'browse'. Tools: call_subagent." in model.asked[1]


async def test_repairs_end_with_a_last_turn_without_tools() -> None:
    broken = "<tool_call>oops</tool_call>"
    model = ScriptedModel([broken, broken, broken])

    trajectory = await lead_of(model, max_turns=9).run("What?")

    assert model.finals == [False, False, True]
    assert trajectory.stop_reason is StopReason.CONTEXT_LIMIT or trajectory.stop_reason is StopReason.TURN_LIMIT
    assert "Write the final answer now" in model.asked[2]


async def test_what_is_over_the_width_is_told_not_cut() -> None:
    model = ScriptedModel([delegate("a", "b", "c", "d"), "done"])

    await lead_of(model, max_width=3).run("What?")

    assert "Did not run: d (the limit is 3 subtasks a call; ask again)" in model.asked[1]


async def test_the_last_turn_withholds_tools_and_a_call_in_it_is_not_served() -> None:
    model = ScriptedModel([delegate("a"), delegate("b")])

    trajectory = await lead_of(model, max_turns=2).run("What?")

    assert trajectory.stop_reason is StopReason.TURN_LIMIT
    assert trajectory.turns[1].results == ()
    assert "This is your last turn" in model.asked[1]


async def test_a_full_context_brings_the_last_turn_forward() -> None:
    facts = "x" * 40
    model = ScriptedModel([delegate(*[facts] * 3), delegate(*[facts] * 3), "done"], max_model_len=3_400)

    trajectory = await lead_of(model, max_turns=9).run("What?")

    assert True in model.finals
    assert all(len(prompt) < 3_400 for prompt in model.asked)
    assert trajectory.turns[-1].results == ()


async def test_a_truncated_completion_is_a_context_limit_not_an_answer() -> None:
    model = ScriptedModel(["never ending " * 1_000], max_model_len=6_000)

    trajectory = await lead_of(model).run("What?")

    assert trajectory.stop_reason is StopReason.CONTEXT_LIMIT


async def test_a_spent_purse_is_an_outcome() -> None:
    purse = Purse(tokens=14_000)
    model = ScriptedModel([delegate("a"), delegate("b"), "done"], max_model_len=20_000)

    trajectory = await lead_of(model, purse=purse).run("What?" + "?" * 2_500)

    assert trajectory.stop_reason is StopReason.BUDGET
    assert trajectory.turns


async def test_what_was_reserved_and_not_sampled_is_given_back() -> None:
    purse = Purse(tokens=50_000)
    model = ScriptedModel(["done"])

    trajectory = await lead_of(model, purse=purse).run("What?")

    assert purse.tokens == 50_000 - trajectory.usage.prompt_tokens - trajectory.usage.completion_tokens


async def test_a_deadline_keeps_the_turns_taken() -> None:
    class Slow(ScriptedModel):
        async def complete(self, *args: object, **options: object) -> Completion:
            if self.asked:
                await asyncio.Event().wait()
            return await super().complete(*args, **options)  # type: ignore[arg-type]

    trajectory = await lead_of(Slow([delegate("a"), "never"])).run("What?", max_seconds=0.2)

    assert trajectory.stop_reason is StopReason.DEADLINE
    assert len(trajectory.turns) == 1


async def test_an_outage_is_raised_not_answered() -> None:
    with pytest.raises(ModelUnavailable):
        await lead_of(ScriptedModel([delegate("a"), ModelUnavailable("down")])).run("What?")


async def test_recorded_facts_are_walked_through_without_asking_again() -> None:
    facts = Facts()
    first = await lead_of(ScriptedModel([delegate("a"), delegate("b"), "done"]), facts=facts).run("What?")
    known = Recorded(
        completions={event.turn: event.completion for event in facts if isinstance(event, TurnCompleted)},
        results={(event.turn, event.index): event.result for event in facts if isinstance(event, ToolCompleted)},
    )
    again = ScriptedModel([])

    second = await lead_of(again).run("What?", recorded=known)

    assert second == first
    assert again.asked == []


async def test_a_run_goes_on_behind_what_is_recorded() -> None:
    known = Recorded(completions={1: Completion(text=delegate("a"))})
    model = ScriptedModel(["done"])

    trajectory = await lead_of(model).run("What?", recorded=known)

    assert len(trajectory.turns) == 2
    assert "done: a" in model.asked[0]


async def test_a_subagent_searches_then_reads_and_sources_say_where_the_text_stands() -> None:
    model = ScriptedModel(
        [
            call("search", queries=[{"query": "Mali"}]),
            call("access", urls=[{"url": "made:mali", "info_to_extract": "capital"}]),
            "Bamako",
        ]
    )

    trajectory = await subagent_of(model).run("Capital of Mali?")

    hit, read = trajectory.turns[0].results[0], trajectory.turns[1].results[0]
    assert "[Doc 1] Mali (made:mali)" in hit.content
    source = read.sources[0]
    assert MALI.text[source.start : source.end] in read.content
    assert source.content_sha256 == MALI.content_sha256


async def test_a_url_nobody_showed_is_answered_not_opened() -> None:
    model = ScriptedModel([call("access", urls=[{"url": "made:mali", "info_to_extract": "capital"}]), "done"])

    trajectory = await subagent_of(model).run("Capital of Mali?")

    assert trajectory.turns[0].results[0].failed
    assert "search first" in model.asked[1]


async def test_a_url_of_the_task_may_be_opened() -> None:
    task = "Read made:mali and tell the capital."
    model = ScriptedModel([call("access", urls=["made:mali"]), "done"])

    trajectory = await subagent_of(model, task).run(task)

    assert "Bamako" in trajectory.turns[0].results[0].content


async def test_the_reference_takes_the_first_call_only_and_a_broken_one_for_the_answer() -> None:
    model = ScriptedModel(["<tool_call>{oops</tool_call>"])
    agent = lead_of(model)
    compat = Agent(agents.reference_compat(agent.spec), model, agent.tools, Purse(), Facts().emit)

    trajectory = await compat.run("What?")

    assert trajectory.stop_reason is StopReason.ANSWERED
    assert len(trajectory.turns) == 1
