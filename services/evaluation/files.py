"""Response files, validated as a whole before anything is scored: every mistake is one line with file, line, field.

A response to an unknown task, or a second one to the same task and trial, is an error in every mode. What is
asked of task files stands in `services.kit.tasks.files`.
"""

from collections.abc import Sequence
from pathlib import Path

from pydantic import ConfigDict, Field

from services.kit.tasks.lines import Place, read_objects, validated
from wideseek.instances import InvalidInstance, Task
from wideseek.values import Frozen


class Response(Frozen):
    """What was answered to a task."""

    model_config = ConfigDict(extra="ignore")

    instance_id: str = Field(min_length=1)
    trial: int = Field(default=0, ge=0)
    response_text: str | None
    """The whole text; null where there was none."""


def read_responses(path: Path, tasks: Sequence[Task]) -> list[Response]:
    """The responses of a file in order, each to one of `tasks`. Raises InvalidInstance naming file, line, field."""
    known = {task.instance_id for task in tasks}
    seen: dict[tuple[str, int], Place] = {}
    responses: list[Response] = []
    for place, record in read_objects(path):
        response = validated(Response, record, place)
        name, key = response.instance_id, (response.instance_id, response.trial)
        if name not in known:
            raise place.fault(f"instance_id: {name!r} is no task of the task file")
        if key in seen:
            raise place.fault(f"trial: {response.trial} of {name!r} stands in line {seen[key].number} already")
        seen[key] = place
        responses.append(response)
    if not responses:
        raise InvalidInstance(f"{path}: holds no response")
    return responses
