"""Keyset pagination and prepared queries."""
