"""What the OpenAPI document shows: an example of every body and every problem."""

from typing import Any

from services.kit.problems import RETRY_AFTER_S

RUN_ID = "ws_01JD9Y4T7Q2M8V5K3XH6WZ0RBN"
_PATH = f"/v1/widesearch/{RUN_ID}"

REQUESTS: dict[str, Any] = {
    "query": {
        "summary": "A query is enough",
        "value": {"query": "For every country that borders Mali: capital, population and total area."},
    },
    "columns": {
        "summary": "Named columns, a corpus, limits",
        "value": {
            "query": "All countries of Central America with capital and median age.",
            "columns": ["Country", {"name": "Median age", "description": "years, both sexes"}],
            "primary_key": ["Country"],
            "sources": {"corpora": ["factbook"]},
            "limits": {"max_rows": 50, "max_seconds": 300},
            "metadata": {"ticket": "A-1"},
            "wait": 60,
        },
    },
    "question": {
        "summary": "A question with one short answer",
        "value": {
            "query": "What is the median age in the country that surrounds Lesotho?",
            "output": "answer",
        },
    },
    "alone": {
        "summary": "One agent instead of a team",
        "value": {
            "query": "Capital and population of Mali, Chad and Niger.",
            "mode": "single_agent",
            "limits": {"max_turns": 30},
        },
    },
    "oracle": {
        "summary": "Over pages you name, subagents with a model of their own",
        "value": {
            "query": "Capital and population of Mali and Niger.",
            "mode": "oracle_retrieval",
            "sources": {"urls": ["factbook:africa/ml", "factbook:africa/ng"]},
            "subagent_model": "expert",
        },
    },
    "training": {
        "summary": "A rollout is kept (takes the admin key)",
        "value": {
            "query": "Capital and population of Mali and Niger.",
            "model": "policy",
            "sampling": {"temperature": 1.0, "seed": 7},
            "training": {
                "opt_in": True,
                "job_id": "job-1",
                "group_id": "step-3.task-17",
                "index_in_group": 0,
                "task_id": "task-17",
                "split": "train",
            },
        },
    },
    "stream": {"summary": "Events as they happen", "value": {"query": "…", "stream": True}},
}

RUN: dict[str, Any] = {
    "id": RUN_ID,
    "object": "widesearch",
    "status": "in_progress",
    "query": "For every country that borders Mali: capital and population.",
    "output": "table",
    "mode": "multi_agent",
    "model": "expert",
    "subagent_model": None,
    "created_at": 1763800000.0,
    "started_at": 1763800000.1,
    "completed_at": None,
    "progress": {
        "turn": 2,
        "rows": 1,
        "cells_filled": 3,
        "cells_total": 3,
        "pages_read": 1,
        "subagents": {"queued": 2, "running": 4, "completed": 1, "failed": 0, "cancelled": 0},
    },
    "usage": {"total": {"prompt_tokens": 5120, "completion_tokens": 410, "model_calls": 9, "tool_calls": 7}},
    "limits": {
        "max_rows": 500,
        "max_width": 20,
        "max_turns": 10,
        "max_seconds": 900.0,
        "max_tokens": 5000000,
        "max_tool_calls": 5000,
    },
    "metadata": {},
    "table": {"columns": ["Country", "Capital", "Population"], "rows": [["Niger", "Niamey", "24,484,587"]]},
    "answer_text": None,
    "answer": None,
    "sources": [{"url": "factbook:africa/ng", "title": "Niger", "content_sha256": "9f2c…"}],
    "incomplete_reason": None,
    "error": None,
    "cancellation": None,
    "rollout_id": None,
    "last_event_seq": 42,
    "links": {
        "self": _PATH,
        "events": f"{_PATH}/events",
        "table": f"{_PATH}/table",
        "cancel": f"{_PATH}/cancel",
    },
}

