"""How does bronze become marts: the assets, their checks and their schedules."""
