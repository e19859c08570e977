"""Durations and dates as people read them."""
