"""Integrations: input, checks, canaries and pages."""
