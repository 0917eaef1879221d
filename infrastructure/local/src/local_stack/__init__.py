"""The native stack: the same servers that production runs, as plain processes on loopback.

`up` and `down` are the whole of it; `process` is for the drills that kill what `up` started.
"""

from local_stack.stack import down, up
from local_stack.supervisor import environment

__all__ = ["down", "environment", "up"]
