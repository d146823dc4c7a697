"""A judge over HTTP, against a real little server that says what a test scripts."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.servers import free_port, wait_until
from wideseek.clients.judge import LlmJudge, judge_http
from wideseek.clients.judge_cache import FileCache
from wideseek.errors import ContractViolation, JudgeUnavailable
from wideseek.instances import WideTask
from wideseek.metrics import score_robust
from wideseek.ports import Alignment, AnswerPair, ColumnPairs

COUNTRIES = Alignment(column="country", found=("French Republic", "Atlantis"), wanted=("France", "Peru"))
CELLS = ColumnPairs(column="capital", criterion="same city", pairs=(("Paris", "Paris"), ("Lyma", "Lima"), ("x", "y")))
ANSWER = AnswerPair(question="Capital of Peru?", given="Lima, Peru", accepted=("Lima",))


@dataclass
class Script:
    """What the server answers, one reply a request, the last one for ever; a number is a status without a body."""

    replies: list[str | int | bytes]
    asked: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0
    gate: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def prompts(self) -> list[str]:
        return [body["messages"][0]["content"] for body in self.asked]


class _Handler(BaseHTTPRequestHandler):
    script: Script

    def do_POST(self) -> None:
        script = self.script
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with script.lock:
            reply = script.replies[min(len(script.asked), len(script.replies) - 1)]
            script.asked.append(body)
            script.keys.append(self.headers["Authorization"])
            script.at_once += 1
            script.most_at_once = max(script.most_at_once, script.at_once)
        script.gate.wait(5)
        self._answer(reply)
        with script.lock:
            script.at_once -= 1

    def _answer(self, reply: str | int | bytes) -> None:
        content = (
            reply if isinstance(reply, bytes) else json.dumps({"choices": [{"message": {"content": reply}}]}).encode()
        )
        self.send_response(reply if isinstance(reply, int) else 200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


Serve = Callable[..., tuple[str, Script]]


@contextmanager
def served(script: Script) -> Iterator[str]:
    handler = type("Handler", (_Handler,), {"script": script})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts a server for some replies; gives its address and what it saw."""
    open_servers = []

    def start(*replies: str | int | bytes, held: bool = False) -> tuple[str, Script]:
        script = Script(list(replies))
        if not held:
            script.gate.set()
        server = served(script)
        url = server.__enter__()
        open_servers.append((server, script))
        return url, script

    yield start
    for server, script in open_servers:
        script.gate.set()
        server.__exit__(None, None, None)


def block(value: Any) -> str:
    return f"Here you are.\n```json\n{json.dumps(value)}\n```"


async def test_names_that_were_not_asked_about_are_dropped(serve: Serve) -> None:
    url, _ = serve(block({"French Republic": "France", "Atlantis": "Zenda", "Gaul": "Peru", "Peru": None}))

    async with judge_http(url) as http:
        told = await LlmJudge(http, "judge").align(COUNTRIES)

    assert told == {"French Republic": "France"}


async def test_scores_are_clamped_whatever_form_they_have(serve: Serve) -> None:
    url, _ = serve('<think>{"idx_0": 0}</think> {"idx_0": 5, "idx_1": {"score": "0"}, "idx_2": -3}')

    async with judge_http(url) as http:
        scores = await LlmJudge(http, "judge").judge_column(CELLS)

    assert scores == [1.0, 0.0, 0.0]


async def test_of_several_blocks_the_last_one_counts(serve: Serve) -> None:
    url, _ = serve(block({"correct": False}) + block({"correct": "yes"}))

    async with judge_http(url) as http:
        assert await LlmJudge(http, "judge").judge_answer(ANSWER)


async def test_it_is_asked_at_temperature_zero_with_key_model_and_criterion(serve: Serve) -> None:
    url, script = serve(block({"idx_0": 1, "idx_1": 1, "idx_2": 1}))

    async with judge_http(f"{url}/v1/", api_key="secret") as http:
        await LlmJudge(http, "some-model").judge_column(CELLS)

    assert script.keys == ["Bearer secret"]
    assert (script.asked[0]["temperature"], script.asked[0]["model"]) == (0, "some-model")
    assert "same city" in script.prompts[0]
    assert '"response": "Lyma"' in script.prompts[0]


