"""Ends a learner whose conductor is gone, also in the middle of a step.

Between steps the orders notice it (`services.trainer.learn.orders`); a step may compute for minutes. A thread looks
beside it, on every rank for itself, since a rank that waits for another in a collective reads no orders. It ends the
process as `kill -9` would, save for the exit code: nothing durable is torn, since a checkpoint counts only once its
marker is renamed into place.
"""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from services.kit.logs import get_logger

LOOK_S = 0.5

log = get_logger(__name__)


@contextmanager
def watched(alive: Callable[[], bool], *, look_s: float = LOOK_S) -> Iterator[None]:
    """End this process with code 0, as between steps, within about `look_s` seconds of `alive` turning false.

    `alive` is called from a thread. Leaving the block ends the watch.
    """
    left = threading.Event()
    thread = threading.Thread(target=_watch, args=(alive, left, look_s), name="watchdog", daemon=True)
    thread.start()
    try:
        yield
    finally:
        left.set()
        thread.join()


def _watch(alive: Callable[[], bool], left: threading.Event, look_s: float) -> None:
    while not left.wait(look_s):
        if not alive():
            try:
                log.warning("learner_stops", reason="the conductor is gone", pid=os.getpid())
            finally:
                # Not sys.exit: the main thread may be in a kernel or a collective that does not return.
                os._exit(0)
