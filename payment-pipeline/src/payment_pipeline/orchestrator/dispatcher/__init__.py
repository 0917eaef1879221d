"""Starts one workflow for each offset range of the normalized topic and the dead-letter topics."""
