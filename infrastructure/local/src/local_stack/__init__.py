"""The native stack: the same servers as in production, as plain processes on loopback.

`stack.up` starts it and `stack.down` stops it. Nothing is imported here, so that a command loads
only the modules that it uses.
"""
