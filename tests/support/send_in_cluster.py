"""The simulator in a pod: `python - ARGUMENTS... <send_in_cluster.py`.

The simulator sends to loopback only. So a relay on loopback passes each connection on to the
service of the gateway, which chooses a ready pod.
"""

import asyncio
import os
import sys
from contextlib import suppress

PORT = 8000


async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while part := await source.read(65_536):
            target.write(part)
            await target.drain()
    target.close()


async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        there, back = await asyncio.open_connection("gateway", PORT)
    except OSError:
        writer.close()
        return
    await asyncio.gather(copy(reader, back), copy(there, writer))


async def main() -> int:
    async with await asyncio.start_server(relay, "127.0.0.1", PORT):
        simulator = await asyncio.create_subprocess_exec(
            "payments",
            "simulate",
            *sys.argv[1:],
            env={**os.environ, "PAYMENTS_HOST": "127.0.0.1"},
        )
        return await simulator.wait()


sys.exit(asyncio.run(main()))
