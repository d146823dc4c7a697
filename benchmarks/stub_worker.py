"""A real worker process whose model is a stub that thinks for a while and answers: for measuring all but the model."""

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from services.kit.keys import Keys
from services.kit.logs import configure_logs
from services.kit.redis import connect
from services.kit.runlog import RunLog
from services.worker.app import WorkerApp, create_celery, register, run_worker
from services.worker.metrics import WorkerMetrics
from services.worker.subagent import SubagentDesk
from wideseek.clients.retrieval import RetrievalClient, retrieval_http
from wideseek.messages import Completion, Message, Sampling, ToolSpec
from wideseek.ports import ChatModel, Context
from wideseek.trajectory import ToolResult


@dataclass(frozen=True)
class _Context:
    num_tokens: int = 100


@dataclass(frozen=True)
class ThinkingModel:
    """Takes `seconds` for a completion, then answers without a tool."""

    seconds: float
    max_model_len: int = 8_192

    async def begin(self, _messages: Sequence[Message], _tools: Sequence[ToolSpec]) -> Context:
        """A prompt of a hundred tokens."""
        return _Context()

    async def extend(
        self, context: Context, _completion: Completion, _results: Sequence[ToolResult], _hint: str
    ) -> Context:
        """The same prompt again."""
        return context

    async def complete(self, _context: Context, _sampling: Sampling, *, max_tokens: int, final: bool) -> Completion:
        """The answer, after thinking."""
        del max_tokens, final
        await asyncio.sleep(self.seconds)
        return Completion(text="done", token_ids=(1, 2), logprobs=(0.0, 0.0), prompt_token_ids=(1,) * 100)

    async def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """A third of the characters."""
        return [len(text) // 3 for text in texts]


@dataclass(frozen=True)
class ThinkingModels:
    """One model under every name."""

    seconds: float

    async def model(self, _name: str) -> ChatModel:
        """The stub."""
        return ThinkingModel(self.seconds)


async def _desk(arguments: argparse.Namespace) -> SubagentDesk:
    keys = Keys(arguments.env)
    retrieval = retrieval_http("http://127.0.0.1:9")
    return SubagentDesk(
        log=RunLog(connect(arguments.redis, max_connections=arguments.slots + 64), keys),
        engines=ThinkingModels(arguments.seconds),
        retrieval=lambda request: RetrievalClient.of_run(retrieval, request),
        metrics=WorkerMetrics(),
        worker=f"stub.{os.getpid()}",
    )


def main() -> int:
    """Work until told to stop."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--redis", required=True)
    parser.add_argument("--env", required=True)
    parser.add_argument("--slots", type=int, default=128)
    parser.add_argument("--seconds", type=float, default=5.0)
    arguments = parser.parse_args()
    configure_logs("stub-worker", "WARNING")
    app: WorkerApp = create_celery(arguments.redis, env=arguments.env, slots=arguments.slots)
    register(app, app.agent_loop.call(_desk(arguments)).result().work_on)
    return run_worker(app, log_level="WARNING")


if __name__ == "__main__":
    sys.exit(main())
