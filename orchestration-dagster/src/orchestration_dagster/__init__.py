"""Assets, checks and schedules of Dagster that turn bronze into the lake and the marts."""
