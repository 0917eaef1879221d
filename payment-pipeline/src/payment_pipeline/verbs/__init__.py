"""Groups of verbs of the `payments` command, a file each."""
