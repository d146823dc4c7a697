"""The OpenAPI document: problems are problem+json, and their schema is there."""

from typing import Any

from fastapi import FastAPI

from wideseek.contracts import Problem

_KEY = "adminKey"
_ABOUT = "`WIDESEEK_ADMIN_KEY` of the deployment; asked for where a request sets a field of `training`."
_REF = "#/components/schemas/{model}"


def describe(app: FastAPI) -> None:
    """Make `app.openapi()` say what the door really answers."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        document = generate()
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        schemas["Problem"] = Problem.model_json_schema(ref_template=_REF)
        for unused in ("HTTPValidationError", "ValidationError"):
            schemas.pop(unused, None)
        document["components"]["securitySchemes"] = {_KEY: {"type": "http", "scheme": "bearer", "description": _ABOUT}}
        document["paths"]["/v1/widesearch"]["post"]["security"] = [{}, {_KEY: []}]
        return document

    app.openapi = openapi  # type: ignore[method-assign]
