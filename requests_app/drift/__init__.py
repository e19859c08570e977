"""Differences between targets and the database."""
