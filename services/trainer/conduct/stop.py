"""Whether the job is to end before its last step: the `stop` file is there, or the process got SIGTERM."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from services.trainer.folder import JobFolder

T = TypeVar("T")


class Stopped(Exception):
    """The job is being stopped; nothing is lost."""


class StopSign:
    """Looked at between steps, and while something is waited for."""

    def __init__(self, folder: JobFolder, *, poll_s: float = 0.2) -> None:
        self._folder = folder
        self._poll_s = poll_s
        self._signalled = False

    @property
    def signalled(self) -> bool:
        """Whether the process was told to end, which is no word about the job."""
        return self._signalled

    @property
    def is_up(self) -> bool:
        """Whether the job is to end."""
        return self.signalled or self._folder.stop_file.exists()

    def signal(self) -> None:
        """The process has been told to end."""
        self._signalled = True

    def check(self) -> None:
        """Raise `Stopped` when the job is to end."""
        if self.is_up:
            raise Stopped

    async def or_done(self, work: Coroutine[Any, Any, T]) -> T:
        """What `work` returns. Raises `Stopped`, and cancels it, when the job is to end meanwhile."""
        doing, stopping = asyncio.ensure_future(work), asyncio.ensure_future(self._up())
        try:
            await asyncio.wait({doing, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not doing.done():
                raise Stopped
            return doing.result()
        finally:
            for future in (doing, stopping):
                future.cancel()
            await asyncio.wait({doing, stopping})

    async def _up(self) -> None:
        while not self.is_up:  # noqa: ASYNC110  # a file raises no event
            await asyncio.sleep(self._poll_s)
