"""What the door refuses for the state a run or a request is in; each class is one problem type."""

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from services.kit.problems import problem_response
from wideseek.errors import WideseekError


class Refusal(WideseekError):
    """Base: how the refusal is answered."""

    status = 409
    code = "conflict"
    title = "Not in this state"


class RequestInFlight(Refusal):
    """The first request with this key is still being answered."""

    code, title, retryable = "request-in-flight", "Still being answered", True


class NoTableYet(Refusal):
    """The run works, and no row has been reported."""

    code, title, retryable = "no-table-yet", "No table yet", True


class RunHasFailed(Refusal):
    """The cluster could not do its part, so there is no table to trust."""

    code, title = "run-failed", "The run failed"


class NoTable(Refusal):
    """The run has ended without a table, or answers a question."""

    status, code, title = 404, "no-table", "No table"


async def _answer(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Refusal)
    return problem_response(request, error.status, error.code, error.title, str(error), retryable=error.retryable)


def install_refusals(app: FastAPI) -> None:
    """Answer every refusal of `app` as problem+json."""
    app.add_exception_handler(Refusal, _answer)
