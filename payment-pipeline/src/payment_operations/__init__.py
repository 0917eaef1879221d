"""The `payments` command and what operators run with it."""
