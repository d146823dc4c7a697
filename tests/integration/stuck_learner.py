"""The learner, with a first step that does not come to its end: it computes until it is stopped from outside.

stuck_learner.py <folder of its marks> <arguments of the learner>…
"""

import os
import sys
from pathlib import Path

import torch

from services.trainer.learn.checkpoint import BEFORE_COMMIT
from services.trainer.learn.main import main

MARKS = Path(sys.argv[1])


def compute_on(boundary: str) -> None:
    """Say so, then compute for as long as there is a process."""
    values = torch.eye(256)
    (MARKS / "computing").touch()
    while boundary == BEFORE_COMMIT:
        values = values @ values


if __name__ == "__main__":
    (MARKS / str(os.getpid())).touch()
    sys.exit(main(sys.argv[2:], probe=compute_on))
