"""Connectors: how the portal grants, revokes and proves access on a target system.

Pure Python without models or settings. `protocol` defines the vocabulary and the calls, `registry` finds
the connector of a kind, and each kind has its own package.
"""
