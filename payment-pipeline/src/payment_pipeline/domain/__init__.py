"""The pure core: money, events, failures and names. It imports no module that does I/O."""
