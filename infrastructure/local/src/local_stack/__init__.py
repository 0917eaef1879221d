"""The native stack: the same servers that production runs, as plain processes on loopback.

`stack.up` and `stack.down` are the whole of it; `process` is for the drills that kill what `up`
started. Nothing is imported here: a verb that asks for one part need not load them all.
"""
