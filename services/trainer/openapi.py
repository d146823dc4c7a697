"""Write the admin API's description: `python -m services.trainer.openapi > docs/openapi-trainer.json`."""

import json
import sys

from services.trainer.main import create
from services.trainer.settings import TrainerSettings


def document() -> str:
    """The document as JSON text; nothing is connected to."""
    app = create(TrainerSettings())
    return json.dumps(app.openapi(), indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def main() -> None:
    """Write it to standard output."""
    sys.stdout.write(document())


if __name__ == "__main__":
    main()
