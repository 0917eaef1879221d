"""The pure core: money, events, failures, names. It imports nothing that does I/O."""
