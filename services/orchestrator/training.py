"""What `training` of a request may hold: the rollout's place becomes part of paths and keys."""

import unicodedata

from services.kit.rollouts.paths import name as path_name
from wideseek.contracts import Training
from wideseek.errors import InvalidRequest

MAX_CHARS = 200

_PLACES = ("job_id", "group_id", "task_id", "split")


def is_asked(training: Training) -> bool:
    """Whether any field says something, which takes the admin key."""
    return training != Training()


def refuse_misplaced(training: Training) -> None:
    """Raise `InvalidRequest`, naming the field, for a place that is no name or that a run without rollout has."""
    default = Training()
    for name in Training.model_fields:
        value = getattr(training, name)
        if not training.opt_in and value != getattr(default, name):
            message = f"training.{name}: only a run that opts in writes a rollout; set training.opt_in or leave it out"
            raise InvalidRequest(message, field=f"/training/{name}")
        if name in _PLACES and value is not None and (problem := unnameable(value)):
            raise InvalidRequest(f"training.{name}: {problem}", field=f"/training/{name}")
    if training.job_id is not None:
        _refuse_no_folder(training.job_id)
    if (training.group_id is None) != (training.index_in_group is None):
        lacking = "group_id" if training.group_id is None else "index_in_group"
        message = f"training.{lacking}: group_id and index_in_group go together; give both or neither"
        raise InvalidRequest(message, field=f"/training/{lacking}")


def _refuse_no_folder(job_id: str) -> None:
    """A job's id is the name of a folder as it stands."""
    try:
        path_name(job_id, "training.job_id")
    except InvalidRequest as refused:
        raise InvalidRequest(str(refused), field="/training/job_id") from refused


def unnameable(text: str) -> str | None:
    """Why a text cannot be part of a path, or None."""
    if not text or text != text.strip():
        return "must not be empty, nor begin or end with white space"
    if len(text) > MAX_CHARS:
        return f"may have {MAX_CHARS} characters, not {len(text)}"
    if "/" in text or "\\" in text:
        return "must not contain a slash; use - or . between parts"
    if ".." in text or text == ".":
        return "must not contain .., nor be a dot alone"
    if any(unicodedata.category(character)[0] == "C" for character in text):
        return "must not contain control characters"
    return None
