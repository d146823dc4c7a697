"""The request that has the cluster answer a task."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from wideseek.contracts import Mode, Output, RunRequest
from wideseek.errors import InvalidRequest
from wideseek.instances import Task, WideTask


def request_for(task: Task, *, mode: Mode, corpora: Sequence[str], rest: Mapping[str, Any]) -> RunRequest:
    """What the orchestrator is asked; of `rest`, the request's other fields, those that are None are left out.

    Raises `InvalidRequest` naming the task that cannot be asked so.
    """
    wide = isinstance(task, WideTask)
    body = {
        **rest,
        "query": task.query if isinstance(task, WideTask) else task.question,
        "output": Output.TABLE if wide else Output.ANSWER,
        "mode": mode,
        "sources": _sources(task, mode, corpora),
    }
    try:
        return RunRequest.model_validate({name: value for name, value in body.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InvalidRequest(f"task {task.instance_id}: {place or 'request'}: {first['msg']}") from error


def _sources(task: Task, mode: Mode, corpora: Sequence[str]) -> dict[str, Any] | None:
    sources: dict[str, Any] = {"corpora": tuple(corpora)} if corpora else {}
    if mode is Mode.ORACLE_RETRIEVAL:
        if not task.documents:
            raise InvalidRequest(f"task {task.instance_id}: names no documents, which oracle_retrieval serves")
        sources["urls"] = task.documents
    return sources or None
