"""What keeps the tables small and quick."""
