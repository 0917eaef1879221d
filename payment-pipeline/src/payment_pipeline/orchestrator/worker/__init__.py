"""Runs the workflows and their activities."""
