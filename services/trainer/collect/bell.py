"""Wakes everybody who waits for a state to change."""

import asyncio


class Bell:
    """Between looking at the state and waiting nothing else runs, so no change is missed."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def ring(self) -> None:
        """Wake all who wait now."""
        rung, self._event = self._event, asyncio.Event()
        rung.set()

    async def wait(self) -> None:
        """Until the next ring."""
        await self._event.wait()
