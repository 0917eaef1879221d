"""Deterministic code only: no clock, no network, no settings; everything else is an activity.

A change that alters the commands of a running workflow goes behind `workflow.patched`; the stored
histories in `tests/replay` tell whether it does.

The modules are not imported here: the tests' sandbox imports a workflow's module anew for each one
that runs, this package with it, and a recovery need not load what a range does.
"""
