"""The judge that `--judge` names: by rule, none, or a language model behind an endpoint."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from services.evaluation.options import Setting
from wideseek.clients.judge import LlmJudge, judge_http
from wideseek.clients.judge_cache import FileCache
from wideseek.errors import InvalidRequest
from wideseek.judging import AgreementJudge, DeterministicJudge, NoJudge
from wideseek.ports import Judge

API_KEY = "JUDGE_API_KEY"
"""Environment variable of the key that the judge's endpoint asks for."""

REPLIES = "judge_replies.jsonl"
"""File in an evaluation's folder that keeps what a model as judge has said."""


@asynccontextmanager
async def open_judge(setting: Setting, *, replies: Path | None = None) -> AsyncIterator[Judge]:
    """The judge of this setting, its connections closed afterwards. Raises InvalidRequest for a name that is none.

    A model's replies are kept in the file `replies`, so that what is scored again is not paid again.
    """
    if setting.judge == "none":
        yield NoJudge()
    elif setting.judge == "deterministic":
        yield DeterministicJudge()
    elif not setting.judge.startswith(("http://", "https://")):
        raise InvalidRequest(f"--judge {setting.judge}: expected deterministic, none, or an address with http(s)://")
    elif not setting.judge_model:
        raise InvalidRequest("--judge-model: missing; an endpoint may serve several models")
    else:
        async with judge_http(setting.judge, api_key=os.environ.get(API_KEY)) as http:
            yield LlmJudge(http, setting.judge_model, cache=FileCache(replies) if replies else None)


def compared_with_rules(judge: Judge) -> AgreementJudge | None:
    """A language model as judge, compared with the deterministic one; None for judges that need no comparison."""
    return None if isinstance(judge, NoJudge | DeterministicJudge) else AgreementJudge(judge, DeterministicJudge())
