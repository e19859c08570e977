"""Approving and rejecting requests."""
