"""The workflows: deterministic code only, without clock, network or settings.

Everything else is an activity. A change that alters the commands of a running workflow goes behind
`workflow.patched`. The stored histories in `tests/replay` show whether a change does so.

This file imports no workflow. The sandbox of the tests imports a workflow's module, and with it
this package, again for each run; a recovery need not load the code of a range.
"""