async def test_aliases_are_told_to_the_model(serve: Serve) -> None:
    url, script = serve(block({}), block({"idx_0": 1}))
    aliases = {"Peru": ("Republic of Peru",)}

    async with judge_http(url) as http:
        await LlmJudge(http, "judge").align(COUNTRIES.model_copy(update={"aliases": aliases}))
        await LlmJudge(http, "judge").judge_column(
            ColumnPairs(column="country", pairs=(("Perú", "Peru"),), aliases=aliases)
        )

    assert all("Republic of Peru" in prompt for prompt in script.prompts)


async def test_a_cell_left_out_is_asked_again_alone(serve: Serve) -> None:
    url, script = serve(block({"idx_0": 1, "idx_2": 1}), block({"idx_1": 1}))

    async with judge_http(url) as http:
        scores = await LlmJudge(http, "judge").judge_column(CELLS)

    assert scores == [1.0, 1.0, 1.0]
    assert "Lyma" in script.prompts[1]
    assert "Paris" not in script.prompts[1]


async def test_a_cell_left_out_for_ever_is_an_outage_and_not_kept(serve: Serve) -> None:
    url, script = serve(*[block({"idx_0": 1})] * 3, block({"idx_0": 1, "idx_1": 0, "idx_2": 1}))

    async with judge_http(url) as http:
        judge = LlmJudge(http, "judge")
        with pytest.raises(JudgeUnavailable, match="left out 2 cells of 'capital'"):
            await judge.judge_column(CELLS)
        scores = await judge.judge_column(CELLS)

    assert scores == [1.0, 0.0, 1.0]
    assert len(script.asked) == 4


@pytest.mark.parametrize("garbage", ["no idea", "", "[1, 2]", "```json\n{broken\n```", b"<html>", '{"correct": "hm"}'])
async def test_a_reply_that_cannot_be_read_is_asked_again(serve: Serve, garbage: str | bytes) -> None:
    url, script = serve(garbage, block({"correct": True}))

    async with judge_http(url) as http:
        assert await LlmJudge(http, "judge").judge_answer(ANSWER)

    assert len(script.asked) == 2
    assert "could not be read" in script.prompts[1]


@pytest.mark.parametrize("garbage", ["no idea", b"<html>", b'{"choices": []}', '{"correct": null}'])
async def test_garbage_three_times_is_an_outage_and_never_a_zero(serve: Serve, garbage: str | bytes) -> None:
    url, script = serve(garbage)

    async with judge_http(url) as http:
        with pytest.raises(JudgeUnavailable, match="cannot be read"):
            await LlmJudge(http, "judge").judge_answer(ANSWER)

    assert len(script.asked) == 3


async def test_a_busy_endpoint_is_asked_again(serve: Serve) -> None:
    url, script = serve(429, block({"correct": False}))

    async with judge_http(url) as http:
        assert not await LlmJudge(http, "judge").judge_answer(ANSWER)

    assert len(script.asked) == 2


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_an_outage_is_raised_not_answered(serve: Serve, status: int) -> None:
    url, _ = serve(status)

    async with judge_http(url) as http:
        with pytest.raises(JudgeUnavailable, match=str(status)):
            await LlmJudge(http, "judge").align(COUNTRIES)


async def test_nobody_listening_is_an_outage() -> None:
    async with judge_http(f"http://127.0.0.1:{free_port()}") as http:
        with pytest.raises(JudgeUnavailable):
            await LlmJudge(http, "judge").judge_column(CELLS)


async def test_a_refused_key_is_said_as_such(serve: Serve) -> None:
    url, script = serve(401)

    async with judge_http(url) as http:
        with pytest.raises(ContractViolation, match="401"):
            await LlmJudge(http, "judge").judge_answer(ANSWER)

    assert len(script.asked) == 1


