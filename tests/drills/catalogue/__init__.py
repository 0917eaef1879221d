"""One module a drill, found by its file's name: see `drills`."""
