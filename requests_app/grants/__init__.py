"""Grants, from activation to proof of removal."""
