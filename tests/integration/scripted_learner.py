"""A learner without a model: speaks the file protocol and knows nothing else. Seeds of manifests are its script.

Seed 7 ends it as an outage does, 8 as a refusal, 9 with a line that is no event, 6 leaves it hanging.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

from services.trainer.folder import COMMITTED, JobFolder, LearnerReport, ScoreReply, write_atomically, write_model
from services.trainer.learn.orders import (
    REFUSED,
    Failure,
    Idle,
    Orders,
    Score,
    ScoreFiles,
    Stop,
    Train,
    conductor_alive,
)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--parent", type=int)
    options = parser.parse_args()
    folder = JobFolder(options.folder)
    orders = Orders(folder, conductor_alive(options.parent))
    step = max([0, *folder.committed()])
    write_atomically(folder.path / "threads", os.environ.get("OMP_NUM_THREADS", "").encode())
    while not isinstance(order := orders.next(step), Stop):
        if isinstance(order, Idle):
            time.sleep(0.01)
        elif isinstance(order, Score):
            _score(folder, order)
        elif code := _train(folder, order):
            return code
        else:
            step += 1
    return 0


def _train(folder: JobFolder, order: Train) -> int:
    step, seed = order.manifest.step, order.manifest.seed
    if seed in {7, 8}:
        event = {"event": "learner_ended", "error": f"cannot train step {step}", "refused": seed == 8}
        sys.stderr.write(json.dumps(event) + "\n")
        return REFUSED if seed == 8 else 1
    if seed == 9:
        sys.stderr.write("Killed by the script\n")
        return 3
    while seed == 6:
        time.sleep(0.01)
    report = LearnerReport(step=step, manifest_sha256=order.sha256, scalars={"loss/value": float(step)})
    write_model(folder.learner_file(step), report)
    write_atomically(folder.checkpoint(step) / COMMITTED, f"{order.sha256}\n".encode())
    return 0


def _score(folder: JobFolder, order: Score) -> None:
    files = ScoreFiles(folder)
    if order.request.step > 1:
        write_model(files.failure(order.name), Failure(error="no such step"))
        return
    logprobs = tuple(tuple(-float(token) for token in row.token_ids[row.start :]) for row in order.request.rows)
    write_model(files.reply(order.name), ScoreReply(step=order.request.step, logprobs=logprobs, precision="float32"))


if __name__ == "__main__":
    sys.exit(main())
