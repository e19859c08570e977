"""Queries and indexes that Django has no ready means for."""
