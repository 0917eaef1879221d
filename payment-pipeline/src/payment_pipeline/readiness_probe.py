"""The health check of a container: `payments-ready PORT` asks a service on this machine.

It loads nothing but the standard library, because a container calls it every few seconds.
"""

import sys
from http.client import HTTPConnection, HTTPException
from typing import Final

TIMEOUT_S: Final = 2.0
READY: Final = 200


def main() -> None:
    """Exit with 0 if `/readyz` on the port of the argument answers with 200, else with 1."""
    try:
        (port,) = map(int, sys.argv[1:])
    except ValueError:
        sys.exit("payments-ready: give the port of the service's /readyz.")
    sys.exit(0 if is_ready(port) else 1)


def is_ready(port: int) -> bool:
    """Whether the service on a port of this machine says that it is ready."""
    connection = HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == READY
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    main()
