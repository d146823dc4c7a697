"""A conductor that starts the learner of stuck_learner.py and waits for its first step.

idle_conductor.py <job folder> <folder of the learner's marks>
"""

import asyncio
import sys
from pathlib import Path

from services.trainer.folder import JobFolder
from services.trainer.learn.client import Learner

SCRIPT = Path(__file__).with_name("stuck_learner.py")


async def conduct(folder: JobFolder, marks: str) -> None:
    """Wait for a step that never comes."""
    async with Learner(folder, folder.record().config, launch=(str(SCRIPT), marks)) as learner:
        await learner.trained(1)


if __name__ == "__main__":
    asyncio.run(conduct(JobFolder(Path(sys.argv[1])), sys.argv[2]))