_STATUS_HEADER = {
    "Wideseek-Run-Status": {"schema": {"type": "string"}, "description": "While it is not final, rows may change."}
}
TABLE_RESPONSE: dict[str, Any] = {
    "description": "The table.",
    "headers": _STATUS_HEADER,
    "content": {
        "application/json": {"schema": {"$ref": "#/components/schemas/Table"}, "example": RUN["table"]},
        "text/markdown": {
            "schema": {"type": "string"},
            "example": "| Country | Capital | Population |\n| --- | --- | --- |\n| Niger | Niamey | 24,484,587 |\n",
        },
        "text/csv": {
            "schema": {"type": "string"},
            "example": 'Country,Capital,Population\r\nNiger,Niamey,"24,484,587"\r\n',
        },
    },
}
_STREAM = (
    "retry: 3000\n"
    'event: stream.opened\ndata: {"type": "stream.opened", "after": 0, "latest": 1}\n\n'
    'id: 1\nevent: run.created\ndata: {"type": "run.created", "sequence_number": 1}\n\n'
)

STREAM_RESPONSE: dict[str, Any] = {
    "description": "Server-sent events; `id` is the event's number, `data` one JSON object.",
    "content": {"text/event-stream": {"schema": {"type": "string"}, "example": _STREAM}},
}

_PROBLEMS: dict[str, tuple[int, str, str, list[dict[str, str]]]] = {
    "malformed-json": (400, "The body is not JSON", "malformed JSON at character 10: Expecting value", []),
    "key-missing": (401, "The admin key is missing", "send the admin key: Authorization: Bearer <key>", []),
    "key-refused": (403, "Not allowed", "the admin key is not this deployment's", []),
    "run-not-found": (404, "No such run", f"no run {RUN_ID}, or its log has expired", []),
    "no-table": (404, "No table", "the run was cancelled before any row was reported", []),
    "no-table-yet": (409, "No table yet", "no row has been reported yet", []),
    "run-failed": (409, "The run failed", "retrieval: ConnectError: all connection attempts failed", []),
    "request-in-flight": (409, "Still being answered", "the first request with this Idempotency-Key is …", []),
    "body-too-large": (413, "The body is too large", "the body may have 1048576 bytes", []),
    "unsupported-media-type": (415, "Unsupported media type", "send JSON: content-type application/json", []),
    "invalid-request": (
        422,
        "The request must change",
        "/query: String should have at most 16000 characters",
        [{"pointer": "/query", "detail": "String should have at most 16000 characters"}],
    ),
    "upstream-unavailable": (503, "A service is unavailable", "model: ConnectError: …", []),
}
_RETRYABLE = {"no-table-yet", "request-in-flight", "upstream-unavailable"}


def problem(code: str) -> dict[str, Any]:
    """An example of one problem."""
    status, title, detail, errors = _PROBLEMS[code]
    return {
        "type": f"urn:wideseek:problem:{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "instance": _PATH,
        "code": code,
        "retryable": code in _RETRYABLE,
        "errors": errors,
        "request_id": "4f1c0d6a7b1e4e0f9d6a5c3b2a190807",
    }


def problems(*codes: str) -> dict[int | str, dict[str, Any]]:
    """OpenAPI responses for these problems, those of one status together."""
    responses: dict[int | str, dict[str, Any]] = {}
    for code in codes:
        status, title, *_ = _PROBLEMS[code]
        response = responses.setdefault(
            status,
            {
                "description": title,
                "content": {
                    "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": {}}
                },
            },
        )
        if code in _RETRYABLE:
            response["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "example": RETRY_AFTER_S}}
        response["content"]["application/problem+json"]["examples"][code] = {"value": problem(code)}
    return responses


def runs(status: int, description: str, *, stream: bool = False) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI response that is a run, or also its events."""
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Run"}, "example": RUN}}
    return {
        status: {"description": description, "content": {**content, **(STREAM_RESPONSE["content"] if stream else {})}}
    }
