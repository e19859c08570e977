"""Checking a code, and the window a right one opens."""
