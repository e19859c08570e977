"""Connectors: how the portal gives, ends and proves access on a target system.

Pure Python without models or settings. `protocol` names the words and the calls, `registry` finds
the connector of a kind, and each kind has a module or package of its own.
"""
