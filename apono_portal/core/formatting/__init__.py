"""Formatting of durations and dates for people."""
