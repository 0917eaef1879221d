"""The addresses on which the processes of a stack listen."""

import psutil

from local_stack import process
from payment_pipeline.settings import Settings

LOOPBACK = {"127.0.0.1", "::1", "::ffff:127.0.0.1"}


def ports_and_strangers(settings: Settings) -> tuple[set[int], list[tuple[str, int]]]:
    """Return the ports on loopback, and every listener on another address."""
    mine = {member.pid for member in process.members(settings)}
    found = [
        (each.laddr.ip, each.laddr.port)
        for each in psutil.net_connections("inet")
        if each.pid in mine and each.status == psutil.CONN_LISTEN and each.laddr
    ]
    inside = {port for address, port in found if address in LOOPBACK}
    return inside, [each for each in found if each[0] not in LOOPBACK]
