"""Lives of a conductor as processes that can be killed: forks one for every line it reads, so imports are paid once.

`python -m tests.conduct_process <folder> <redis url>`: writes the child's process id, then its wait status.
"""

import asyncio
import os
import sys
from pathlib import Path

from tests.conduct_parts import MarkingPublisher, reopened


async def live(folder: Path, redis_url: str) -> None:
    async with reopened(folder, redis_url) as job:
        job.publisher = MarkingPublisher
        await job.live()


def main() -> None:
    folder, redis_url = Path(sys.argv[1]), sys.argv[2]
    for _ in sys.stdin:
        pid = os.fork()
        if pid == 0:
            status = 1
            os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
            try:
                asyncio.run(live(folder, redis_url))
                status = 0
            finally:
                os._exit(status)
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()
        sys.stdout.write(f"{os.waitpid(pid, 0)[1]}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
