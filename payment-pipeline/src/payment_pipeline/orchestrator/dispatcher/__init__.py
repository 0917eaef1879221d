"""Starts one workflow for each range of offsets of the normalized and dead-letter topics."""
