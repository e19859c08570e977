"""Shared ground of all apps; imports none of them."""
