"""Deleting flows and integrations."""
