"""Verifying a code, and the window that a correct one opens."""
