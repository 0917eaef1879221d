"""Replays raw records through today's normalizer, and corrects bronze where it differs."""
