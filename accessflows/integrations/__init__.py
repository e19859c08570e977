"""Integrations: inspection, checks, pages."""
