"""Asks a URL whether it answers with success."""

from typing import Final

import aiohttp

TIMEOUT: Final = aiohttp.ClientTimeout(total=2)


async def answers(url: str) -> bool:
    """Ask once. False for a refused connection, a slow answer or an error status."""
    try:
        async with aiohttp.ClientSession(timeout=TIMEOUT) as session, session.get(url) as answer:
            return answer.ok
    except (aiohttp.ClientError, TimeoutError):
        return False
