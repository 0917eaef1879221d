"""The memory for bodies that are still arriving, and which of them leaves when it is full.

Nobody knows whether a body is signed before its last byte. So strangers could fill the memory with
bodies that never end, and every signed webhook would be refused. Instead, the body that has held
the most bytes for the longest time leaves. A provider's body arrives within milliseconds, so it is
never that body while a slow one is there.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class Arriving:
    """A body of which a part has arrived."""

    def __init__(self, since_s: float) -> None:
        self.body = bytearray()
        self.evicted = False
        """Whether the body had to leave. Its task is then cancelled."""
        self._since_s = since_s
        self._task = asyncio.current_task()

    def held(self, now_s: float) -> float:
        """Byte-seconds that this body has held."""
        return len(self.body) * (now_s - self._since_s)

    def evict(self) -> None:
        """Drop the bytes, and wake the task that waits for more of them."""
        self.evicted = True
        self.body.clear()
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()

    def absorb_cancellation(self) -> bool:
        """Whether only `evict` cancelled the task. The task then goes on."""
        return self.evicted and self._task is not None and self._task.uncancel() == 0


class BodyRoom:
    """Counts the bytes of the bodies that arrive."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._arriving: set[Arriving] = set()
        self._bytes = 0

    @contextmanager
    def enter(self) -> Iterator[Arriving]:
        """Count a body until the block ends."""
        arriving = Arriving(asyncio.get_running_loop().time())
        self._arriving.add(arriving)
        try:
            yield arriving
        finally:
            self._leave(arriving)

    def take(self, arriving: Arriving, chunk: bytes) -> None:
        """Add bytes to a body; evict the bodies that held the most, if there is no room."""
        arriving.body += chunk
        self._bytes += len(chunk)
        now_s = asyncio.get_running_loop().time()
        while self._bytes > self._bytes_max:
            worst = max(self._arriving, key=lambda each: (each.held(now_s), len(each.body)))
            self._leave(worst)
            worst.evict()

    def _leave(self, arriving: Arriving) -> None:
        if arriving in self._arriving:
            self._arriving.remove(arriving)
            self._bytes -= len(arriving.body)