async def test_an_outage_fails_the_score_and_does_not_become_one(serve: Serve) -> None:
    url, _ = serve(503)
    table = "| Country | Motto |\n|---|---|\n| Peru | Firm and happy |"
    rules = {"country": {"metric": ["exact_match"]}, "motto": {"metric": ["llm_judge"], "criterion": "same sense"}}
    evaluation = {"required": ["country", "motto"], "unique_columns": ["country"], "eval_pipeline": rules}
    task = WideTask.model_validate({"instance_id": "a", "evaluation": evaluation, "answer": table})

    async with judge_http(url) as http:
        with pytest.raises(JudgeUnavailable):
            await score_robust(table, task, LlmJudge(http, "judge"))


async def test_the_same_question_is_paid_once(serve: Serve) -> None:
    url, script = serve(block({"correct": True}))

    async with judge_http(url) as http:
        judge = LlmJudge(http, "judge")
        verdicts = [await judge.judge_answer(ANSWER) for _ in range(3)]

    assert verdicts == [True] * 3
    assert len(script.asked) == 1


async def test_a_file_remembers_replies_by_model_for_the_next_process(serve: Serve, tmp_path: Path) -> None:
    url, script = serve(block({"correct": True}), block({"correct": False}))
    path = tmp_path / "judge" / "replies.jsonl"

    async with judge_http(url) as http:
        first = await LlmJudge(http, "one", cache=FileCache(path)).judge_answer(ANSWER)
        path.write_text(path.read_text("utf-8") + '{"key": "cut sho', "utf-8")
        known = await LlmJudge(http, "one", cache=FileCache(path)).judge_answer(ANSWER)
        other = await LlmJudge(http, "two", cache=FileCache(path)).judge_answer(ANSWER)

    assert (first, known, other) == (True, True, False)
    assert len(script.asked) == 2


async def test_an_unreadable_reply_is_not_remembered(serve: Serve, tmp_path: Path) -> None:
    url, script = serve("hm", "hm", "hm", block({"correct": True}))
    cache = FileCache(tmp_path / "replies.jsonl")

    async with judge_http(url) as http:
        with pytest.raises(JudgeUnavailable):
            await LlmJudge(http, "judge", cache=cache).judge_answer(ANSWER)
        assert await LlmJudge(http, "judge", cache=cache).judge_answer(ANSWER)

    assert len(script.asked) == 4


async def test_nothing_to_ask_asks_nothing(serve: Serve) -> None:
    url, script = serve(500)

    async with judge_http(url) as http:
        assert await LlmJudge(http, "judge").align(Alignment(column="a", found=(), wanted=("x",))) == {}
        assert await LlmJudge(http, "judge").judge_column(ColumnPairs(column="a", pairs=())) == []

    assert script.asked == []


async def test_no_more_than_the_agreed_number_of_requests_are_open(serve: Serve) -> None:
    url, script = serve(block({"correct": True}), held=True)
    answers = [ANSWER.model_copy(update={"given": f"Lima {number}"}) for number in range(9)]

    async with judge_http(url) as http, asyncio.TaskGroup() as group:
        judge = LlmJudge(http, "judge", max_concurrency=3)
        asked = [group.create_task(judge.judge_answer(answer)) for answer in answers]
        await asyncio.to_thread(wait_until, lambda: script.at_once == 3, seconds=5, what="three requests at once")
        script.gate.set()

    assert all(task.result() for task in asked)
    assert script.most_at_once == 3


async def test_a_long_column_is_asked_in_parts_and_scored_in_order(serve: Serve) -> None:
    url, script = serve(block({f"idx_{number}": number % 2 for number in range(100)}))
    pairs = tuple((f"given {number}", f"gold {number}") for number in range(100))

    async with judge_http(url) as http:
        scores = await LlmJudge(http, "judge").judge_column(ColumnPairs(column="name", pairs=pairs))

    assert scores == [float(number % 2) for number in range(100)]
    assert len(script.asked) == 3
