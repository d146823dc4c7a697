"""Write the OpenAPI document: `python -m services.orchestrator.openapi > docs/openapi.json`."""

import json
import sys

from services.orchestrator.main import create
from services.orchestrator.settings import OrchestratorSettings


def document() -> str:
    """The document as JSON text; nothing is connected to."""
    app = create(OrchestratorSettings())
    return json.dumps(app.openapi(), indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def main() -> None:
    """Write it to standard output."""
    sys.stdout.write(document())


if __name__ == "__main__":
    main()
