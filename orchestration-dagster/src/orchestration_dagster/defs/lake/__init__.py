"""The lake's tables, and the jobs that load and rewrite them."""
