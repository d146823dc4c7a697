"""The learner, ended as by `kill -9` at a boundary of a commit.

killed_learner.py <boundary> <how-manieth time it is passed> <arguments of the learner>…
"""

import os
import signal
import sys

from services.trainer.learn.main import main

BOUNDARY, TIMES = sys.argv[1], int(sys.argv[2])
seen: list[str] = []


def kill(boundary: str) -> None:
    """End this process without a word at the boundary it was told."""
    seen.append(boundary)
    if boundary == BOUNDARY and seen.count(boundary) == TIMES:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[3:], probe=kill))
